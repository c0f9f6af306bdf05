// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Durable file system changes: atomic writes, renames and removal.
//!
//! # Durability
//! [`Pending`] and [`write()`] write a temporary file in the target's folder, then `fchmod`,
//! `fsync`, `rename`, and `fsync` of the folder. Other processes see either the old or the new
//! file. After success, the new file survives a power failure. On failure, the target is unchanged
//! and the temporary file is removed, by [`remove_temporary`] too; `SIGKILL` or a power failure may
//! leave it, with the name prefix [`TEMPORARY`].
//!
//! Missing folders are not created, and errors do not contain the path: callers add it.
#![forbid(unsafe_code)]

mod temporary;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use tempfile::NamedTempFile;

use temporary::Known;
pub use temporary::{TemporaryFolder, remove_temporary};

/// Name prefix of temporary files.
pub const TEMPORARY: &str = ".tmp-";

/// Permission bits of a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Exactly these bits, regardless of the umask. The temporary file has 0600 until it is
    /// complete.
    Exact(u32),
    /// These bits, reduced by the umask, as in `open(2)`.
    Masked(u32),
}

impl Mode {
    /// 0666 reduced by the umask, the default of most programs.
    pub const DEFAULT: Self = Self::Masked(0o666);

    fn at_creation(self) -> u32 {
        match self {
            Self::Exact(_) => 0o600,
            Self::Masked(bits) => bits,
        }
    }

    fn complete(self, file: &File) -> io::Result<()> {
        match self {
            Self::Exact(bits) => file.set_permissions(Permissions::from_mode(bits)),
            Self::Masked(_) => Ok(()),
        }
    }
}

/// A temporary file, renamed when complete. Dropping it removes it.
#[derive(Debug)]
pub struct Pending {
    file: NamedTempFile,
    mode: Mode,
    _known: Known,
}

impl Pending {
    /// Creates a temporary file in `folder`, the folder of its final name.
    pub fn new_in(folder: &Path, mode: Mode) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        let permissions = Permissions::from_mode(mode.at_creation());
        let builder = builder.prefix(TEMPORARY).permissions(permissions);
        let (file, known) = Known::create(|| builder.tempfile_in(folder), NamedTempFile::path)?;
        Ok(Self { file, mode, _known: known })
    }

    /// Path of the temporary file.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The temporary file, for seeking.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Renames the file to `path` in the same folder, replacing an existing file.
    pub fn replace(self, path: &Path) -> io::Result<()> {
        self.complete()?.persist(path)?;
        sync_folder(parent(path))
    }

    /// As [`replace`](Self::replace), but fails with [`ErrorKind::AlreadyExists`] if `path` exists.
    pub fn create(self, path: &Path) -> io::Result<()> {
        self.complete()?.persist_noclobber(path)?;
        sync_folder(parent(path))
    }

    fn complete(self) -> io::Result<NamedTempFile> {
        self.mode.complete(self.file.as_file())?;
        self.file.as_file().sync_all()?;
        Ok(self.file)
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes `bytes` to `path` atomically, replacing an existing file.
pub fn write(path: &Path, mode: Mode, bytes: &[u8]) -> io::Result<()> {
    let mut pending = Pending::new_in(parent(path), mode)?;
    pending.write_all(bytes)?;
    pending.replace(path)
}

/// Creates and syncs a new file. Not atomic, and without a sync of the folder: for files in a
/// folder that is not in use yet.
pub fn write_new(path: &Path, mode: Mode, bytes: &[u8]) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode.at_creation()).open(path)?;
    file.write_all(bytes)?;
    mode.complete(&file)?;
    file.sync_all()
}

/// Renames a file that is already synced, and syncs the folder of `to`.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(parent(to))
}

/// Removes a file, a link, or a folder recursively. Returns false if it did not exist. Does not
/// sync its folder.
pub fn remove(path: &Path) -> io::Result<bool> {
    let Some(found) = absent_is_none(fs::symlink_metadata(path))? else { return Ok(false) };
    let removed = if found.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    Ok(absent_is_none(removed)?.is_some())
}

/// Removes a file or a link, but not a folder. Returns false if it did not exist. Does not sync its
/// folder.
pub fn remove_file(path: &Path) -> io::Result<bool> {
    Ok(absent_is_none(fs::remove_file(path))?.is_some())
}

/// Maps a missing file, or a missing folder above it, to `Ok(None)`.
pub fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Syncs `folder`, so that changed names in it survive a power failure.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Unit in which most file systems allocate space, in bytes.
pub const PAGE: u64 = 4096;

/// Bytes that files of these sizes need, each rounded up to `unit`.
pub fn space(unit: u64, sizes: impl Iterator<Item = u64>) -> u64 {
    sizes.fold(0, |sum, size| sum.saturating_add(size.div_ceil(unit).saturating_mul(unit)))
}

/// Bytes that the file system of `folder` has free for this user.
pub fn free_space(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The folder of `path`; `.` for a bare name.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn sizes_are_rounded_up_and_never_overflow() {
        assert_eq!(space(512, [0, 1, 512, 513].into_iter()), 4 * 512);
        assert_eq!(space(PAGE, [u64::MAX, 1].into_iter()), u64::MAX);
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_file_is_replaced_whole_and_leaves_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, Mode::Exact(0o755), b"one").unwrap();
        assert_eq!(mode(&path), 0o755);
        write(&path, Mode::Exact(0o622), b"two").unwrap();
        assert_eq!((fs::read(&path).unwrap().as_slice(), mode(&path)), (b"two".as_slice(), 0o622));
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn the_umask_counts_where_it_should_and_a_secret_is_private_from_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        write(&path, Mode::DEFAULT, b"").unwrap();
        fs::write(&other, "").unwrap();
        assert_eq!(mode(&path), mode(&other));
        let pending = Pending::new_in(folder.path(), Mode::Exact(0o644)).unwrap();
        assert_eq!(mode(pending.path()), 0o600);
        assert!(pending.path().file_name().unwrap().to_str().unwrap().starts_with(TEMPORARY));
        drop(pending);
        assert_eq!(names(folder.path()), ["a", "b"]);
    }

    #[test]
    fn a_failed_write_leaves_the_folder_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("x"), "").unwrap();
        assert!(write(&taken, Mode::DEFAULT, b"content").is_err());
        let pending = Pending::new_in(folder.path(), Mode::DEFAULT).unwrap();
        assert_eq!(pending.create(&taken).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let error = write_new(&taken.join("x"), Mode::DEFAULT, b"y").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(taken.join("x")).unwrap(), b"");
        assert_eq!(names(folder.path()), ["taken"]);
    }

    #[test]
    fn a_taken_name_is_refused_and_a_free_one_given() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("key"), folder.path().join("moved"));
        let create = |content: &[u8]| {
            let mut pending = Pending::new_in(folder.path(), Mode::Exact(0o600)).unwrap();
            pending.write_all(content).unwrap();
            pending.create(&path)
        };
        create(b"one").unwrap();
        create(b"two").unwrap_err();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        rename(&path, &moved).unwrap();
        assert_eq!(names(folder.path()), ["moved"]);
    }

    #[test]
    fn removal_reports_whether_something_was_there_and_follows_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("tree/below")).unwrap();
        fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink("tree", at("link")).unwrap();
        assert!(remove(&at("link")).unwrap());
        assert!(remove_file(&at("tree")).is_err());
        assert_eq!(names(folder.path()), ["file", "tree"]);
        for name in ["tree", "file"] {
            assert!(remove(&at(name)).unwrap());
            assert!(!remove(&at(name)).unwrap());
            assert!(!remove_file(&at(name)).unwrap());
        }
        assert!(!remove(&at("file/below")).unwrap());
    }

    #[test]
    fn a_bare_name_is_in_the_working_folder() {
        assert_eq!(parent(Path::new("x")), Path::new("."));
        assert_eq!(parent(Path::new("a/x")), Path::new("a"));
    }
}
