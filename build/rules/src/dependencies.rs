// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Unused dependencies: declared in a manifest and not named in the package's code.
//!
//! A crate is named by its identifier (`serde_json` for `serde-json`) in a path, an attribute or a
//! `use`. The check compares words, not types: a reported dependency occurs nowhere.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use foundation::finding::Finding;
use foundation::source::File;
use regex::Regex;

use crate::manifest::{folder, line_of, list_dependencies};

/// Manifest tables with dependencies that code can use.
const TABLES: &[&str] = &["dependencies", "dev-dependencies", "build-dependencies"];

/// Findings for dependencies of `manifests` that no file of `rust` in the same package names.
///
/// # Errors
/// When a manifest is malformed, or a built-in pattern does not compile.
pub fn find_unused(manifests: &[File], rust: &[File]) -> Result<Vec<Finding>> {
    let word = Regex::new(r"[A-Za-z_][A-Za-z0-9_]*").context("the pattern of words")?;
    let folders: BTreeSet<&str> = manifests.iter().map(|file| folder(&file.path)).collect();
    let mut findings = Vec::new();
    for manifest in manifests {
        let table: toml::Table = toml::from_str(&manifest.text)
            .with_context(|| format!("{} is malformed", manifest.path))?;
        let own = folder(&manifest.path);
        let words: BTreeSet<&str> = rust
            .iter()
            .filter(|file| owner(&file.path, &folders) == Some(own))
            .flat_map(|file| word.find_iter(&file.text).map(|found| found.as_str()))
            .collect();
        for name in list_dependencies(&table, TABLES) {
            // A dependency that one of our features enables may only be needed for its own
            // features.
            if words.contains(name.replace('-', "_").as_str()) || in_feature(&table, &name) {
                continue;
            }
            findings.push(Finding {
                line: line_of(&manifest.text, &name),
                ..Finding::in_file(
                    manifest.path.clone(),
                    "unused-dependency",
                    format!("unused dependency `{name}`"),
                    "remove it, or add it with a reason to [[gates.deadcode.allow]] in release.toml",
                )
            });
        }
    }
    Ok(findings)
}

/// Whether a feature of the package enables the dependency `name`, or a feature of it.
fn in_feature(manifest: &toml::Table, name: &str) -> bool {
    let features = manifest.get("features").and_then(toml::Value::as_table);
    features
        .into_iter()
        .flat_map(toml::Table::values)
        .filter_map(toml::Value::as_array)
        .flatten()
        .filter_map(toml::Value::as_str)
        .any(|member| {
            let member = member.strip_prefix("dep:").unwrap_or(member);
            member.split(['/', '?']).next() == Some(name)
        })
}

/// The nearest manifest folder that contains `path`.
fn owner<'a>(path: &str, folders: &BTreeSet<&'a str>) -> Option<&'a str> {
    let within = |folder: &&&str| folder.is_empty() || path.starts_with(&format!("{folder}/"));
    folders.iter().filter(within).max_by_key(|folder| folder.len()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_dependency_that_no_code_of_its_package_names_is_found_with_its_line() {
        let manifests = [
            file("a/Cargo.toml", "[dependencies]\nserde-json = \"1\"\ntar.workspace = true\n"),
            file("a/fuzz/Cargo.toml", "[dependencies]\nlibfuzzer-sys = \"1\"\n"),
            file("Cargo.toml", "[workspace.dependencies]\nx = \"1\"\n"),
        ];
        let rust = [
            file("a/src/lib.rs", "use serde_json::Value;"),
            file("b/src/lib.rs", "use tar::Archive;"),
            file("a/fuzz/f.rs", "libfuzzer_sys::fuzz_target!(|_| {});"),
        ];
        let findings = find_unused(&manifests, &rust).unwrap();
        let places: Vec<_> = findings.iter().map(|f| (f.file.as_str(), f.line)).collect();
        assert_eq!(places, [("a/Cargo.toml", Some(3))]);
    }

    #[test]
    fn dependencies_of_one_platform_count_and_features_excuse() {
        let manifest = "[features]\ntls = [\"dep:rustls\"]\n[dependencies]\nrustls = \"1\"\n[target.'cfg(unix)'.dev-dependencies]\nnix = \"1\"\n";
        let findings = find_unused(&[file("Cargo.toml", manifest)], &[]).unwrap();
        let names: Vec<_> = findings.iter().map(|f| f.message.as_str()).collect();
        assert_eq!(names, ["unused dependency `nix`"]);
    }

    #[test]
    fn a_malformed_manifest_is_named() {
        let error = find_unused(&[file("a/Cargo.toml", "[")], &[]).unwrap_err();
        assert!(error.to_string().contains("a/Cargo.toml is malformed"));
    }
}
