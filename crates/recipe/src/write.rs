// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Replaces a folder as a whole: it is written under another name and renamed.

use std::{
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use files::Mode;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::provision_error::ProvisionError;

/// Makes `dir` a folder of exactly the files `contents`. A killed run leaves the old folder, and at most a
/// hidden folder beside it, which the next run removes.
pub(crate) fn replace_folder(
    dir: &Path,
    contents: &[(&'static str, Vec<u8>)],
) -> Result<(), ProvisionError> {
    let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
        return Err(map_failure("write", dir)(io::ErrorKind::InvalidInput.into()));
    };
    fs::create_dir_all(parent).map_err(map_failure("create", parent))?;
    let fresh = parent.join(format!(".{}.new", name.to_string_lossy()));
    let remove = || files::remove(&fresh).map_err(map_failure("remove", &fresh));
    remove()?;
    let placed = fill(&fresh, contents).and_then(|()| put_in_place(&fresh, dir));
    // This is now the old folder, or an unfinished one.
    let removed = remove();
    placed?;
    removed?;
    files::sync_folder(parent).map_err(map_failure("sync", parent))
}

/// Creates the folder `fresh` with its files, and syncs them.
fn fill(fresh: &Path, contents: &[(&'static str, Vec<u8>)]) -> Result<(), ProvisionError> {
    fs::DirBuilder::new().mode(0o700).create(fresh).map_err(map_failure("create", fresh))?;
    for (name, content) in contents {
        let path = fresh.join(name);
        files::write_new(&path, Mode::Exact(0o600), content)
            .map_err(map_failure("write", &path))?;
    }
    files::sync_folder(fresh).map_err(map_failure("sync", fresh))
}

/// Renames `fresh` to `dir`, or exchanges both if `dir` exists.
fn put_in_place(fresh: &Path, dir: &Path) -> Result<(), ProvisionError> {
    let flags = match fs::symlink_metadata(dir) {
        Ok(_) => RenameFlags::EXCHANGE,
        Err(error) if error.kind() == io::ErrorKind::NotFound => RenameFlags::NOREPLACE,
        Err(error) => return Err(map_failure("inspect", dir)(error)),
    };
    renameat_with(CWD, fresh, CWD, dir, flags)
        .map_err(|error| map_failure("replace", dir)(error.into()))
}

/// Adds the operation and `path` to an error of the kernel.
pub(crate) fn map_failure(
    action: &'static str,
    path: &Path,
) -> impl Fn(io::Error) -> ProvisionError {
    let path = PathBuf::from(path);
    move |source| ProvisionError::Io { action, path: path.clone(), source }
}
