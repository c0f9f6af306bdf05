// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The published examples are accepted, and the bad ones are rejected with the faults recorded
//! beside them. `UPDATE_GOLDEN=1` rewrites the records.
#![expect(clippy::unwrap_used, reason = "a test that can't go on stops")]

use std::{collections::BTreeSet, fs, path::Path, path::PathBuf};

use recipe::{CURRENT, PREVIOUS, Recipe, TaskTarget, validate, validate_against};

fn json_files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| !path.to_string_lossy().ends_with(".expected.json"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_target_has_an_example_that_is_accepted_without_a_warning() {
    let mut targets = BTreeSet::new();
    for path in json_files("examples") {
        let validated = validate(&fs::read(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(validated.schema, CURRENT, "{}", path.display());
        assert_eq!(validated.warnings, [], "{}", path.display());
        targets.insert(validated.recipe.task_target.to_string());
    }
    for target in TaskTarget::KNOWN {
        assert!(targets.contains(target.as_str()), "no example for {target}");
    }
}

#[test]
fn an_example_survives_the_typed_model() {
    for path in json_files("examples") {
        let bytes = fs::read(&path).unwrap();
        let recipe = validate(&bytes).unwrap().recipe;
        let written = serde_json::to_vec(&recipe).unwrap();
        let again: Recipe = validate(&written).unwrap().recipe;
        assert_eq!(again, recipe, "{}", path.display());
        let (before, after): (serde_json::Value, serde_json::Value) =
            (serde_json::from_slice(&bytes).unwrap(), serde_json::from_slice(&written).unwrap());
        assert_eq!(after, before, "{}", path.display());
    }
}

#[test]
fn the_schema_before_accepts_what_uses_none_of_the_news() {
    for path in json_files("examples") {
        let bytes = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let uses_news = ["firmware_sha256", "erase_disks"].iter().any(|new| text.contains(new));
        assert_eq!(validate_against(PREVIOUS, &bytes).is_err(), uses_news, "{}", path.display());
    }
}

#[test]
fn bad_recipes_have_the_faults_written_down() {
    let bad = json_files("tests/bad");
    assert!(bad.len() >= 15, "the bad examples were not found");
    for path in bad {
        let Err(error) = validate(&fs::read(&path).unwrap()) else {
            panic!("{} was accepted", path.display());
        };
        let found = serde_json::to_string_pretty(&error).unwrap() + "\n";
        let golden = path.with_extension("expected.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden)
            .unwrap_or_else(|error| panic!("{}: {error}", golden.display()));
        assert_eq!(found, expected, "{}", path.display());
    }
}
