// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A disk that is a sparse file behind a loop device, under the name that a task has for its disk.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::run::Run;
use crate::steps::StepLog;

/// Its size in bytes: enough for the examples; hardly any of it is written.
const SIZE: u64 = 20 << 30;

/// Where udev keeps lasting names of disks. A task on another disk is not carried out here.
const NAMES: &str = "/dev/disk/by-id/";

/// The disk. Dropped, its name and its loop device are gone.
pub(super) struct Disk {
    device: String,
    name: PathBuf,
}

impl Disk {
    /// The disk of the task in `task`, its file in `folder`.
    ///
    /// # Errors
    /// When this machine has no loop devices for us, or has a disk of that name.
    pub(super) fn new(run: &Run, log: &StepLog, folder: &Path, task: &Path) -> Result<Self> {
        let env = task.join("recipe.env");
        let env =
            fs::read_to_string(&env).with_context(|| format!("cannot read {}", env.display()))?;
        let name = target_disk(&env).context("the task has no target disk")?;
        ensure!(name.starts_with(NAMES), "the task's disk is {name}, not one below {NAMES}");
        let name = PathBuf::from(name);
        if name.symlink_metadata().is_ok() {
            bail!("this machine has a disk {}", name.display());
        }
        let file = folder.join("disk.img");
        fs::File::create(&file)?.set_len(SIZE)?;
        let attach = run
            .command("losetup")
            .args(["--find", "--show", "--partscan"])
            .arg(&file);
        let printed = run.capture(log, &attach).context("no loop device")?;
        let device = String::from_utf8_lossy(&printed).trim().to_owned();
        let disk = Self { device, name };
        fs::create_dir_all(NAMES).with_context(|| format!("cannot make {NAMES}"))?;
        symlink(&disk.device, &disk.name)
            .with_context(|| format!("cannot make {}", disk.name.display()))?;
        Ok(disk)
    }
}

/// The task's disk in the text of `recipe.env`.
fn target_disk(env: &str) -> Option<&str> {
    let value = env.lines().find_map(|line| line.strip_prefix("TARGET_DISK="))?;
    Some(value.trim_matches('"'))
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Where one of these fails there is nothing that could be done.
        let _left = fs::remove_file(&self.name);
        let _left = std::process::Command::new("losetup").args(["--detach", &self.device]).status();
    }
}

#[cfg(test)]
mod tests {
    use super::target_disk;

    #[test]
    fn the_disk_is_read_with_or_without_quotes() {
        assert_eq!(target_disk("A=1\nTARGET_DISK=\"/dev/x\"\n"), Some("/dev/x"));
        assert_eq!(target_disk("TARGET_DISK=/dev/x"), Some("/dev/x"));
        assert_eq!(target_disk("OTHER_TARGET_DISK=/dev/x"), None);
    }
}
