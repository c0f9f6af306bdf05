// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Durable file system changes: they are on the disk when the call returns ([`files`]). Missing
//! parent folders are created. Files created by root get the owner of their folder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::{Path, PathBuf};

use files::{Mode, Pending};
pub(crate) use files::{TEMPORARY, absent_is_none};

/// A file system operation failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {source}", path.display())]
pub struct FileError {
    /// Operation that failed, such as `write`.
    pub action: &'static str,
    /// File or folder.
    pub path: PathBuf,
    /// Error of the operating system.
    pub source: io::Error,
}

impl FileError {
    /// Returns whether the disk is full or the user's quota is exhausted.
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// Adds the operation and the path to a file system error.
pub(crate) trait WithPath<T> {
    /// `action` is a verb: `read`, `write`, `rename`.
    fn at(self, action: &'static str, path: &Path) -> Result<T, FileError>;
}

impl<T> WithPath<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> Result<T, FileError> {
        self.map_err(|source| FileError { action, path: path.to_owned(), source })
    }
}

/// Writes or replaces `path`. Creates its folder if necessary.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<(), FileError> {
    replace(path, content, Mode::DEFAULT)
}

/// Like [`write()`], with mode 0600.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), FileError> {
    replace(path, content, Mode::Exact(0o600))
}

fn replace(path: &Path, content: &[u8], mode: Mode) -> Result<(), FileError> {
    ensure_folder(files::parent(path))?;
    let write = || {
        let mut file = Pending::new_in(files::parent(path), mode)?;
        adopt(file.path())?;
        file.write_all(content)?;
        file.replace(path)
    };
    write().at("write", path)
}

/// Gives a file that root created to the owner of its folder. Otherwise maintenance commands run by
/// root would leave files that the service cannot use.
fn adopt(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.uid() != 0 {
        return Ok(());
    }
    let folder = fs::metadata(files::parent(path))?;
    if folder.uid() == 0 {
        return Ok(());
    }
    lchown(path, Some(folder.uid()), Some(folder.gid()))
}

/// Creates the empty file `path`. Returns whether it is new.
pub(crate) fn mark(path: &Path) -> Result<bool, FileError> {
    ensure_folder(files::parent(path))?;
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => {
            adopt(path).at("change the owner of", path)?;
            file.sync_all().at("write", path)?;
            sync_folder(files::parent(path))?;
            Ok(true)
        }
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(e).at("write", path),
    }
}

/// Renames a file whose content is already on the disk. Creates the target folder if necessary.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), FileError> {
    ensure_folder(files::parent(to))?;
    files::rename(from, to).at("rename", to)
}

/// Removes a file. Returns whether it existed.
pub(crate) fn remove(path: &Path) -> Result<bool, FileError> {
    let removed = files::remove_file(path).at("remove", path)?;
    if removed {
        sync_folder(files::parent(path))?;
    }
    Ok(removed)
}

/// Creates a folder and its parents.
pub(crate) fn ensure_folder(path: &Path) -> Result<(), FileError> {
    if path.is_dir() {
        return Ok(());
    }
    ensure_folder(files::parent(path))?;
    match fs::create_dir(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e).at("create", path),
        Err(_) => sync_folder(files::parent(path)),
        Ok(()) => {
            adopt(path).at("change the owner of", path)?;
            sync_folder(files::parent(path))
        }
    }
}

/// Returns the sorted names in a folder, without temporary files. A missing folder is empty.
pub(crate) fn names(folder: &Path) -> Result<Vec<String>, FileError> {
    let Some(entries) = absent_is_none(fs::read_dir(folder)).at("list", folder)? else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        // This program writes UTF-8 names only.
        if let Ok(name) = entry.at("list", folder)?.file_name().into_string()
            && !name.starts_with(TEMPORARY)
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn sync_folder(path: &Path) -> Result<(), FileError> {
    files::sync_folder(path).at("sync", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_atomically_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/file");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("x"), "").unwrap();
        assert!(write(&path, b"content").is_err());
        assert_eq!(names(folder.path()).unwrap(), ["taken"]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn marks_and_removals_return_whether_something_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x/mark");
        assert!(!remove(&path).unwrap());
        assert!(mark(&path).unwrap());
        assert!(!mark(&path).unwrap());
        assert!(remove(&path).unwrap());
        assert!(names(&folder.path().join("absent")).unwrap().is_empty());
    }
}
