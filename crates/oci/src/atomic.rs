// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Files that appear complete or not at all, even when the machine loses power.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::digest::{Algorithm, Digest, Hasher};

/// Removes the temporary file, unless it got its name.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Nothing can be done about a failure here; after the rename there is nothing to remove.
        fs::remove_file(&self.0).ok();
    }
}

/// Writes `content` into `folder` under the name that `name` makes of its digest.
/// A file of that name is replaced.
///
/// # Errors
/// When reading or writing fails; then the folder is as it was.
pub(crate) fn write_named(
    folder: &Path,
    mut content: impl Read,
    name: impl FnOnce(&Digest) -> String,
) -> io::Result<(Digest, u64)> {
    // Unique in this process by the counter, on this machine by the process id.
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!(".tmp-{}-{number}", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    let unfinished = Unfinished(path);
    let mut writer = HashingWriter { file, hasher: Hasher::new(Algorithm::Sha256) };
    let size = io::copy(&mut content, &mut writer)?;
    writer.file.sync_all()?;
    let digest = writer.hasher.finish();
    fs::rename(&unfinished.0, folder.join(name(&digest)))?;
    File::open(folder)?.sync_all()?;
    Ok((digest, size))
}

struct HashingWriter {
    file: File,
    hasher: Hasher,
}

impl Write for HashingWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.file.write(buffer)?;
        self.hasher.update(buffer.get(..n).unwrap_or_default());
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_leaves_the_folder_as_it_was() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("broken"))
            }
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "before").unwrap();
        let content = b"half".chain(Broken);
        assert!(write_named(folder.path(), content, |_| "a".to_owned()).is_err());
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
