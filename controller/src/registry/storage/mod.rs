// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The registry's store: a folder, and what may be done to it. Knows nothing of HTTP.
//!
//! Every call blocks, so async callers run it on a blocking thread. What a call acknowledges is on the
//! disk: it survives `kill -9` and a power cut. Contents are kept once for all repositories; a
//! repository holds links to them (see `layout`).

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
pub use survey::{Damaged, Protected};
pub use upload_id::UploadId;
pub use uploads::Session;

use crate::durable::{self, At as _, absent_is_none};
use cache::ManifestCache;
use layout::Layout;
use uploads::Sessions;

/// Locks for changes in a repository; more than writers that run at once.
const STRIPES: usize = 64;

/// How long a change waits for a garbage collection.
const COLLECTION_PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two attempts to get the lock of the collection.
const COLLECTION_PAUSE: Duration = Duration::from_millis(10);

/// A folder that holds a registry.
#[derive(Debug)]
pub struct Storage {
    layout: Layout,
    sessions: Sessions,
    cache: ManifestCache,
    stripes: Vec<Mutex<()>>,
    /// Held as long as the service runs: two on one folder would not see each other's uploads.
    _lock: Option<File>,
}

/// Held while links of a repository are read and then changed.
struct Change<'a> {
    _in_this_process: MutexGuard<'a, ()>,
    _against_collection: File,
}

impl Storage {
    /// Opens the registry in `root`; makes it where there is none.
    ///
    /// # Errors
    /// When the folder can't be made or written, another process serves it, or its layout is a later one.
    pub fn open(root: PathBuf) -> Result<Arc<Self>, StorageError> {
        let layout = Layout::new(root);
        durable::ensure_folder(layout.root())?;
        let lock_path = layout.lock();
        let lock = File::create(&lock_path).at("create", &lock_path)?;
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
        // Made now, by the user who will need it, and not by whoever runs maintenance first.
        storage.open_collection_lock()?;
        Ok(Arc::new(storage))
    }

    /// Opens the registry in `root` for maintenance, beside a service that may be running.
    ///
    /// # Errors
    /// When there is no registry, or its layout is a later one.
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

    /// The folder of the registry.
    pub fn root(&self) -> &Path {
        self.layout.root()
    }

    /// Writes and removes a small file: whether the registry can accept a push.
    ///
    /// # Errors
    /// When the disk is full or read-only.
    pub fn probe(&self) -> Result<(), StorageError> {
        let path = self.layout.root().join("probe");
        durable::write(&path, b"")?;
        durable::remove(&path)?;
        Ok(())
    }

    fn change(&self, repository: &Repository) -> Result<Change<'_>, StorageError> {
        let hash = repository
            .as_str()
            .bytes()
            .fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)));
        #[expect(clippy::indexing_slicing, reason = "there are STRIPES of them")]
        let stripe = &self.stripes[hash % STRIPES];
        // First, so that changes which wait for a collection wait at the same time.
        let shared = self.share_with_collection()?;
        // What the lock guards is on the disk, where a panic leaves nothing half-done.
        let guard = stripe.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Change { _in_this_process: guard, _against_collection: shared })
    }

    /// Waits for a garbage collection in another process, but not for ever: that process may be stopped.
    fn share_with_collection(&self) -> Result<File, StorageError> {
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

    /// Keeps every change out, in whichever process. Only maintenance waits here, in its own process.
    fn lock_against_changes(&self) -> Result<File, StorageError> {
        let path = self.layout.collection_lock();
        let file = self.open_collection_lock()?;
        file.lock().at("lock", &path)?;
        Ok(file)
    }

    /// Opens the file for reading: that is enough for a lock, also where another user made the file.
    fn open_collection_lock(&self) -> Result<File, StorageError> {
        let path = self.layout.collection_lock();
        if let Some(file) = absent_is_none(File::open(&path)).at("open", &path)? {
            return Ok(file);
        }
        durable::mark(&path)?;
        Ok(File::open(&path).at("open", &path)?)
    }
}

/// Whether there is a registry; one of another layout is an error.
fn check_version(layout: &Layout) -> Result<bool, StorageError> {
    let path = layout.version();
    match absent_is_none(fs::read_to_string(&path)).at("read", &path)? {
        None => Ok(false),
        Some(found) if found == layout::VERSION => Ok(true),
        Some(found) => Err(StorageError::Layout { path, found, expected: layout::VERSION }),
    }
}
