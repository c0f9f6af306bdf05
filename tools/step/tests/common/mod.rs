// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What the integration tests share: a task folder, the program, and tools that may be missing.
#![allow(dead_code, reason = "each test file uses its own part of this module")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use recipe::provision::{BuildInfo, Provision, RecipeEnv};
use recipe::{PartitionLayout, TaskTarget, UserData, sha256_hex};
use tempfile::TempDir;

/// A task folder and a state folder that go when the test ends.
pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) provision: Provision,
}

impl Fixture {
    /// A task for `target` with nothing in it yet.
    pub(crate) fn new(target: TaskTarget) -> Self {
        let schema_id = "https://provisioner.example/schema/recipe/1".parse().unwrap();
        let sha256 = sha256_hex(b"recipe");
        Self {
            dir: tempfile::tempdir().unwrap(),
            provision: Provision {
                env: RecipeEnv {
                    task_target: target,
                    target_disk: None,
                    oci_url: None,
                    firmware_url: None,
                    firmware_sha256: None,
                    serial: "TEST-0001".parse().unwrap(),
                    job_id: None,
                    schema_id,
                    recipe_sha256: sha256.parse().unwrap(),
                },
                layout: None,
                user_data: None,
                unattend_xml: None,
                ks_cfg: None,
                build_info: BuildInfo {
                    dispatcher_version: "0.0.0".into(),
                    dispatcher_commit: "unknown".into(),
                    schema_id: "https://provisioner.example/schema/recipe/1".parse().unwrap(),
                    recipe_sha256: sha256_hex(b"recipe").parse().unwrap(),
                    serial: "TEST-0001".parse().unwrap(),
                },
            },
        }
    }

    pub(crate) fn disk(mut self, disk: &str) -> Self {
        self.provision.env.target_disk = Some(disk.parse().unwrap());
        self
    }

    /// `SIZE TYPE FORMAT LABEL`, one partition to a line; a label of `-` is none.
    pub(crate) fn layout(mut self, lines: &[&str]) -> Self {
        let partitions = lines
            .iter()
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let mut json = serde_json::json!({
                    "size": words[0], "type_guid": words[1], "format": words[2],
                });
                if words[3] != "-" {
                    json["label"] = words[3].into();
                }
                serde_json::from_value(json).unwrap()
            })
            .collect();
        self.provision.layout = Some(PartitionLayout::new(partitions).unwrap());
        self
    }

    pub(crate) fn user_data(mut self, text: &str) -> Self {
        self.provision.user_data = Some(UserData::new(text).unwrap());
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `step ARGS` on this task.
    pub(crate) fn step(&self, args: &[&str]) -> Output {
        self.provision.write(&self.path("provision")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_step"))
            .args(args)
            .arg("--provision")
            .arg(self.path("provision"))
            .arg("--state")
            .arg(self.path("state"))
            .output()
            .unwrap()
    }

    /// As [`Fixture::step`], which must succeed; its stderr.
    pub(crate) fn step_ok(&self, args: &[&str]) -> String {
        let output = self.step(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "step {args:?}:\n{stderr}");
        stderr
    }

    /// As [`Fixture::step`], which must fail with exit code 1; its stderr.
    pub(crate) fn step_fails(&self, args: &[&str]) -> String {
        let output = self.step(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "step {args:?}:\n{stderr}");
        stderr
    }

    /// Names in the state folder's work folder: none unless a step forgot to clean up.
    pub(crate) fn left_in_work(&self) -> usize {
        std::fs::read_dir(self.path("state/work")).map_or(0, Iterator::count)
    }
}

/// Whether all `programs` are installed; else says that the test is skipped, or fails where tests
/// must not be skipped.
pub(crate) fn have(programs: &[&str]) -> bool {
    let dirs = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let found = |program: &&&str| dirs.iter().any(|dir| Path::new(dir).join(program).exists());
    match programs.iter().find(|program| !found(program)) {
        Some(missing) => skip(&format!("{missing} is not installed")),
        None => true,
    }
}

/// Says why a test is skipped; always false.
pub(crate) fn skip(reason: &str) -> bool {
    assert!(std::env::var_os("REQUIRE_TOOLS").is_none(), "{reason}, and REQUIRE_TOOLS is set");
    eprintln!("skipped: {reason}");
    false
}

/// Standard output of a command that must succeed.
pub(crate) fn sh(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
