// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Layers of crates: a crate depends on lower layers only.
//!
//! `dev-dependencies` are unrestricted: a mock may depend on the crate that is tested with it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use foundation::finding::Finding;
use foundation::source::File;

use crate::manifest::{folder, line_of, list_dependencies};

/// The manifest that lists the workspace's crates.
const ROOT: &str = "Cargo.toml";
/// The file that declares the layers.
const CONFIGURATION: &str = "release.toml";
/// The checked tables of a manifest.
const TABLES: &[&str] = &["dependencies", "build-dependencies"];

/// Folders of the workspace's crates, from the root manifest among `manifests`.
pub fn members(manifests: &[File]) -> Result<Vec<String>> {
    let Some(root) = manifests.iter().find(|file| file.path == ROOT) else { return Ok(Vec::new()) };
    let table = parse(root)?;
    let members = table
        .get("workspace")
        .and_then(|it| it.get("members"))
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten();
    Ok(members.filter_map(|it| it.as_str().map(str::to_owned)).collect())
}

/// Findings for dependencies within the workspace that do not go down `order` (folders by layer,
/// top first), and for crates that are missing in it or unknown.
pub fn find_upward(order: &[Vec<String>], manifests: &[File]) -> Result<Vec<Finding>> {
    let members = members(manifests)?;
    let rows: BTreeMap<&str, usize> = order
        .iter()
        .enumerate()
        .flat_map(|(row, folders)| folders.iter().map(move |folder| (folder.as_str(), row)))
        .collect();
    let mut findings = find_misplaced(&members, order, &rows);
    let mut names = BTreeMap::new();
    let mut crates = Vec::new();
    for manifest in manifests.iter().filter(|it| members.iter().any(|m| m == folder(&it.path))) {
        let table = parse(manifest)?;
        let name = table.get("package").and_then(|it| it.get("name")).and_then(toml::Value::as_str);
        names.insert(name.unwrap_or_default().to_owned(), folder(&manifest.path));
        crates.push((manifest, table));
    }
    for (manifest, table) in &crates {
        let own = folder(&manifest.path);
        for name in list_dependencies(table, TABLES) {
            let Some(other) = names.get(&name) else { continue };
            let (Some(from), Some(to)) = (rows.get(own), rows.get(other)) else { continue };
            if to <= from {
                findings.push(Finding {
                    line: line_of(&manifest.text, &name),
                    ..Finding::in_file(
                        manifest.path.clone(),
                        "upward-dependency",
                        format!("{own} depends on {other}, which is not in a lower layer"),
                        "move the needed items to a crate of a lower layer, or pass them as arguments; the \
                         layers are in [gates.layers] of release.toml",
                    )
                });
            }
        }
    }
    Ok(findings)
}

/// Findings for crates that are not in exactly one layer, and for unknown crates in layers.
fn find_misplaced(
    members: &[String],
    order: &[Vec<String>],
    rows: &BTreeMap<&str, usize>,
) -> Vec<Finding> {
    let finding = |rule, message, fix| Finding::in_file(CONFIGURATION, rule, message, fix);
    let unplaced = members.iter().filter(|it| !rows.contains_key(it.as_str())).map(|member| {
        finding(
            "unplaced-crate",
            format!("[gates.layers] does not contain {member}"),
            "add it to a layer of `order`, above its dependencies",
        )
    });
    let mut seen = BTreeSet::new();
    let wrong = order.iter().flatten().filter_map(|folder| {
        if !members.contains(folder) {
            let message = format!("{folder} in [gates.layers] is not a crate of the workspace");
            Some(finding("unknown-crate", message, "remove it"))
        } else if seen.insert(folder) {
            None
        } else {
            let message = format!("[gates.layers] contains {folder} twice");
            Some(finding("unknown-crate", message, "remove one of them"))
        }
    });
    unplaced.chain(wrong).collect()
}

fn parse(manifest: &File) -> Result<toml::Table> {
    toml::from_str(&manifest.text).with_context(|| format!("{} is malformed", manifest.path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "[workspace]\nmembers = [\"app\", \"lib/one\", \"lib/two\"]\n";

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    fn find_messages(order: &[&[&str]], manifests: &[(&str, &str)]) -> Vec<String> {
        let order: Vec<Vec<String>> =
            order.iter().map(|row| row.iter().map(|it| (*it).to_owned()).collect()).collect();
        let manifests: Vec<_> = manifests.iter().map(|(path, text)| file(path, text)).collect();
        let findings = find_upward(&order, &manifests).unwrap();
        findings.iter().map(|it| it.to_string().split('\n').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn dependencies_go_down_and_neither_up_nor_sideways() {
        let one =
            "[package]\nname = \"one\"\n[dependencies]\ntwo.workspace = true\nserde = \"1\"\n";
        let two = "[package]\nname = \"two\"\n[dev-dependencies]\none.workspace = true\n";
        let app =
            "[package]\nname = \"app\"\n[target.'cfg(unix)'.dependencies]\none = {}\ntwo = {}\n";
        let all = [
            ("Cargo.toml", WORKSPACE),
            ("app/Cargo.toml", app),
            ("lib/one/Cargo.toml", one),
            ("lib/two/Cargo.toml", two),
        ];
        assert_eq!(find_messages(&[&["app"], &["lib/one"], &["lib/two"]], &all), [""; 0]);
        let sideways = "lib/one/Cargo.toml:4: upward-dependency: lib/one depends on lib/two, which is not in a lower layer";
        assert_eq!(find_messages(&[&["app"], &["lib/one", "lib/two"]], &all), [sideways]);
        assert_eq!(find_messages(&[&["app"], &["lib/two"], &["lib/one"]], &all), [sideways]);
        let up = find_messages(&[&["lib/one"], &["app"], &["lib/two"]], &all);
        assert_eq!(
            up,
            [
                "app/Cargo.toml:4: upward-dependency: app depends on lib/one, which is not in a lower layer"
            ]
        );
    }

    #[test]
    fn every_crate_has_one_place() {
        let all = [("Cargo.toml", WORKSPACE)];
        assert_eq!(
            find_messages(&[&["app", "lib/one"], &["lib/one", "gone"]], &all),
            [
                "release.toml: unplaced-crate: [gates.layers] does not contain lib/two",
                "release.toml: unknown-crate: [gates.layers] contains lib/one twice",
                "release.toml: unknown-crate: gone in [gates.layers] is not a crate of the workspace",
            ]
        );
    }

    #[test]
    fn a_malformed_manifest_is_named() {
        let error = find_upward(&[], &[file("Cargo.toml", "[")]).unwrap_err();
        assert!(error.to_string().contains("Cargo.toml is malformed"));
    }
}
