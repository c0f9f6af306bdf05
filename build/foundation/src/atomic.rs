// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Atomic writes ([`files`]) that create missing parent folders.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, Result};
use files::{Mode, Pending, TEMPORARY};

/// Replaces `path` by `bytes`, mode 0644; creates missing parent folders.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, 0o644, |file| Ok(file.write_all(bytes)?))
}

/// Replaces `path` by `bytes`, mode 0755; creates missing parent folders.
pub fn write_executable(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, 0o755, |file| Ok(file.write_all(bytes)?))
}

/// Replaces `path` by what `fill` writes, with mode `mode` regardless of the umask. When `fill`
/// fails, `path` is unchanged.
pub fn write_with<T>(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> Result<T>,
) -> Result<T> {
    let folder = files::parent(path);
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let write = || {
        let mut file = Pending::new_in(folder, Mode::Exact(mode))?;
        let value = fill(file.file())?;
        file.replace(path)?;
        anyhow::Ok(value)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Creates or replaces the symbolic link `path` with target `to`, relative to its folder.
pub fn link(path: &Path, to: &Path) -> Result<()> {
    if fs::read_link(path).is_ok_and(|already| already == to) {
        return Ok(());
    }
    // Runs are exclusive, so the process id makes the name unique.
    let temporary = path.with_file_name(format!("{TEMPORARY}link-{}", std::process::id()));
    files::remove_file(&temporary)
        .and_then(|_| symlink(to, &temporary))
        .and_then(|()| files::rename(&temporary, path))
        .inspect_err(|_| drop(fs::remove_file(&temporary)))
        .with_context(|| format!("cannot link {} to {}", path.display(), to.display()))
}

/// Syncs `folder`, so that renames, new files and removals survive a power failure.
pub fn sync_folder(folder: &Path) -> Result<()> {
    files::sync_folder(folder)
        .with_context(|| format!("cannot sync the folder {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use anyhow::bail;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn replaces_a_file_and_sets_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/file");
        write(&path, b"one").unwrap();
        write_executable(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o755);
        assert_eq!(names(path.parent().unwrap()), ["file"]);
    }

    #[test]
    fn a_failure_leaves_what_was_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write(&path, b"old").unwrap();
        let error = write_with(&path, 0o644, |file| {
            file.write_all(b"half")?;
            bail!("no more") as Result<()>
        });
        assert!(format!("{:#}", error.unwrap_err()).contains("file: no more"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[test]
    fn a_link_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latest");
        for version in ["1.0.0", "1.1.0", "1.1.0"] {
            link(&path, Path::new(version)).unwrap();
            assert_eq!(fs::read_link(&path).unwrap(), Path::new(version));
        }
        assert_eq!(names(folder.path()), ["latest"]);
        fs::create_dir(folder.path().join("folder")).unwrap();
        let error = link(&folder.path().join("folder"), Path::new("1.0.0")).unwrap_err();
        assert!(error.to_string().ends_with("folder to 1.0.0"), "{error}");
    }

    #[test]
    fn a_folder_that_is_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("file"), b"").unwrap();
        let error = write(&folder.path().join("file/below"), b"").unwrap_err();
        assert!(format!("{error:#}").contains("cannot create the folder"), "{error:#}");
    }
}
