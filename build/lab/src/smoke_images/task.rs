// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A task for images under test: an example's folder, with a sparse file behind a loop device as
//! disk.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use engine::{Run, StepLog};
use foundation::file;
use foundation::tree::remove;

/// Disk size in bytes: enough for the examples; the file stays sparse.
const SIZE: u64 = 20 << 30;

/// Folder of persistent disk names: a recipe must use one of these, not a loop device.
const NAMES: &str = "/dev/disk/by-id";

/// The partition layout, and its replacement under QEMU user mode, which lacks the ioctl BLKBSZSET
/// (linux-user/ioctls.h) with which mkfs.xfs sets the block size.
const LAYOUT: &str = "layout.json";
const EMULATED: (&str, &str) = ("\"xfs\"", "\"ext4\"");

/// A task and its disk. Dropping it removes the loop device and its persistent name.
pub(super) struct Task {
    folder: PathBuf,
    device: String,
    name: PathBuf,
}

impl Task {
    /// Creates the task of `example` in the new folder `folder`, with `values` for variables of its
    /// recipe. `emulated`: images run under QEMU user mode.
    pub(super) fn new(
        run: &Run,
        log: &StepLog,
        example: &Path,
        folder: &Path,
        values: &[(&str, &str)],
        emulated: bool,
    ) -> Result<Self> {
        for part in ["provision", "state"] {
            let path = folder.join(part);
            file::create_folder(&path)?;
        }
        let file = folder.join("disk.img");
        fs::File::create(&file)?.set_len(SIZE)?;
        let attach = run.command("losetup").args(["--find", "--show", "--partscan"]).arg(&file);
        let printed = run
            .capture(log, &attach)
            .context("no loop device available: needs root and /dev/loop-control")?;
        let device = String::from_utf8_lossy(&printed).trim().to_owned();
        let name = Path::new(NAMES).join(format!("smoke-{}", device.replace('/', "-")));
        let task = Self { folder: folder.to_owned(), device, name };
        fs::create_dir_all(NAMES).with_context(|| format!("cannot create {NAMES}"))?;
        // A killed run may have left a link to the same device.
        remove(&task.name)?;
        symlink(&task.device, &task.name)
            .with_context(|| format!("cannot create {}", task.name.display()))?;
        task.write(example, values)?;
        if emulated && example.join(LAYOUT).exists() {
            task.edit(LAYOUT, |layout| layout.replace(EMULATED.0, EMULATED.1))?;
        }
        Ok(task)
    }

    /// The task folder as the dispatcher writes it.
    pub(super) fn provision(&self) -> PathBuf {
        self.folder.join("provision")
    }

    /// State folder of the steps.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn write(&self, example: &Path, values: &[(&str, &str)]) -> Result<()> {
        for from in file::list(example)? {
            let to = self.provision().join(from.file_name().unwrap_or_default());
            fs::copy(&from, &to).with_context(|| format!("cannot write {}", to.display()))?;
        }
        self.edit("recipe.env", |env| {
            let env =
                values.iter().fold(env, |env, (name, value)| replace_value(&env, name, value));
            replace_value(&env, "TARGET_DISK", &self.name.to_string_lossy())
        })
    }

    /// Edits a file of the task.
    fn edit(&self, name: &str, change: impl FnOnce(String) -> String) -> Result<()> {
        let path = self.provision().join(name);
        let text = file::read_text(&path)?;
        fs::write(&path, change(text)).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// `env` (`NAME="VALUE"` lines) with `value` for `name`, if present.
fn replace_value(env: &str, name: &str, value: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((found, _)) if found == name => format!("{name}=\"{value}\"\n"),
        _ => format!("{line}\n"),
    };
    env.lines().map(line).collect()
}

impl Drop for Task {
    fn drop(&mut self) {
        // Drop cannot report a failure.
        let _left = fs::remove_file(&self.name);
        let _left = std::process::Command::new("losetup").args(["--detach", &self.device]).status();
    }
}

#[cfg(test)]
mod tests {
    use super::replace_value;

    #[test]
    fn only_the_value_that_is_named_changes() {
        let env = "A=\"1\"\nTARGET_DISK=\"/dev/x\"\nOTHER_TARGET_DISK=\"/dev/y\"\n";
        assert_eq!(
            replace_value(env, "TARGET_DISK", "/dev/z"),
            "A=\"1\"\nTARGET_DISK=\"/dev/z\"\nOTHER_TARGET_DISK=\"/dev/y\"\n"
        );
        assert_eq!(replace_value("A=\"1\"\n", "B", "2"), "A=\"1\"\n");
    }
}
