// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Shared by the integration tests: task folder, program, and optional tools.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use recipe::provision::{BuildInfo, Provision, RecipeEnv};
use recipe::{PartitionLayout, TaskTarget, UserData, sha256_hex};
use tempfile::TempDir;

/// A task folder and a state folder, removed on drop.
pub(crate) struct Fixture {
    pub(crate) dir: TempDir,
    pub(crate) provision: Provision,
}

impl Fixture {
    /// An empty task for `target`.
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
                    serial: Some("TEST-0001".parse().unwrap()),
                    job_id: None,
                    schema_id,
                    recipe_sha256: sha256.parse().unwrap(),
                },
                layout: None,
                erase: None,
                network: None,
                user_data: None,
                unattend_xml: None,
                ks_cfg: None,
                build_info: BuildInfo {
                    dispatcher_version: "0.0.0".into(),
                    dispatcher_commit: "unknown".into(),
                    schema_id: "https://provisioner.example/schema/recipe/1".parse().unwrap(),
                    recipe_sha256: sha256_hex(b"recipe").parse().unwrap(),
                    serial: Some("TEST-0001".parse().unwrap()),
                },
            },
        }
    }

    pub(crate) fn disk(mut self, disk: &str) -> Self {
        self.provision.env.target_disk = Some(disk.parse().unwrap());
        self
    }

    /// Partition layout as lines of `SIZE TYPE FORMAT LABEL`; `-` for no label.
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

    pub(crate) fn image(mut self, reference: &str) -> Self {
        self.provision.env.oci_url = Some(reference.parse().unwrap());
        self
    }

    pub(crate) fn user_data(mut self, text: &str) -> Self {
        self.provision.user_data = Some(UserData::new(text).unwrap());
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Runs `step ARGS` on this task, with its own state folder.
    pub(crate) fn step(&self, args: &[&str]) -> Output {
        let state = self.path("state");
        self.plain_step(&[args, &["--state", state.to_str().unwrap()]].concat())
    }

    /// Runs `step ARGS` on this task.
    pub(crate) fn plain_step(&self, args: &[&str]) -> Output {
        self.provision.write(&self.path("provision")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_step"))
            .args(args)
            .arg("--provision")
            .arg(self.path("provision"))
            .output()
            .unwrap()
    }

    /// As [`Fixture::step`], expecting success; returns stderr.
    pub(crate) fn step_ok(&self, args: &[&str]) -> String {
        let output = self.step(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "step {args:?}:\n{stderr}");
        stderr
    }

    /// As [`Fixture::step`], expecting exit code 1; returns stderr.
    pub(crate) fn step_fails(&self, args: &[&str]) -> String {
        let output = self.step(args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "step {args:?}:\n{stderr}");
        stderr
    }

    /// Number of files left in the work folder, normally 0.
    pub(crate) fn count_left_in_work(&self) -> usize {
        std::fs::read_dir(self.path("state/work")).map_or(0, Iterator::count)
    }
}

/// A disk on a loop device with a sparse file, with a link for recipes. Removed on drop, including
/// mounts left by a failed test.
pub(crate) struct LoopDisk {
    pub(crate) device: String,
    pub(crate) link: String,
    _file: tempfile::NamedTempFile,
}

impl LoopDisk {
    /// A disk of `mib` MiB with sectors of `sector` bytes; `None` without loop devices or one of
    /// the `programs`.
    pub(crate) fn new(programs: &[&str], mib: u64, sector: u32) -> Option<Self> {
        if !test_support::have(programs) || !test_support::have(&["losetup"]) {
            return None;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(mib << 20).unwrap();
        let output = Command::new("losetup")
            .args(["--find", "--show", "--partscan", "--sector-size", &sector.to_string()])
            .arg(file.path())
            .output()
            .unwrap();
        if !output.status.success() {
            let reason = format!("losetup: {}", String::from_utf8_lossy(&output.stderr).trim());
            test_support::skip(test_support::Requirement::Machine("loop devices"), &reason);
            return None;
        }
        let device = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        let by_id = Path::new("/dev/disk/by-id");
        std::fs::create_dir_all(by_id).unwrap();
        let name = format!("step-test-{}-{}", std::process::id(), device.replace('/', "-"));
        let link = by_id.join(name);
        std::fs::remove_file(&link).ok();
        std::os::unix::fs::symlink(&device, &link).unwrap();
        Some(Self { device, link: link.to_str().unwrap().to_owned(), _file: file })
    }

    /// Device path of partition `number`.
    pub(crate) fn partition(&self, number: usize) -> String {
        format!("{}p{number}", self.device)
    }

    /// A blkid tag of partition `number`, such as `UUID`; empty if it has none.
    pub(crate) fn tag(&self, number: usize, tag: &str) -> String {
        let output = Command::new("blkid")
            .args(["--probe", "-o", "value", "-s", tag, &self.partition(number)])
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Lines of the mount table for this disk.
    pub(crate) fn mounts(&self) -> Vec<String> {
        let table = std::fs::read_to_string("/proc/self/mounts").unwrap();
        table.lines().filter(|line| line.starts_with(&self.device)).map(str::to_owned).collect()
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        for line in self.mounts() {
            if let Some(target) = line.split(' ').nth(1) {
                Command::new("umount").args(["--recursive", "--lazy", target]).status().ok();
            }
        }
        std::fs::remove_file(&self.link).ok();
        Command::new("losetup").args(["--detach", &self.device]).status().ok();
    }
}

/// A temporary mount point, unmounted on drop.
pub(crate) struct Mounted(TempDir);

impl Mounted {
    pub(crate) fn new(device: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        sh("mount", &[device, dir.path().to_str().unwrap()]);
        Self(dir)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path()).status().ok();
    }
}

/// Standard output of a command that must succeed.
pub(crate) fn sh(program: &str, args: &[&str]) -> String {
    let place = test_support::find(program).unwrap();
    let output = Command::new(place)
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
