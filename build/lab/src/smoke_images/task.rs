// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A task that images carry out: an example's folder, with a sparse file behind a loop device in the
//! place of its disk.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use engine::{Run, StepLog};
use foundation::tree::remove;

/// The size of the disk in bytes: enough for the examples; hardly any of it is written.
const SIZE: u64 = 20 << 30;

/// Where lasting names of disks lie: a recipe may name a disk by one of these, and not a loop device.
const NAMES: &str = "/dev/disk/by-id";

/// The partitions of a task, and what takes the place of a format where QEMU's user mode runs the images: it
/// has no BLKBSZSET (linux-user/ioctls.h), by which mkfs.xfs sets the size of blocks.
const LAYOUT: &str = "layout.json";
const EMULATED: (&str, &str) = ("\"xfs\"", "\"ext4\"");

/// A task and its disk. Dropped, the loop device and its name are gone.
pub(super) struct Task {
    folder: PathBuf,
    device: String,
    name: PathBuf,
}

impl Task {
    /// The task of the example in `example`, in the new folder `folder`, with other `values` for
    /// variables of its recipe, and for images that are `emulated` or not.
    ///
    /// # Errors
    /// When this machine has no loop devices for us.
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
            fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        }
        let file = folder.join("disk.img");
        fs::File::create(&file)?.set_len(SIZE)?;
        let attach = run.command("losetup").args(["--find", "--show", "--partscan"]).arg(&file);
        let printed = run
            .capture(log, &attach)
            .context("there is no loop device for us: that takes root, and /dev/loop-control")?;
        let device = String::from_utf8_lossy(&printed).trim().to_owned();
        let name = Path::new(NAMES).join(format!("smoke-{}", device.replace('/', "-")));
        let task = Self { folder: folder.to_owned(), device, name };
        fs::create_dir_all(NAMES).with_context(|| format!("cannot make {NAMES}"))?;
        // One that a killed run left names the same device, which is ours now.
        remove(&task.name)?;
        symlink(&task.device, &task.name)
            .with_context(|| format!("cannot make {}", task.name.display()))?;
        task.write(example, values)?;
        if emulated && example.join(LAYOUT).exists() {
            task.edit(LAYOUT, |layout| layout.replace(EMULATED.0, EMULATED.1))?;
        }
        Ok(task)
    }

    /// What the dispatcher would have written.
    pub(super) fn provision(&self) -> PathBuf {
        self.folder.join("provision")
    }

    /// Where steps keep their state.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn write(&self, example: &Path, values: &[(&str, &str)]) -> Result<()> {
        let entries =
            fs::read_dir(example).with_context(|| format!("cannot read {}", example.display()))?;
        for entry in entries {
            let from = entry?.path();
            let to = self.provision().join(from.file_name().unwrap_or_default());
            fs::copy(&from, &to).with_context(|| format!("cannot write {}", to.display()))?;
        }
        self.edit("recipe.env", |env| {
            let env = values.iter().fold(env, |env, (name, value)| replaced(&env, name, value));
            replaced(&env, "TARGET_DISK", &self.name.to_string_lossy())
        })
    }

    /// Changes the text of a file of the task.
    fn edit(&self, name: &str, change: impl FnOnce(String) -> String) -> Result<()> {
        let path = self.provision().join(name);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        fs::write(&path, change(text)).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// `env`, a file of `NAME="VALUE"` lines, with another value for `name` where it has one.
fn replaced(env: &str, name: &str, value: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((found, _)) if found == name => format!("{name}=\"{value}\"\n"),
        _ => format!("{line}\n"),
    };
    env.lines().map(line).collect()
}

impl Drop for Task {
    fn drop(&mut self) {
        // Where one of these fails there is nothing that could be done.
        let _left = fs::remove_file(&self.name);
        let _left = std::process::Command::new("losetup").args(["--detach", &self.device]).status();
    }
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_the_value_that_is_named_changes() {
        let env = "A=\"1\"\nTARGET_DISK=\"/dev/x\"\nOTHER_TARGET_DISK=\"/dev/y\"\n";
        assert_eq!(
            replaced(env, "TARGET_DISK", "/dev/z"),
            "A=\"1\"\nTARGET_DISK=\"/dev/z\"\nOTHER_TARGET_DISK=\"/dev/y\"\n"
        );
        assert_eq!(replaced("A=\"1\"\n", "B", "2"), "A=\"1\"\n");
    }
}
