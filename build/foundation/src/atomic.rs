// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Files that are there whole or not at all, whatever kills us while we write them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result};

/// Replaces `path` by `bytes`, mode 0644; makes the folders that it lies in.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, 0o644, |file| Ok(file.write_all(bytes)?))
}

/// Replaces `path` by what `fill` writes, with the mode `mode` whatever the umask.
///
/// The bytes go to a file of another name in the same folder, reach the disk, and take the name
/// `path` last. When `fill` fails, `path` is what it was and the other file is gone.
pub fn write_with<T>(
    path: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> Result<T>,
) -> Result<T> {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let temporary = Temporary(beside(path));
    let value = (|| {
        // Left by a process of the same number that was killed; only one runs at a time.
        drop(fs::remove_file(&temporary.0));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary.0)
            .with_context(|| format!("cannot make {}", temporary.0.display()))?;
        let value = fill(&mut file)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        Ok::<_, anyhow::Error>(value)
    })()
    .with_context(|| format!("cannot write {}", path.display()))?;
    fs::rename(&temporary.0, path).with_context(|| format!("cannot write {}", path.display()))?;
    sync_folder(folder)?;
    Ok(value)
}

/// Has the symbolic link `path` lead to `to`, relative to its folder, wherever it led before.
pub fn link(path: &Path, to: &Path) -> Result<()> {
    if fs::read_link(path).is_ok_and(|already| already == to) {
        return Ok(());
    }
    let temporary = Temporary(beside(path));
    symlink(to, &temporary.0)
        .and_then(|()| fs::rename(&temporary.0, path))
        .with_context(|| format!("cannot have {} lead to {}", path.display(), to.display()))
}

/// Makes what was renamed, made or removed in `folder` survive a power failure.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("cannot sync the folder {}", folder.display()))
}

/// A name next to `path` that no other write of this process uses; hidden, so that listings skip it.
fn beside(path: &Path) -> PathBuf {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unique = COUNTER.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}-{unique}.part", std::process::id()))
}

/// Removes the file when the write did not get to its end; after the rename nothing has the name.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It is gone after the rename, and a drop has nobody to tell of a failure.
        drop(fs::remove_file(&self.0));
    }
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
        write_with(&path, 0o755, |file| Ok(file.write_all(b"two")?)).unwrap();
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
    fn a_link_is_led_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("latest");
        for version in ["1.0.0", "1.1.0", "1.1.0"] {
            link(&path, Path::new(version)).unwrap();
            assert_eq!(fs::read_link(&path).unwrap(), Path::new(version));
        }
        assert_eq!(names(folder.path()), ["latest"]);
        fs::create_dir(folder.path().join("folder")).unwrap();
        let error = link(&folder.path().join("folder"), Path::new("1.0.0")).unwrap_err();
        assert!(error.to_string().ends_with("folder lead to 1.0.0"), "{error}");
    }

    #[test]
    fn a_folder_that_is_a_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("file"), b"").unwrap();
        let error = write(&folder.path().join("file/below"), b"").unwrap_err();
        assert!(format!("{error:#}").contains("cannot make the folder"), "{error:#}");
    }
}
