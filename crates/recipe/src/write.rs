// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Replaces a folder as a whole: it is written under another name and renamed.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::provision_error::ProvisionError;

/// Makes `dir` a folder of exactly `files`. A killed run leaves the old folder, and at most a
/// hidden folder beside it, which the next run removes.
pub(crate) fn replace_folder(
    dir: &Path,
    files: &[(&'static str, Vec<u8>)],
) -> Result<(), ProvisionError> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Err(failed("writing", dir)(io::ErrorKind::InvalidInput.into()));
    };
    fs::create_dir_all(parent).map_err(failed("making", parent))?;
    let fresh = parent.join(format!(".{}.new", name.to_string_lossy()));
    remove_if_there(&fresh)?;
    let placed = fill(&fresh, files).and_then(|()| put_in_place(&fresh, dir));
    // This is now the old folder, or an unfinished one.
    let removed = remove_if_there(&fresh);
    placed?;
    removed?;
    sync(parent)
}

/// Creates the folder `fresh` with its files, and syncs them.
fn fill(fresh: &Path, files: &[(&'static str, Vec<u8>)]) -> Result<(), ProvisionError> {
    fs::DirBuilder::new().mode(0o700).create(fresh).map_err(failed("making", fresh))?;
    for (name, contents) in files {
        let path = fresh.join(name);
        let write = || {
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(contents)?;
            file.sync_all()
        };
        write().map_err(failed("writing", &path))?;
    }
    sync(fresh)
}

/// Renames `fresh` to `dir`, or exchanges both if `dir` exists.
fn put_in_place(fresh: &Path, dir: &Path) -> Result<(), ProvisionError> {
    let flags = match fs::symlink_metadata(dir) {
        Ok(_) => RenameFlags::EXCHANGE,
        Err(error) if error.kind() == io::ErrorKind::NotFound => RenameFlags::NOREPLACE,
        Err(error) => return Err(failed("looking at", dir)(error)),
    };
    renameat_with(CWD, fresh, CWD, dir, flags)
        .map_err(|error| failed("putting in place", dir)(error.into()))
}

/// Removes a folder, or anything else with its name.
fn remove_if_there(path: &Path) -> Result<(), ProvisionError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("removing", path)(error))
        }
        _ => Ok(()),
    }
}

/// Syncs the entries of a folder.
fn sync(dir: &Path) -> Result<(), ProvisionError> {
    fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed("syncing", dir))
}

/// Adds the operation and `path` to an error of the kernel.
fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> ProvisionError {
    let path = PathBuf::from(path);
    move |source| ProvisionError::Io { doing, path: path.clone(), source }
}
