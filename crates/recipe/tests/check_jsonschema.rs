// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares our validator with `check-jsonschema`, which is written in Python.
#![expect(clippy::unwrap_used, reason = "a test that can't go on stops")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// The files that it rejects, by name; empty if it is not installed.
fn list_refused(arguments: &[&str], files: &[PathBuf]) -> Option<BTreeSet<String>> {
    let output = Command::new(test_support::find("check-jsonschema")?)
        .args(["--output-format", "json"])
        .args(arguments)
        .args(files)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(0 | 1)), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let lists = ["errors", "parse_errors"].into_iter().filter_map(|list| report[list].as_array());
    Some(
        lists.flatten().map(|error| name(Path::new(error["filename"].as_str().unwrap()))).collect(),
    )
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn json_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && !path.to_string_lossy().ends_with(".expected.json"))
        .collect()
}

const CURRENT: [&str; 2] = ["--schemafile", "schemas/recipe-1.1.schema.json"];
const PREVIOUS: [&str; 2] = ["--schemafile", "schemas/recipe-1.0.schema.json"];

#[test]
fn it_takes_the_schemas_and_every_example() {
    let (schemas, examples) = (json_files("schemas"), json_files("examples"));
    assert!(schemas.len() >= 2 && examples.len() >= 4);
    if let Some(schemas) = list_refused(&["--check-metaschema"], &schemas) {
        assert_eq!(schemas, BTreeSet::new());
        assert_eq!(list_refused(&CURRENT, &examples), Some(BTreeSet::new()));
        let before = json_files("examples/1.0");
        assert!(!before.is_empty());
        assert_eq!(list_refused(&PREVIOUS, &before), Some(BTreeSet::new()));
    }
}

#[test]
fn it_refuses_every_bad_example() {
    let bad = json_files("tests/bad");
    let mut expected: BTreeSet<String> = bad.iter().map(|path| name(path)).collect();
    // Our reader rejects duplicate members before validation.
    assert!(expected.remove("duplicate-members.json"));
    if let Some(refused) = list_refused(&CURRENT, &bad) {
        assert_eq!(refused, expected);
    }
}
