// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The destination folder, used as the root of all paths in layers.
//!
//! The kernel resolves symbolic links, including absolute ones and `..`, with the folder as `/`
//! (openat2(2), `RESOLVE_IN_ROOT`); the last component is never followed. Requires Linux 5.6.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, linkat, mkdirat, mknodat,
    openat, openat2, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The destination folder.
pub(super) struct Root(OwnedFd);

/// A name in a folder below the root, which need not exist.
pub(super) struct Place {
    pub(super) parent: OwnedFd,
    pub(super) name: OsString,
}

impl Root {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let folder = openat(CWD, path, FOLDER, Mode::empty());
        let root = Self(folder.with_context(|| format!("cannot open {}", path.display()))?);
        match root.resolve(Path::new("")) {
            Err(Errno::NOSYS) => {
                bail!("this kernel can't confine paths (openat2): use Linux 5.6 or later")
            }
            resolved => drop(resolved.context("cannot confine paths")?),
        }
        Ok(root)
    }

    /// Opens the root folder.
    pub(super) fn folder(&self) -> Result<File> {
        Ok(File::from(self.0.try_clone()?))
    }

    /// Opens the folder `path`.
    fn resolve(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.0, path, FOLDER, Mode::empty(), resolve)
    }

    /// The place of `path`; missing parents are created with mode 0755.
    pub(super) fn place(&self, path: &Path) -> Result<Place> {
        let name = path.file_name().context("the path is empty")?.to_owned();
        let parent = self.make_folders(path.parent().unwrap_or(Path::new("")))?;
        Ok(Place { parent, name })
    }

    /// The place of `path`; `None` if its parent does not exist.
    pub(super) fn existing_place(&self, path: &Path) -> Result<Option<Place>> {
        let name = path.file_name().context("the path is empty")?.to_owned();
        match self.resolve(path.parent().unwrap_or(Path::new(""))) {
            Ok(parent) => Ok(Some(Place { parent, name })),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error).context("cannot open its folder"),
        }
    }

    fn make_folders(&self, path: &Path) -> Result<OwnedFd> {
        let mut done = PathBuf::new();
        let mut folder = match self.resolve(path) {
            Ok(folder) => return Ok(folder),
            Err(_) => self.resolve(&done)?,
        };
        for part in path.components() {
            done.push(part);
            folder = match self.resolve(&done) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => {
                    let shown = done.display();
                    match mkdirat(&folder, part.as_os_str(), Mode::from_raw_mode(0o755)) {
                        Err(Errno::EXIST) => {
                            bail!(
                                "{shown} is a symbolic link that leads out of the image or nowhere"
                            )
                        }
                        made => made.with_context(|| format!("cannot make the folder {shown}"))?,
                    }
                    self.resolve(&done)?
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot open {}", done.display()));
                }
            };
        }
        Ok(folder)
    }

    /// Names in the folder `path`; empty if it does not exist.
    pub(super) fn names(&self, path: &Path) -> Result<Vec<OsString>> {
        match self.resolve(path) {
            Ok(folder) => Ok(names(&folder)?),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(Vec::new()),
            Err(error) => Err(error).context("cannot open the folder"),
        }
    }
}

impl Place {
    /// Status of the file, without following links; `None` if it does not exist.
    fn stat(&self) -> Result<Option<Stat>, Errno> {
        match statat(&self.parent, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        matches!(self.stat(), Ok(Some(stat)) if is_folder(&stat))
    }

    pub(super) fn open_folder(&self) -> Result<File> {
        let folder = openat(&self.parent, &self.name, FOLDER | OFlags::NOFOLLOW, Mode::empty());
        folder.map(File::from).context("cannot open the folder")
    }

    pub(super) fn make_folder(&self) -> Result<()> {
        // Private until its mode is set.
        mkdirat(&self.parent, &self.name, Mode::from_raw_mode(0o700)).context("cannot create it")
    }

    pub(super) fn make_file(&self) -> Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(0o600);
        openat(&self.parent, &self.name, flags, mode).map(File::from).context("cannot create it")
    }

    pub(super) fn make_link(&self, target: &Place) -> Result<()> {
        let flags = AtFlags::empty();
        linkat(&target.parent, &target.name, &self.parent, &self.name, flags)
            .context("cannot create it")
    }

    pub(super) fn make_symlink(&self, target: &OsStr) -> Result<()> {
        symlinkat(target, &self.parent, &self.name).context("cannot create it")
    }

    pub(super) fn make_node(&self, kind: FileType, device: u64) -> Result<()> {
        mknodat(&self.parent, &self.name, kind, Mode::from_raw_mode(0o600), device)
            .context("cannot create it")
    }

    /// A path to the place through `/proc/self/fd`, for system calls without a folder argument. The
    /// open folder descriptor prevents layers from redirecting it.
    pub(super) fn process_path(&self) -> PathBuf {
        Path::new("/proc/self/fd").join(self.parent.as_raw_fd().to_string()).join(&self.name)
    }

    /// Removes the file or folder recursively, if it exists.
    pub(super) fn remove(&self) -> Result<()> {
        let removed = match self.stat().context("cannot read its status")? {
            None => Ok(()),
            Some(stat) if is_folder(&stat) => remove_folder(self.parent.as_fd(), &self.name),
            Some(_) => unlinkat(&self.parent, &self.name, AtFlags::empty()).map_err(Into::into),
        };
        removed.context("cannot remove the existing file")
    }
}

fn is_folder(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

fn names(folder: &OwnedFd) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// Removes a folder without following links. A mount point is an error.
fn remove_folder(parent: std::os::fd::BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let folder = openat(parent, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
    for child in names(&folder)? {
        let stat = statat(&folder, &child, AtFlags::SYMLINK_NOFOLLOW)?;
        if is_folder(&stat) {
            remove_folder(folder.as_fd(), &child)?;
        } else {
            unlinkat(&folder, &child, AtFlags::empty())?;
        }
    }
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}
