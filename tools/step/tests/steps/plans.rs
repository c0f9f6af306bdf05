// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The plan of every step for every example recipe, as `--dry-run` prints it.
//!
//! The plans are in `tests/golden`, their task folders in `tests/testdata/provision`, for trying
//! the tool images. `UPDATE_GOLDEN=1` rewrites both.

use std::fs;
use std::path::{Path, PathBuf};

use recipe::{Recipe, sha256_hex};

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

fn steps(target: &str) -> &'static [&'static [&'static str]] {
    match target {
        "install-linux.target" => &[
            &["partition", "--disk-size", "100G"],
            &["image-linux"],
            &["bootloader-linux"],
            &["config-drive"],
        ],
        "install-windows.target" => {
            &[&["partition", "--disk-size", "100G"], &["image-windows"], &["bootloader-windows"]]
        }
        "firmware-update.target" => &[&["firmware"]],
        "erase.target" => &[&["erase", "--method", "nvme-sanitize-block"]],
        _ => &[],
    }
}

#[test]
fn every_example_has_its_golden_plan() {
    // The golden plans name the boot loaders of x86-64.
    if !test_support::machine_gives("an x86-64 processor", cfg!(target_arch = "x86_64")) {
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut examples: Vec<PathBuf> = fs::read_dir(here.join("../../crates/recipe/examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        // Recipes of older schemas are in folders.
        .filter(|path| path.is_file())
        .collect();
    examples.sort();
    assert!(examples.len() >= 4, "{examples:?}");
    for example in examples {
        let name = example.file_stem().unwrap().to_str().unwrap();
        let recipe: Recipe = serde_json::from_slice(&fs::read(&example).unwrap()).unwrap();
        let contents = recipe.user_data.as_ref().map(|text| text.expose().to_owned());
        let target = recipe.task_target.to_string();
        let task = task(recipe);
        for step in steps(&target) {
            let args = [step, &["--dry-run", "--state", "/run/step"][..]].concat();
            let output = task.plain_step(&args);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let plan = String::from_utf8(output.stdout).unwrap();
            for line in contents.iter().flat_map(|text| text.lines()) {
                assert!(!plan.contains(line), "{name} {step:?} shows contents: {line}");
            }
            let golden = here.join(format!("tests/golden/{name}.{}.txt", step[0]));
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                fs::create_dir_all(golden.parent().unwrap()).unwrap();
                fs::write(&golden, &plan).unwrap();
            }
            let expected = fs::read_to_string(&golden).unwrap();
            assert!(
                plan == expected,
                "{} differs (digest {}); the plan is now:\n{plan}",
                golden.display(),
                sha256_hex(plan.as_bytes())
            );

            assert_task_folder(&task, &here.join("tests/testdata/provision").join(name));

            // The same plan as JSON.
            let output = task.plain_step(&[&args[..], &["--json"]].concat());
            let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(json["step"], step[0]);
            assert!(json["actions"].as_array().is_some());
        }
    }
}

/// Asserts that the folder of `task` equals the one stored at `kept`.
fn assert_task_folder(task: &Fixture, kept: &Path) {
    let written = task.path("provision");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let _was_not_there = fs::remove_dir_all(kept);
        fs::create_dir_all(kept).unwrap();
        for name in names(&written) {
            // Modes differ: the dispatcher's folder is private to root.
            fs::write(kept.join(&name), fs::read(written.join(&name)).unwrap()).unwrap();
        }
    }
    assert_eq!(names(&written), names(kept));
    for name in names(kept) {
        let differs = fs::read(written.join(&name)).unwrap() != fs::read(kept.join(&name)).unwrap();
        assert!(!differs, "{}/{name} differs from what is written now", kept.display());
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
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
