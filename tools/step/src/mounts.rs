// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Mounts that are undone in reverse order on success and failure.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

use crate::command;
use crate::program::Program;

/// Active mounts, oldest first.
#[derive(Default)]
pub(crate) struct Mounts(Vec<PathBuf>);

impl Mounts {
    /// Mounts `source` at `target`, which is created if missing. Device nodes and set-user-ID bits
    /// are disabled: they are for the installed system only.
    pub(crate) fn mount(
        &mut self,
        source: &str,
        target: &Path,
        fstype: &str,
        read_only: bool,
    ) -> Result<()> {
        prepare(target)?;
        if fstype == "ntfs" {
            mount_ntfs(source, target, read_only)?;
            self.0.push(target.to_owned());
            return Ok(());
        }
        let access = if read_only { MountFlags::RDONLY } else { MountFlags::empty() };
        let flags = access | MountFlags::NODEV | MountFlags::NOSUID;
        mount(source, target, fstype, flags, None)
            .with_context(|| format!("cannot mount {source} ({fstype}) at {}", target.display()))?;
        self.0.push(target.to_owned());
        Ok(())
    }

    /// Bind-mounts the folder `source` at `target`.
    pub(crate) fn bind(&mut self, source: &Path, target: &Path) -> Result<()> {
        prepare(target)?;
        mount_bind(source, target)
            .with_context(|| format!("cannot bind {} at {}", source.display(), target.display()))?;
        self.0.push(target.to_owned());
        Ok(())
    }

    /// Unmounts `target`, which must be the newest mount; anything else is a bug in the plan.
    pub(crate) fn unmount(&mut self, target: &Path) -> Result<()> {
        if self.0.last().map(PathBuf::as_path) != Some(target) {
            bail!("the plan unmounts {} which is not the newest mount", target.display());
        }
        unmount(target, UnmountFlags::empty())
            .with_context(|| format!("cannot unmount {}", target.display()))?;
        self.0.pop();
        Ok(())
    }
}

/// Mounts NTFS through FUSE: few kernels can write it. `lowntfs-3g` ignores case, as Windows does;
/// images differ in how they write `Windows/System32`.
fn mount_ntfs(source: &str, target: &Path, read_only: bool) -> Result<()> {
    let options =
        if read_only { "ignore_case,nodev,nosuid,ro" } else { "ignore_case,nodev,nosuid" };
    let target = target.display().to_string();
    command::run(&Program::new("lowntfs-3g", ["-o", options, source, &target]))?;
    Ok(())
}

/// Unmounts everything below `dir`, newest first, as left by a killed run.
///
/// Call this before deleting `dir`, so that no mounted disk or `/dev` is emptied with it.
pub(crate) fn unmount_below(dir: &Path) -> Result<()> {
    let table =
        fs::read_to_string("/proc/self/mountinfo").context("cannot read the mount table")?;
    for target in find_below(&table, dir).into_iter().rev() {
        eprintln!("clean-up: {} was left mounted", target.display());
        unmount(&target, UnmountFlags::empty())
            .or_else(|_| unmount(&target, UnmountFlags::DETACH))
            .with_context(|| format!("cannot unmount {}", target.display()))?;
    }
    Ok(())
}

/// Mount points below `dir` in `mountinfo` (proc(5)), oldest first.
fn find_below(mountinfo: &str, dir: &Path) -> Vec<PathBuf> {
    mountinfo
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|place| PathBuf::from(OsString::from_vec(unescape(place.as_bytes()))))
        .filter(|place| place.starts_with(dir))
        .collect()
}

/// Decodes the kernel's `\ooo` escapes of white space and backslashes.
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = tail;
            }
            _ => out.push(*first),
        }
    }
    out
}

/// Creates the mount point `target`. Symbolic links in its path are rejected: they would move the
/// mount.
fn prepare(target: &Path) -> Result<()> {
    let failed = || format!("cannot make the mount point {}", target.display());
    if let Some(there) = target.ancestors().find(|path| path.symlink_metadata().is_ok()) {
        let real = fs::canonicalize(there).with_context(failed)?;
        ensure!(real == there, "{}: {} is a symbolic link", failed(), there.display());
    }
    fs::create_dir_all(target).with_context(failed)
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for target in self.0.drain(..).rev() {
            // A program started by the step may keep the mount busy: detach it, and the kernel
            // frees the device when that program ends.
            let result = unmount(&target, UnmountFlags::empty())
                .or_else(|_| unmount(&target, UnmountFlags::DETACH));
            match result {
                Ok(()) => eprintln!("clean-up: unmounted {}", target.display()),
                Err(error) => eprintln!("clean-up: cannot unmount {}: {error}", target.display()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_below_a_folder_are_found_whatever_their_names() {
        let table = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n\
                     2 1 8:2 / /run/step/work/a\\040b\\134 rw - ext4 /dev/sda2 rw\n\
                     3 2 0:5 / /run/step/work/a\\040b\\134/dev rw - devtmpfs dev rw\n\
                     4 1 0:6 / /run/step/workshop rw - tmpfs tmpfs rw\n";
        let found = find_below(table, Path::new("/run/step/work"));
        let expected = ["/run/step/work/a b\\", "/run/step/work/a b\\/dev"];
        assert_eq!(found, expected.map(PathBuf::from));
    }
}
