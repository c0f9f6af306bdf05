// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The registry's storage in a folder, independent of HTTP.
//!
//! Every call blocks, so async callers use a blocking thread. Acknowledged changes are on the disk:
//! they survive `kill -9` and a power cut. Contents are stored once for all repositories;
//! repositories have links to them (see `layout`).

mod blobs;
mod cache;
mod collect;
mod document;
mod error;
mod flusher;
mod graph;
mod layout;
mod listing;
mod manifests;
mod referrers;
mod scrub;
mod survey;
mod tags;
mod upload_id;
mod uploads;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use oci::Repository;

pub use blobs::BlobFile;
pub use collect::{Collection, Policy, Retention};
pub use document::MANIFEST_TYPES;
pub use error::StorageError;
pub use listing::Page;
pub use manifests::{Manifest, NewManifest, PutManifest};
pub use scrub::Scrub;
pub use survey::{DamagedManifest, Protected};
pub use upload_id::UploadId;
pub use uploads::Session;

use crate::durable::{self, WithPath as _, absent_is_none};
use cache::ManifestCache;
use layout::Layout;
use uploads::Sessions;

/// Number of repository locks; more than concurrent writers.
const STRIPES: usize = 64;

/// How long a change waits for a garbage collection.
const COLLECTION_PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two attempts to get the collection lock.
const COLLECTION_PAUSE: Duration = Duration::from_millis(10);

/// A registry in a folder.
#[derive(Debug)]
pub struct Storage {
    layout: Layout,
    sessions: Sessions,
    cache: ManifestCache,
    stripes: Vec<Mutex<()>>,
    /// Held while the service runs: two services on one folder would not see each other's uploads.
    _lock: Option<File>,
}

/// Lock that is held while links of a repository are read and then changed.
struct Change<'a> {
    _in_this_process: MutexGuard<'a, ()>,
    _against_collection: File,
}

impl Storage {
    /// Opens or creates the registry in `root`.
    ///
    /// # Errors
    /// If the folder cannot be written, another process serves it, or its layout is unsupported.
    pub fn open(root: PathBuf) -> Result<Arc<Self>, StorageError> {
        let layout = Layout::new(root);
        durable::ensure_folder(layout.root())?;
        let lock_path = layout.lock();
        // Not truncated: the folder is unchanged until something is pushed.
        let lock = File::options().create(true).append(true).open(&lock_path);
        let lock = lock.at("create", &lock_path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StorageError::InUse(layout.root().to_owned()));
            }
            Err(TryLockError::Error(e)) => Err(e).at("lock", &lock_path)?,
        }
        if !check_version(&layout)? {
            durable::write(&layout.version(), layout::VERSION.as_bytes())?;
        }
        let storage = Self::new(layout, Some(lock));
        // Created now, as the service's user, and not by the first maintenance command.
        storage.open_collection_lock()?;
        Ok(Arc::new(storage))
    }

    /// Opens the registry in `root` for maintenance, even while a service runs.
    ///
    /// # Errors
    /// If there is no registry, or its layout is unsupported.
    pub fn maintain(root: PathBuf) -> Result<Self, StorageError> {
        let layout = Layout::new(root);
        if !check_version(&layout)? {
            return Err(StorageError::NoRegistry(layout.root().to_owned()));
        }
        Ok(Self::new(layout, None))
    }

    fn new(layout: Layout, lock: Option<File>) -> Self {
        Self {
            layout,
            sessions: Sessions::default(),
            cache: ManifestCache::default(),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            _lock: lock,
        }
    }

    /// Returns the registry's folder.
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// Checks that the registry accepts writes, by writing and removing a small file.
    ///
    /// # Errors
    /// If the disk is full or read-only.
    pub fn probe(&self) -> Result<(), StorageError> {
        let path = self.layout.root().join("probe");
        durable::write(&path, b"")?;
        durable::remove(&path)?;
        Ok(())
    }

    fn lock_repository(&self, repository: &Repository) -> Result<Change<'_>, StorageError> {
        let hash = repository
            .as_str()
            .bytes()
            .fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)));
        #[expect(clippy::indexing_slicing, reason = "there are STRIPES of them")]
        let stripe = &self.stripes[hash % STRIPES];
        // Before the mutex, so that all changes wait for a collection in parallel.
        let shared = self.lock_collection_shared()?;
        // The guarded state is on the disk and consistent even after a panic.
        let guard = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Change { _in_this_process: guard, _against_collection: shared })
    }

    /// Waits for a garbage collection in another process. That process may be suspended: time-out.
    fn lock_collection_shared(&self) -> Result<File, StorageError> {
        let path = self.layout.collection_lock();
        let file = self.open_collection_lock()?;
        let deadline = Instant::now() + COLLECTION_PATIENCE;
        loop {
            match file.try_lock_shared() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(StorageError::Collecting);
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(COLLECTION_PAUSE),
                Err(TryLockError::Error(e)) => Err(e).at("lock", &path)?,
            }
        }
    }

    /// Blocks changes in all processes. Only maintenance commands wait here.
    fn lock_collection_exclusive(&self) -> Result<File, StorageError> {
        let path = self.layout.collection_lock();
        let file = self.open_collection_lock()?;
        file.lock().at("lock", &path)?;
        Ok(file)
    }

    /// Opens the file for reading, which suffices for a lock, even if another user owns it.
    fn open_collection_lock(&self) -> Result<File, StorageError> {
        let path = self.layout.collection_lock();
        if let Some(file) = absent_is_none(File::open(&path)).at("open", &path)? {
            return Ok(file);
        }
        durable::mark(&path)?;
        Ok(File::open(&path).at("open", &path)?)
    }
}

/// Returns whether a registry exists. An unsupported layout is an error.
fn check_version(layout: &Layout) -> Result<bool, StorageError> {
    let path = layout.version();
    match absent_is_none(fs::read_to_string(&path)).at("read", &path)? {
        None => Ok(false),
        Some(found) if found == layout::VERSION => Ok(true),
        Some(found) => Err(StorageError::Layout { path, found, expected: layout::VERSION }),
    }
}
