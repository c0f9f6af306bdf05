// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A fake host for the dispatcher, and tasks for it.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use iso9660::task::TaskIso;
use recipe::{CURRENT, provision::Provision};
use tempfile::TempDir;

/// A recipe with a secret.
pub(crate) const RECIPE: &str = r##"{
  "task_target": "install-linux.target",
  "target_disk": "/dev/disk/by-id/nvme-eui.0025385b11b2c3d4",
  "oci_url": "registry.example/os/debian:13",
  "partition_layout": [
    {"size": "512M", "type_guid": "ef00", "format": "vfat", "label": "ESP"},
    {"size": "100%", "type_guid": "8300", "format": "ext4", "label": "$(reboot) \"root\""}
  ],
  "user_data": "#cloud-config\npassword: hunter2\n"
}"##;

/// Root folder of a fake host, with a serial number and no devices.
pub(crate) struct Machine {
    dir: TempDir,
}

/// Result of a run.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let machine = Self { dir };
        machine.write("sys/class/dmi/id/product_serial", "CZ0815\n");
        fs::create_dir_all(machine.path("sys/block")).unwrap();
        machine
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    /// Writes a file, creating its folder.
    pub(crate) fn write(&self, below: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    /// A folder with the files of a task.
    pub(crate) fn task(&self, recipe: &str) -> PathBuf {
        self.write("task/recipe.schema.json", CURRENT.text);
        self.write("task/recipe.json", recipe);
        self.path("task")
    }

    /// Adds a device for a task below the host's `/dev`: a CD, a stick, or a read-only virtual
    /// disk.
    pub(crate) fn device(&self, name: &str, contents: &[u8]) {
        let is_virtual = name.starts_with("vd");
        self.block_device(name, contents, !is_virtual, is_virtual);
    }

    pub(crate) fn fixed_disk(&self, name: &str, contents: &[u8]) {
        self.block_device(name, contents, false, false);
    }

    fn block_device(&self, name: &str, contents: &[u8], removable: bool, read_only: bool) {
        self.write(&format!("dev/{name}"), contents);
        for (file, value) in [("removable", removable), ("ro", read_only)] {
            self.write(&format!("sys/block/{name}/{file}"), format!("{}\n", u8::from(value)));
        }
    }

    /// The dispatcher's command line with `--no-start`.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dispatcher"));
        command.args(["--no-start", "--timeout", "0", "--root"]).arg(self.dir.path());
        command.env_remove("PROVISIONER_SERIAL");
        command
    }

    /// Runs it with additional arguments.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ended {
        run(self.command().args(arguments))
    }

    /// Reads the written task.
    pub(crate) fn provision(&self) -> Provision {
        Provision::read(&self.path("run/provision")).unwrap()
    }

    /// Asserts that nothing was written, not even partly.
    pub(crate) fn is_untouched(&self) -> bool {
        !self.path("run").is_dir() || fs::read_dir(self.path("run")).unwrap().count() == 0
    }
}

/// Runs a command. It must never print contents of the recipe.
pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("hunter2"), "{stderr}");
    Ended { code: output.status.code(), stderr }
}

/// An image of [`RECIPE`] for the job `job`, by our writer.
pub(crate) fn iso(job: &str) -> Vec<u8> {
    let task = TaskIso {
        job_id: job.to_owned(),
        // 2026-01-01
        epoch: 1_767_225_600,
        recipe: RECIPE.into(),
        schema: CURRENT.text.into(),
        user_data: Some("#cloud-config\npassword: hunter2\n".into()),
        ..TaskIso::default()
    };
    task.to_bytes().unwrap()
}

/// An image of a folder by xorriso; `None` if it is not installed.
pub(crate) fn xorriso(folder: &Path, label: &str, image: &Path) -> Option<()> {
    let xorriso = test_support::find("xorriso")?;
    let (image, folder) = (image.to_str()?, folder.to_str()?);
    let args = ["-as", "mkisofs", "-quiet", "-R", "-J", "-V", label, "-o", image, folder];
    test_support::run(&xorriso, &args);
    Some(())
}
