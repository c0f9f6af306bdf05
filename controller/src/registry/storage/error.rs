// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Errors of the storage. The HTTP API maps each to a status.

use std::path::PathBuf;

use oci::{Digest, Repository, Selector, Tag};

use super::upload_id::UploadId;
use crate::durable::FileError;

/// Why a storage operation failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The repository does not exist: nothing was ever pushed to it.
    #[error("repository {0} does not exist")]
    RepositoryUnknown(Repository),
    /// The blob is not in the repository.
    #[error("blob {0} is not in this repository")]
    BlobUnknown(Digest),
    /// The manifest is not in the repository.
    #[error("manifest {0} is not in this repository")]
    ManifestUnknown(Selector),
    /// The manifest refers to contents that are not in the repository.
    #[error("the manifest refers to contents that are not in this repository: push them first")]
    ReferencesUnknown(Vec<Digest>),
    /// The manifest is not valid for this registry; the text states why.
    #[error("manifest refused: {0}")]
    ManifestInvalid(String),
    /// The digest of the content differs from the stated one.
    #[error("the content has digest {found}, expected {expected}")]
    DigestMismatch {
        /// Stated digest.
        expected: Digest,
        /// Digest of the received content.
        found: Digest,
    },
    /// The repository has no such open upload.
    #[error("upload {0} is not open in this repository: start a new one")]
    UploadUnknown(UploadId),
    /// Another request holds the upload.
    #[error("another request is adding to upload {0}: retry when it has ended")]
    UploadBusy(UploadId),
    /// Garbage collection in another process held its lock for too long.
    #[error("garbage collection is running: retry later")]
    Collecting,
    /// A chunk does not start at the end of the upload.
    #[error("the chunk starts at byte {start}, expected byte {offset}")]
    OutOfOrder {
        /// Start of the chunk.
        start: u64,
        /// Expected start.
        offset: u64,
    },
    /// The tag is immutable.
    #[error("tag {0} is immutable by the rules of this registry")]
    TagImmutable(Tag),
    /// The stored content of a manifest is corrupt.
    #[error("the content of manifest {0} is damaged: push it again")]
    Damaged(Digest),
    /// The content is reachable from an immutable tag.
    #[error("{digest} belongs to tag {tag}, which is immutable by the rules of this registry")]
    Protected {
        /// The content.
        digest: Digest,
        /// The tag.
        tag: Tag,
    },
    /// Another process serves the same folder.
    #[error("{0} is in use by another controller: stop it, or choose another data_dir")]
    InUse(PathBuf),
    /// The folder contains no registry.
    #[error("{0} contains no registry: expected the data_dir of a controller")]
    NoRegistry(PathBuf),
    /// Another version of the storage wrote the folder.
    #[error("{path} has layout {found:?}, this program supports layout {expected:?}")]
    Layout {
        /// File with the layout version.
        path: PathBuf,
        /// Version in the file.
        found: String,
        /// Supported version.
        expected: &'static str,
    },
    /// A file system operation failed.
    #[error(transparent)]
    File(#[from] FileError),
}
