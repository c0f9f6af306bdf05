// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Atomic writes with a fixed temporary name, and removal of files.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ::files::Mode;
use anyhow::{Context as _, Result};

/// Writes `bytes` to `path` with permission bits `mode`, regardless of the umask. Replaces a
/// temporary file left by a killed run.
pub(crate) fn write_atomically(path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_path(path);
    remove_if_there(&temporary)?;
    ::files::write_new(&temporary, Mode::Exact(mode), bytes)
        .and_then(|()| ::files::rename(&temporary, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Appends `bytes` to the file `path` and syncs it.
pub(crate) fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    let opened = File::options().append(true).create(true).open(path);
    opened
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Syncs the finished file `from` to disk and renames it to `to` in the same folder.
pub(crate) fn publish(from: &Path, to: &Path) -> Result<()> {
    File::open(from)
        .and_then(|file| file.sync_all())
        .and_then(|()| ::files::rename(from, to))
        .with_context(|| format!("cannot bring {} to {}", from.display(), to.display()))
}

/// The temporary name for `path`, in the same folder, so that the rename is atomic.
pub(crate) fn temporary_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}

/// Removes the file `path`, if it exists.
pub(crate) fn remove_if_there(path: &Path) -> Result<()> {
    ::files::remove_file(path)
        .map(drop)
        .with_context(|| format!("cannot remove {}", path.display()))
}

/// Removes `path` recursively, if it exists.
pub(crate) fn remove_tree_if_there(path: &Path) -> Result<()> {
    ::files::remove(path).map(drop).with_context(|| format!("cannot remove {}", path.display()))
}

/// Deletes the content of the folder `path`, except an empty `lost+found`, which `fsck` requires.
pub(crate) fn empty_dir(path: &Path) -> Result<()> {
    let failed = || format!("cannot empty {}", path.display());
    for entry in fs::read_dir(path).with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let child = entry.path();
        if !entry.file_type().with_context(failed)?.is_dir() {
            fs::remove_file(&child).with_context(failed)?;
        } else if entry.file_name() == "lost+found" {
            empty_dir(&child)?;
        } else {
            fs::remove_dir_all(&child).with_context(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user-data");
        fs::write(&path, "old").unwrap();
        fs::write(temporary_path(&path), "left by a run that died").unwrap();
        write_atomically(&path, 0o640, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
