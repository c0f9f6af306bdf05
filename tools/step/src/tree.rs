// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Paths in the installed system, mounted below a folder of the host.
//!
//! Images may have absolute symbolic links, such as `/boot -> /usr/boot`. The kernel resolves them
//! with that folder as the root (openat2(2), `RESOLVE_IN_ROOT`), so that no file of the host is
//! accessed instead.
//! this system is read or written in its place.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};

/// Opens the file `path` of the system at `root` for reading.
///
/// Only regular files: opening a FIFO would block, and a device node is one of the host. The type
/// is checked before opening, because opening a device can have side effects.
pub(crate) fn open(root: &Path, path: &Path) -> Result<File> {
    let open = || {
        let found = resolve(root, path, OFlags::PATH)?;
        let mode = fstat(&found)?.st_mode;
        if FileType::from_raw_mode(mode) != FileType::RegularFile {
            return Err(io::Error::other("it is not a regular file"));
        }
        // The same file, even if the path has changed since.
        File::open(format!("/proc/self/fd/{}", found.as_raw_fd()))
    };
    open().with_context(|| format!("cannot open {} of the image", path.display()))
}

/// Returns true if `path` exists in the system at `root`.
pub(crate) fn exists(root: &Path, path: &Path) -> bool {
    resolve(root, path, OFlags::PATH).is_ok()
}

/// Resolves the folder `path` of the system at `root` to a path on the host. Creates it with mode
/// 0755 if missing.
pub(crate) fn folder(root: &Path, path: &Path) -> Result<PathBuf> {
    let failed = || format!("cannot make {} in the image", path.display());
    let mut done = PathBuf::from("/");
    for part in path.strip_prefix("/").unwrap_or(path).components() {
        let parent = resolve_folder(root, &done).with_context(failed)?;
        done.push(part);
        if !exists(root, &done) {
            fs::create_dir(parent.join(part)).with_context(failed)?;
        }
    }
    resolve_folder(root, &done).with_context(failed)
}

/// Resolves the folder `path` of the system at `root`.
fn resolve_folder(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let folder = resolve(root, path, OFlags::PATH | OFlags::DIRECTORY)?;
    fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

fn resolve(root: &Path, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let root =
        openat(CWD, root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = flags | OFlags::CLOEXEC;
    Ok(openat2(root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Opening a FIFO blocks until it has a writer.
    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = FileType::Fifo;
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(CWD, dir.path().join("fifo"), fifo, mode, 0).unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        symlink("/fifo", dir.path().join("link")).unwrap();
        for path in ["/fifo", "/folder", "/link"] {
            let error = format!("{:#}", open(dir.path(), Path::new(path)).unwrap_err());
            assert!(error.contains("not a regular file"), "{error}");
        }
    }

    #[test]
    fn links_stay_in_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("root"), dir.path().join("outside"));
        fs::create_dir_all(root.join("usr")).unwrap();
        fs::create_dir_all(&outside).unwrap();
        fs::write(root.join("usr/file"), "inside").unwrap();
        symlink("/usr", root.join("lib")).unwrap();
        symlink("../../../../outside", root.join("up")).unwrap();

        let mut text = String::new();
        open(&root, Path::new("/lib/file")).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "inside");
        assert!(!exists(&root, Path::new("/up")));
        assert_eq!(folder(&root, Path::new("/lib/new/deep")).unwrap(), root.join("usr/new/deep"));
        assert!(root.join("usr/new/deep").is_dir());
        assert!(folder(&root, Path::new("/up/new")).is_err());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    }
}
