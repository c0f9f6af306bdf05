// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Temporary files and folders of this process. [`remove_temporary`] removes them when it is stopped: a signal
//! drops nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::{Builder, TempDir};

use crate::TEMPORARY;

static PATHS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn lock() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    PATHS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A temporary file or folder, known until this is dropped.
#[derive(Debug)]
pub(crate) struct Known(PathBuf);

impl Known {
    /// Creates it; `path` is that of the result.
    pub(crate) fn create<T>(
        create: impl FnOnce() -> io::Result<T>,
        path: impl FnOnce(&T) -> &Path,
    ) -> io::Result<(T, Self)> {
        // Locked, so that none is created after the removal.
        let mut paths = lock();
        let created = create()?;
        let path = path(&created).to_owned();
        paths.insert(path.clone());
        Ok((created, Self(path)))
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        lock().remove(&self.0);
    }
}

/// A temporary folder. Dropping it removes it.
#[derive(Debug)]
pub struct TemporaryFolder {
    folder: TempDir,
    _known: Known,
}

impl TemporaryFolder {
    /// Creates a folder in that of `TMPDIR`.
    pub fn new() -> io::Result<Self> {
        Self::create(tempfile::tempdir)
    }

    /// Creates a folder in `parent`, with the prefix [`TEMPORARY`].
    pub fn new_in(parent: &Path) -> io::Result<Self> {
        Self::create(|| Builder::new().prefix(TEMPORARY).tempdir_in(parent))
    }

    fn create(create: impl FnOnce() -> io::Result<TempDir>) -> io::Result<Self> {
        let (folder, known) = Known::create(create, TempDir::path)?;
        Ok(Self { folder, _known: known })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes all temporary files and folders of this process, which must end now: none can be created any more.
pub fn remove_temporary() {
    let paths = lock();
    for path in paths.iter() {
        // Other threads may still write to a folder.
        for _ in 0..20 {
            if fs::remove_file(path).or_else(|_| fs::remove_dir_all(path)).is_ok() || !path.exists()
            {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
    std::mem::forget(paths);
}
