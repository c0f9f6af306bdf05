// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Blob uploads in progress.
//!
//! Received data is in a file of the repository, so an upload can resume after a restart. The hash
//! state is in memory only and is recomputed from the file if it is missing.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use oci::digest::{Algorithm, Hasher};
use oci::{Digest, Repository};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::Storage;
use super::error::StorageError;
use super::flusher::Flusher;
use super::upload_id::UploadId;
use crate::durable::{self, WithPath as _, absent_is_none};

/// Buffer size for rehashing.
const BUFFER: usize = 128 * 1024;

type Shared = Arc<Mutex<State>>;

/// Uploads known to this process.
#[derive(Debug, Default)]
pub(super) struct Sessions(std::sync::Mutex<HashMap<UploadId, Shared>>);

impl Sessions {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<UploadId, Shared>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// State of an upload. It has no open file: thousands of idle uploads cost memory only.
#[derive(Debug)]
struct State {
    offset: u64,
    /// Hash of the first `offset` bytes; None after a restart.
    hasher: Option<Hasher>,
    /// Finished or cancelled while another request waited for it.
    ended: bool,
}

/// An upload locked by one request.
#[derive(Debug)]
pub struct Session {
    storage: Arc<Storage>,
    repository: Repository,
    id: UploadId,
    path: PathBuf,
    state: OwnedMutexGuard<State>,
    open: Option<Flusher>,
}

impl Storage {
    /// Starts an upload. `algorithm` is the expected one of its digest.
    pub fn start_upload(
        self: &Arc<Self>,
        repository: &Repository,
        algorithm: Algorithm,
    ) -> Result<UploadId, StorageError> {
        let id = UploadId::random().at("choose a name for", self.root())?;
        durable::mark(&self.layout.upload(repository, &id))?;
        let state = State { offset: 0, hasher: Some(Hasher::new(algorithm)), ended: false };
        self.sessions.with(|all| all.insert(id.clone(), Arc::new(Mutex::new(state))));
        Ok(id)
    }

    /// Locks an upload. Never waits: the holder may need the caller's thread to make progress.
    ///
    /// # Errors
    /// [`StorageError::UploadUnknown`] if there is no such upload in the repository,
    /// [`StorageError::UploadBusy`] if another request holds it.
    pub fn resume_upload(
        self: &Arc<Self>,
        repository: &Repository,
        id: &UploadId,
    ) -> Result<Session, StorageError> {
        let unknown = || StorageError::UploadUnknown(id.clone());
        let path = self.layout.upload(repository, id);
        let metadata = absent_is_none(fs::metadata(&path)).at("read", &path)?;
        let size = metadata.ok_or_else(unknown)?.len();
        let shared = self.sessions.with(|all| {
            let forgotten = || {
                let hasher = (size == 0).then(|| Hasher::new(Algorithm::Sha256));
                Arc::new(Mutex::new(State { offset: size, hasher, ended: false }))
            };
            Arc::clone(all.entry(id.clone()).or_insert_with(forgotten))
        });
        let Ok(state) = shared.try_lock_owned() else {
            return Err(StorageError::UploadBusy(id.clone()));
        };
        if state.ended {
            return Err(unknown());
        }
        Ok(Session {
            storage: Arc::clone(self),
            repository: repository.clone(),
            id: id.clone(),
            path,
            state,
            open: None,
        })
    }

    /// Removes uploads that were idle for `idle`. Returns their number.
    pub fn expire_uploads(self: &Arc<Self>, idle: Duration) -> Result<usize, StorageError> {
        let Some(limit) = SystemTime::now().checked_sub(idle) else { return Ok(0) };
        let mut removed = 0;
        for repository in self.repositories_with(&["_uploads"])? {
            let folder = self.layout.repository(&repository).join("_uploads");
            for name in durable::names(&folder)? {
                let path = folder.join(&name);
                let modified = absent_is_none(fs::metadata(&path).and_then(|m| m.modified()));
                let old = modified.at("read", &path)?.is_some_and(|modified| modified < limit);
                if let (true, Ok(id)) = (old, name.parse::<UploadId>()) {
                    match self.resume_upload(&repository, &id) {
                        Ok(session) => session.cancel()?,
                        // Another request has resumed or ended it.
                        Err(StorageError::UploadBusy(_) | StorageError::UploadUnknown(_)) => {
                            continue;
                        }
                        Err(error) => return Err(error),
                    }
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

impl Session {
    /// Returns the number of received bytes.
    pub fn offset(&self) -> u64 {
        self.state.offset
    }

    /// Returns the id of the upload.
    pub fn id(&self) -> &UploadId {
        &self.id
    }

    /// Checks that a chunk may start at `start`.
    ///
    /// # Errors
    /// [`StorageError::OutOfOrder`] if it may not.
    pub fn expect_start(&self, start: u64) -> Result<(), StorageError> {
        let offset = self.state.offset;
        if start == offset { Ok(()) } else { Err(StorageError::OutOfOrder { start, offset }) }
    }

    /// Appends bytes. On an error the upload keeps its previous size.
    pub fn append(&mut self, pieces: &[bytes::Bytes]) -> Result<(), StorageError> {
        let offset = self.state.offset;
        let flusher = match &mut self.open {
            Some(flusher) => flusher,
            None => self.open.insert(Flusher::new(open_at(&self.path, offset)?, offset)),
        };
        let mut added = 0;
        for piece in pieces {
            if let Err(e) = flusher.write_all(piece) {
                // Partly written data is truncated when the upload is resumed.
                self.open = None;
                return Ok(Err(e).at("write", &self.path)?);
            }
            added += piece.len() as u64;
        }
        if let Some(hasher) = &mut self.state.hasher {
            for piece in pieces {
                hasher.update(piece);
            }
        }
        self.state.offset = offset + added;
        Ok(())
    }

    /// Verifies the digest and stores the upload as a blob of the repository, on the disk.
    ///
    /// # Errors
    /// [`StorageError::DigestMismatch`] if the content differs; the upload is then discarded.
    pub fn finish(mut self, digest: &Digest) -> Result<u64, StorageError> {
        let size = self.state.offset;
        let flusher = match self.open.take() {
            Some(flusher) => flusher,
            None => Flusher::new(open_at(&self.path, size)?, size),
        };
        let found = self.digest(digest.algorithm())?;
        if found != *digest {
            self.discard()?;
            return Err(StorageError::DigestMismatch { expected: digest.clone(), found });
        }
        self.open = Some(flusher);
        self.sync()?;
        let storage = Arc::clone(&self.storage);
        let _change = storage.lock_repository(&self.repository)?;
        if storage.content_size(digest)?.is_some() {
            durable::remove(&self.path)?;
        } else {
            durable::rename(&self.path, &storage.layout.content(digest))?;
        }
        storage.link_blob(&self.repository, digest)?;
        self.state.ended = true;
        self.storage.sessions.with(|all| all.remove(&self.id));
        Ok(size)
    }

    /// Unlocks the upload after syncing it to the disk. Returns its size.
    ///
    /// # Errors
    /// If the disk fails; the upload is then discarded.
    pub fn pause(mut self) -> Result<u64, StorageError> {
        self.sync()?;
        Ok(self.state.offset)
    }

    /// Discards the upload.
    pub fn cancel(mut self) -> Result<(), StorageError> {
        self.discard()
    }

    fn discard(&mut self) -> Result<(), StorageError> {
        self.state.ended = true;
        self.storage.sessions.with(|all| all.remove(&self.id));
        durable::remove(&self.path)?;
        Ok(())
    }

    /// After a failed sync the file's content is undefined, so the upload cannot resume.
    fn sync(&mut self) -> Result<(), StorageError> {
        let Some(flusher) = self.open.take() else { return Ok(()) };
        let synced = flusher.sync().at("write", &self.path);
        if synced.is_err() {
            // The first error is the one to report.
            self.discard().ok();
        }
        Ok(synced?)
    }

    fn digest(&mut self, algorithm: Algorithm) -> Result<Digest, StorageError> {
        match self.state.hasher.take().map(Hasher::finish) {
            Some(found) if found.algorithm() == algorithm => Ok(found),
            _ => Ok(hash_file(&self.path, Hasher::new(algorithm)).at("read", &self.path)?),
        }
    }
}

/// Opens an upload for appending at `offset`.
fn open_at(path: &Path, offset: u64) -> Result<File, StorageError> {
    let file = OpenOptions::new().append(true).open(path).at("open", path)?;
    file.set_len(offset).at("write", path)?;
    Ok(file)
}

/// Hashes a file with the algorithm of `hasher`.
pub(super) fn hash_file(path: &Path, mut hasher: Hasher) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(buffer.get(..n).unwrap_or_default()),
        }
    }
}
