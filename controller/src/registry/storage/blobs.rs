// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Blobs, addressed by digest within a repository.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use oci::{Digest, Repository};

use super::Storage;
use super::error::StorageError;
use super::survey::Protected;
use crate::durable::{self, WithPath as _, absent_is_none};

/// Precision of the time of last interest in a blob; far below any grace period.
const INTEREST: Duration = Duration::from_mins(10);

/// An open blob.
#[derive(Debug)]
pub struct BlobFile {
    /// The file.
    pub file: File,
    /// Size in bytes.
    pub size: u64,
}

impl Storage {
    /// Returns the size of a blob.
    ///
    /// # Errors
    /// [`StorageError::BlobUnknown`] if it is not in the repository.
    pub fn blob_size(&self, repository: &Repository, digest: &Digest) -> Result<u64, StorageError> {
        self.linked_size(repository, digest)?
            .ok_or_else(|| StorageError::BlobUnknown(digest.clone()))
    }

    /// Opens a blob.
    ///
    /// # Errors
    /// [`StorageError::BlobUnknown`] if it is not in the repository.
    pub fn open_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<BlobFile, StorageError> {
        let unknown = || StorageError::BlobUnknown(digest.clone());
        if !self.holds_blob(repository, digest)? {
            return Err(unknown());
        }
        self.open_content(digest)?.ok_or_else(unknown)
    }

    /// Links a blob of `from` into `to`.
    ///
    /// # Errors
    /// [`StorageError::BlobUnknown`] if it is not in `from`.
    pub fn mount_blob(
        &self,
        from: &Repository,
        to: &Repository,
        digest: &Digest,
    ) -> Result<(), StorageError> {
        let _change = self.lock_repository(to)?;
        self.blob_size(from, digest)?;
        self.link_blob(to, digest)
    }

    /// Finds a repository with this blob among those that are `readable`.
    pub fn find_blob(
        &self,
        digest: &Digest,
        readable: &dyn Fn(&Repository) -> bool,
    ) -> Result<Option<Repository>, StorageError> {
        // Fast path: usually no repository has it.
        if self.content_size(digest)?.is_none() {
            return Ok(None);
        }
        for repository in self.all_repositories()? {
            if readable(&repository) && self.holds_blob(&repository, digest)? {
                return Ok(Some(repository));
            }
        }
        Ok(None)
    }

    /// Records that a client checked for a blob: it may be about to push a manifest that refers to
    /// it, so the blob's grace period starts again.
    pub fn note_interest(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<(), StorageError> {
        let path = self.layout.blob(repository, digest);
        let now = SystemTime::now();
        let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
        let Some(modified) = absent_is_none(modified).at("read", &path)? else { return Ok(()) };
        // Usually the time is recent, and a read is cheaper than a write.
        if now.duration_since(modified).is_ok_and(|age| age > INTEREST) {
            let file =
                absent_is_none(File::options().append(true).open(&path)).at("open", &path)?;
            file.map_or(Ok(()), |file| file.set_modified(now)).at("write", &path)?;
        }
        Ok(())
    }

    /// Removes a blob from a repository. Its content stays until garbage collection.
    ///
    /// # Errors
    /// [`StorageError::BlobUnknown`] if it is not in the repository, [`StorageError::Protected`] if
    /// an `immutable` tag needs it.
    pub fn delete_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        immutable: Protected<'_>,
    ) -> Result<(), StorageError> {
        let _change = self.lock_repository(repository)?;
        if !self.holds_blob(repository, digest)? {
            return Err(StorageError::BlobUnknown(digest.clone()));
        }
        self.check_unprotected(repository, digest, immutable)?;
        if durable::remove(&self.layout.blob(repository, digest))? {
            Ok(())
        } else {
            Err(StorageError::BlobUnknown(digest.clone()))
        }
    }

    pub(super) fn link_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<(), StorageError> {
        if !durable::mark(&self.layout.blob(repository, digest))? {
            self.note_interest(repository, digest)?;
        }
        Ok(())
    }

    /// Returns the size of a blob; None if it is not in the repository.
    pub(super) fn linked_size(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<u64>, StorageError> {
        if self.holds_blob(repository, digest)? { self.content_size(digest) } else { Ok(None) }
    }

    fn holds_blob(&self, repository: &Repository, digest: &Digest) -> Result<bool, StorageError> {
        let path = self.layout.blob(repository, digest);
        Ok(path.try_exists().at("read", &path)?)
    }

    pub(super) fn content_size(&self, digest: &Digest) -> Result<Option<u64>, StorageError> {
        let path = self.layout.content(digest);
        let metadata = absent_is_none(fs::metadata(&path)).at("read", &path)?;
        Ok(metadata.map(|metadata| metadata.len()))
    }

    pub(super) fn open_content(&self, digest: &Digest) -> Result<Option<BlobFile>, StorageError> {
        let path = self.layout.content(digest);
        let Some(file) = absent_is_none(File::open(&path)).at("open", &path)? else {
            return Ok(None);
        };
        let size = file.metadata().at("read", &path)?.len();
        Ok(Some(BlobFile { file, size }))
    }
}
