// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Digests and removal of files and folder trees. A digest shows whether a step's outputs are
//! unchanged.

use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use oci::Digest;
use oci::digest::{Algorithm, Hasher};
use walkdir::WalkDir;

use crate::checksum;

/// SHA-256 over names, kinds, executable bits and contents of all files in `paths`, lower-case hex.
///
/// Independent of order, times and owners. A missing path counts as absent, so creating it changes
/// the digest.
pub fn digest<'a>(root: &Path, paths: impl IntoIterator<Item = &'a Path>) -> Result<String> {
    digest_files(root, paths, |path, _| Ok(checksum::sha256(path)?.0))
}

/// As [`digest`], but from size and times of a file in place of its content: for outputs of
/// gigabytes. The status change time (inode(7), `ctime`) shows a change even if the modification
/// time was set back.
pub fn stamp<'a>(root: &Path, paths: impl IntoIterator<Item = &'a Path>) -> Result<String> {
    digest_files(root, paths, |_, of| {
        let changed = (of.ctime(), of.ctime_nsec());
        Ok(format!("{} {:?} {:?}", of.len(), (of.mtime(), of.mtime_nsec()), changed))
    })
}

/// SHA-256 over names, kinds and executable bits of all files in `paths`, and what `file` returns
/// for each file.
fn digest_files<'a>(
    root: &Path,
    paths: impl IntoIterator<Item = &'a Path>,
    file: impl Fn(&Path, &Metadata) -> Result<String>,
) -> Result<String> {
    let mut paths: Vec<_> = paths.into_iter().collect();
    paths.sort_unstable();
    paths.dedup();
    let mut hash = Hasher::new(Algorithm::Sha256);
    for path in paths {
        let whole = root.join(path);
        if fs::symlink_metadata(&whole).is_err() {
            record(&mut hash, b"absent", path, &[]);
            continue;
        }
        for entry in WalkDir::new(&whole).sort_by_file_name() {
            let entry = entry.with_context(|| format!("cannot read {}", whole.display()))?;
            let name = entry.path().strip_prefix(root).unwrap_or(entry.path());
            if entry.file_type().is_dir() {
                record(&mut hash, b"folder", name, &[]);
            } else if entry.file_type().is_symlink() {
                let target = fs::read_link(entry.path())
                    .with_context(|| format!("cannot read {}", entry.path().display()))?;
                record(&mut hash, b"link", name, target.as_os_str().as_bytes());
            } else {
                let of = entry.metadata()?;
                let executable = of.permissions().mode() & 0o111 != 0;
                let kind: &[u8] = if executable { b"program" } else { b"file" };
                record(&mut hash, kind, name, file(entry.path(), &of)?.as_bytes());
            }
        }
    }
    Ok(hash.finish().hex().to_owned())
}

/// SHA-256 of `bytes`, lower-case hex.
pub fn digest_of_bytes(bytes: &[u8]) -> String {
    Digest::sha256(bytes).hex().to_owned()
}

/// Adds an entry. Each field is prefixed with its length, so that the encoding is unambiguous.
fn record(hash: &mut Hasher, kind: &[u8], name: &Path, content: &[u8]) {
    for field in [kind, name.as_os_str().as_bytes(), content] {
        hash.update(&(field.len() as u64).to_be_bytes());
        hash.update(field);
    }
}

/// Removes a file, link or folder tree, if it exists.
pub fn remove(path: &Path) -> Result<()> {
    files::remove(path).map(drop).with_context(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(root: &Path) -> String {
        digest(root, [Path::new("a"), Path::new("b")]).unwrap()
    }

    /// Every kind of change to a tree changes its digest, and undoing it restores the digest.
    #[test]
    fn every_change_shows() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("a/sub")).unwrap();
        fs::write(root.join("a/one"), "1").unwrap();
        fs::write(root.join("b"), "2").unwrap();
        let before = digest_of(root);
        assert_eq!(before, digest(root, [Path::new("b"), Path::new("a")]).unwrap());

        let mut seen = vec![before.clone()];
        let mut changed = |what: &str| {
            let now = digest_of(root);
            assert!(!seen.contains(&now), "{what} does not show");
            seen.push(now);
        };
        fs::write(root.join("a/one"), "one").unwrap();
        changed("another content");
        fs::write(root.join("a/one"), "1").unwrap();
        fs::set_permissions(root.join("a/one"), fs::Permissions::from_mode(0o755)).unwrap();
        changed("an executable bit");
        fs::set_permissions(root.join("a/one"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::rename(root.join("a/one"), root.join("a/two")).unwrap();
        changed("another name");
        fs::rename(root.join("a/two"), root.join("a/sub/one")).unwrap();
        changed("another folder");
        fs::rename(root.join("a/sub/one"), root.join("a/one")).unwrap();
        std::os::unix::fs::symlink("one", root.join("a/link")).unwrap();
        changed("a link");
        fs::remove_file(root.join("a/link")).unwrap();
        fs::remove_file(root.join("b")).unwrap();
        changed("a missing file");
        fs::create_dir(root.join("b")).unwrap();
        changed("a folder in the place of a file");
        fs::remove_dir(root.join("b")).unwrap();
        fs::write(root.join("b"), "2").unwrap();
        assert_eq!(digest_of(root), before);
    }

    #[test]
    fn a_stamp_shows_a_change_behind_a_restored_modification_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let stamp = || stamp(folder.path(), [Path::new("a")]).unwrap();
        fs::write(&path, "1").unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let before = stamp();
        assert_eq!(stamp(), before);
        // The file system's clock ticks in milliseconds.
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&path, "2").unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
        assert_ne!(stamp(), before);
    }
}
