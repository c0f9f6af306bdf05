// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Files that are written whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Writes `bytes` to `path` with permission bits `mode`: temporary file in the same folder, fsync,
/// rename, fsync of the folder.
pub(crate) fn write_atomically(path: &Path, mode: u32, bytes: &[u8]) -> Result<()> {
    let temporary = temporary_for(path);
    remove_if_there(&temporary)?;
    // Private until it is whole; the umask has no say in the final mode.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(|| format!("cannot make {}", temporary.display()))?;
    file.write_all(bytes)
        .and_then(|()| file.set_permissions(fs::Permissions::from_mode(mode)))
        .with_context(|| format!("cannot write {}", temporary.display()))?;
    publish(&temporary, path)
}

/// Brings the finished file `from` to disk and renames it to `to` in the same folder.
pub(crate) fn publish(from: &Path, to: &Path) -> Result<()> {
    let rename = || {
        File::open(from)?.sync_all()?;
        fs::rename(from, to)?;
        File::open(to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
            .sync_all()
    };
    rename().with_context(|| format!("cannot bring {} to {}", from.display(), to.display()))
}

/// The name under which `path` is prepared: the same folder, so that the rename is atomic.
pub(crate) fn temporary_for(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    path.with_file_name(name)
}

/// Removes the file `path`; a file that is not there is no error.
pub(crate) fn remove_if_there(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Removes the folder `path` with all that is in it; a folder that is not there is no error.
pub(crate) fn remove_tree_if_there(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Deletes all that is in the folder `path`, but for an empty `lost+found`, which `fsck` wants.
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
    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user-data");
        fs::write(&path, "old").unwrap();
        fs::write(temporary_for(&path), "left by a run that died").unwrap();
        write_atomically(&path, 0o640, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
