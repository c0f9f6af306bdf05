// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares the reference of `release.toml` with the keys that the types accept.

use std::collections::BTreeSet;

use test_support::reference::compare;

use super::engines::Job;
use super::product::Product;

const PAGE: &str = include_str!("../../../../docs/reference/release-toml.md");

/// Keys of the table at the end of `headers`, from the error for an unknown key; `None` if it is no
/// table. serde reports an unknown key before a missing one.
fn keys(headers: &str) -> Option<Vec<String>> {
    let error = toml::from_str::<Product>(&format!("{headers}\nzzz = 1\n")).unwrap_err();
    let error = error.to_string();
    let unknown = error.split_once("unknown field `zzz`, expected ");
    // A table by name with one key of several is an enumeration.
    let of_variant = || error.split_once("unknown variant `zzz`, expected ");
    let unknown = unknown.or_else(|| headers.ends_with(".NAME]").then(of_variant)?)?;
    Some(unknown.1.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

/// Adds the accepted keys of a table and of those in it, each as `HEADER KEY`.
fn walk(headers: &str, path: &str, accepted: &mut BTreeSet<String>) {
    for key in keys(headers).unwrap() {
        let path = format!("{path}{key}");
        let inner = [format!("[{path}]"), format!("[[{path}]]"), format!("[{path}.NAME]")];
        let inner = inner.map(|header| format!("{headers}\n{header}"));
        if let Some(table) = inner.iter().find(|headers| keys(headers).is_some()) {
            let path = if table.ends_with(".NAME]") {
                format!("{path}.NAME.")
            } else {
                format!("{path}.")
            };
            walk(table, &path, accepted);
        } else if path == "engines" {
            accepted.extend(Job::ALL.map(|job| format!("[engines] {}", job.name())));
        } else {
            let header = headers.lines().last().unwrap_or_default();
            assert!(accepted.insert(format!("{header} {key}")));
        }
    }
}

#[test]
fn the_reference_has_each_key_and_no_other() {
    let mut accepted = BTreeSet::new();
    walk("", "", &mut accepted);
    assert!(accepted.len() > 80, "{accepted:?}");
    compare("release.toml", PAGE, &accepted);
}
