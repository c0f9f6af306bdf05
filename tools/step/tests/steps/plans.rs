// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The plans of steps for the example recipes, as `--dry-run` prints them.
//!
//! `tests/golden/EXAMPLE.STEP.txt` has the plan, `tests/testdata/provision/EXAMPLE` the task folder, for smoke
//! tests of the tool images. `UPDATE_GOLDEN=1` rewrites both; an empty file adds a plan.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use recipe::{Recipe, sha256_hex};
use test_support::folder::names;

use crate::common::Fixture;

fn task(recipe: Recipe) -> Fixture {
    let mut task = Fixture::new(recipe.task_target);
    let provision = &mut task.provision;
    provision.env.target_disk = recipe.target_disk;
    provision.env.oci_url = recipe.oci_url;
    provision.env.firmware_url = recipe.firmware_url;
    provision.env.firmware_sha256 = recipe.firmware_sha256;
    provision.layout = recipe.partition_layout;
    provision.erase = recipe.erase_disks;
    provision.user_data = recipe.user_data;
    provision.unattend_xml = recipe.unattend_xml;
    provision.ks_cfg = recipe.ks_cfg;
    task
}

/// Arguments of a step that plans where no disk is.
fn arguments(step: &str) -> &'static [&'static str] {
    match step {
        "partition" => &["--disk-size", "100G"],
        "erase" => &["--method", "nvme-sanitize-block"],
        _ => &[],
    }
}

#[test]
fn every_example_has_its_golden_plans() {
    // The golden plans name the boot loaders of x86-64.
    if !test_support::machine_gives("an x86-64 processor", cfg!(target_arch = "x86_64")) {
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let examples = here.join("../../crates/recipe/examples");
    let mut planned = BTreeSet::new();
    // EXAMPLE.STEP.txt
    for file in names(&here.join("tests/golden")) {
        let [name, step, "txt"] = file.split('.').collect::<Vec<_>>()[..] else {
            panic!("{file}: another name")
        };
        let recipe = fs::read(examples.join(format!("{name}.json"))).unwrap();
        let recipe: Recipe = serde_json::from_slice(&recipe).unwrap();
        let contents = recipe.user_data.as_ref().map(|text| text.expose().to_owned());
        let task = task(recipe);
        let args = [&[step][..], arguments(step), &["--dry-run", "--state", "/run/step"]].concat();
        let output = task.plain_step(&args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let plan = String::from_utf8(output.stdout).unwrap();
        for line in contents.iter().flat_map(|text| text.lines()) {
            assert!(!plan.contains(line), "{file} shows contents: {line}");
        }
        let golden = here.join("tests/golden").join(&file);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &plan).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap();
        assert!(
            plan == expected,
            "{file} differs (digest {}); the plan is now:\n{plan}",
            sha256_hex(plan.as_bytes())
        );

        assert_task_folder(&task, &here.join("tests/testdata/provision").join(name));

        // The same plan as JSON.
        let output = task.plain_step(&[&args[..], &["--json"]].concat());
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["step"], step);
        assert!(json["actions"].as_array().is_some());
        planned.insert(format!("{name}.json"));
    }
    // The maintenance OS has no steps for it.
    planned.insert("install-esxi.json".to_owned());
    // Recipes of older schemas are in folders.
    let files = names(&examples).into_iter().filter(|name| examples.join(name).is_file());
    assert_eq!(planned, files.collect());
}

/// Asserts that the folder of `task` equals the one stored at `stored`.
fn assert_task_folder(task: &Fixture, stored: &Path) {
    let written = task.path("provision");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let _was_not_there = fs::remove_dir_all(stored);
        fs::create_dir_all(stored).unwrap();
        for name in names(&written) {
            // Modes differ: the dispatcher's folder is private to root.
            fs::write(stored.join(&name), fs::read(written.join(&name)).unwrap()).unwrap();
        }
    }
    assert_eq!(names(&written), names(stored));
    for name in names(stored) {
        let differs =
            fs::read(written.join(&name)).unwrap() != fs::read(stored.join(&name)).unwrap();
        assert!(!differs, "{}/{name} differs from what is written now", stored.display());
    }
}

#[test]
fn an_entry_point_prints_its_version() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_step"))
        .args(["config-drive", "--version"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains(build_info::version()), "{text}");
}

#[test]
fn the_version_is_the_one_that_is_stamped_into_the_program() {
    test_support::identity::check_stamped_identity(env!("CARGO_BIN_EXE_step").as_ref());
}
