// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What can go wrong in the store, in terms of the store: the HTTP side turns each into a status.

use std::path::PathBuf;

use oci::{Digest, Repository, Selector, Tag};

use super::upload_id::UploadId;
use crate::durable::FileError;

/// Why the store refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// No such repository: nothing was ever pushed under that name.
    #[error("repository {0} does not exist")]
    RepositoryUnknown(Repository),
    /// The repository does not hold that blob.
    #[error("blob {0} is not in this repository")]
    BlobUnknown(Digest),
    /// The repository does not hold that manifest.
    #[error("manifest {0} is not in this repository")]
    ManifestUnknown(Selector),
    /// A manifest names contents that the repository does not hold.
    #[error("the manifest names contents that are not in this repository: push them first")]
    ReferencesUnknown(Vec<Digest>),
    /// A manifest is not one that this registry can keep; the text says what is expected.
    #[error("manifest refused: {0}")]
    ManifestInvalid(String),
    /// The content has another digest than the one it was pushed under.
    #[error("the content has the digest {found}, it was pushed as {expected}")]
    DigestMismatch {
        /// The digest that the client named.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// No upload of that id is open in the repository.
    #[error("upload {0} is not open in this repository: start a new one")]
    UploadUnknown(UploadId),
    /// Another request holds the upload.
    #[error("another request is adding to upload {0}: retry when it has ended")]
    UploadBusy(UploadId),
    /// Garbage collection in another process held its lock for too long.
    #[error("garbage collection keeps this repository from being changed: retry later")]
    Collecting,
    /// A chunk does not begin where the upload stands.
    #[error(
        "the chunk starts at byte {start}, the upload has {offset} bytes: send the next byte first"
    )]
    OutOfOrder {
        /// Where the chunk starts.
        start: u64,
        /// Where it must start.
        offset: u64,
    },
    /// The tag may not move or go.
    #[error("tag {0} is immutable by the rules of this registry")]
    TagImmutable(Tag),
    /// The content of a manifest is no longer what was pushed.
    #[error("the content of manifest {0} is damaged: push it again")]
    Damaged(Digest),
    /// A content belongs to what an immutable tag leads to.
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
    /// There is nothing to maintain.
    #[error("{0} holds no registry: expected the data_dir of a controller that has run")]
    NoRegistry(PathBuf),
    /// The folder was written by another version of the store.
    #[error("{path} has layout {found:?}, this program reads layout {expected:?}")]
    Layout {
        /// The file that names the layout.
        path: PathBuf,
        /// What it says.
        found: String,
        /// What this program writes.
        expected: &'static str,
    },
    /// The file system failed.
    #[error(transparent)]
    File(#[from] FileError),
}
