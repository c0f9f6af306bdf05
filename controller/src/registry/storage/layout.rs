// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Paths below the registry's folder. All paths are made here.
//!
//! ```text
//! layout                                          layout version
//! lock                                            locked by the service
//! collection-lock                                 see `collect`
//! blobs/sha256/ab/HEX                             contents, including manifests
//! quarantine/sha256/HEX                           collected contents
//! corrupt/sha256/HEX                              contents with a wrong digest
//! repositories/NAME/_blobs/sha256/HEX             empty: link to a blob
//! repositories/NAME/_manifests/sha256/HEX         media type of the manifest
//! repositories/NAME/_tags/TAG                     digest that the tag points to
//! repositories/NAME/_referrers/sha256/HEX/sha256-HEX   descriptor of a manifest with that subject
//! repositories/NAME/_uploads/ID                   received data
//! ```
//!
//! A component of a repository name starts with a letter or a digit, so folders with a leading
//! underscore cannot be names. Digests, tags and ids are typed, so they cannot escape their folder.

use std::path::{Path, PathBuf};

use oci::digest::Algorithm;
use oci::{Digest, Repository, Tag};

use super::upload_id::UploadId;

/// Content of the file `layout`.
pub(crate) const VERSION: &str = "1\n";

/// Paths below the registry's folder.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn version(&self) -> PathBuf {
        self.root.join("layout")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn collection_lock(&self) -> PathBuf {
        self.root.join("collection-lock")
    }

    pub(crate) fn contents(&self, algorithm: Algorithm) -> PathBuf {
        self.join(&["blobs", algorithm.name()])
    }

    pub(crate) fn content(&self, digest: &Digest) -> PathBuf {
        let shard = digest.hex().get(..2).unwrap_or_default();
        self.join(&["blobs", digest.algorithm().name(), shard, digest.hex()])
    }

    pub(crate) fn quarantine(&self, algorithm: Algorithm) -> PathBuf {
        self.join(&["quarantine", algorithm.name()])
    }

    pub(crate) fn corrupt(&self, digest: &Digest) -> PathBuf {
        self.join(&["corrupt", digest.algorithm().name(), digest.hex()])
    }

    pub(crate) fn quarantined_blob(&self, digest: &Digest) -> PathBuf {
        self.join(&["quarantine", digest.algorithm().name(), digest.hex()])
    }

    pub(crate) fn repositories(&self) -> PathBuf {
        self.root.join("repositories")
    }

    pub(crate) fn repository(&self, repository: &Repository) -> PathBuf {
        self.join(&["repositories", repository.as_str()])
    }

    pub(crate) fn blob(&self, repository: &Repository, digest: &Digest) -> PathBuf {
        self.by_digest(repository, "_blobs", digest)
    }

    pub(crate) fn manifest(&self, repository: &Repository, digest: &Digest) -> PathBuf {
        self.by_digest(repository, "_manifests", digest)
    }

    pub(crate) fn tags(&self, repository: &Repository) -> PathBuf {
        self.join(&["repositories", repository.as_str(), "_tags"])
    }

    pub(crate) fn tag(&self, repository: &Repository, tag: &Tag) -> PathBuf {
        self.join(&["repositories", repository.as_str(), "_tags", tag.as_str()])
    }

    pub(crate) fn referrers(&self, repository: &Repository, subject: &Digest) -> PathBuf {
        self.by_digest(repository, "_referrers", subject)
    }

    pub(crate) fn referrer(
        &self,
        repository: &Repository,
        subject: &Digest,
        referrer: &Digest,
    ) -> PathBuf {
        let name = format!("{}-{}", referrer.algorithm().name(), referrer.hex());
        self.referrers(repository, subject).join(name)
    }

    pub(crate) fn upload(&self, repository: &Repository, id: &UploadId) -> PathBuf {
        self.join(&["repositories", repository.as_str(), "_uploads", id.as_str()])
    }

    fn by_digest(&self, repository: &Repository, kind: &str, digest: &Digest) -> PathBuf {
        let algorithm = digest.algorithm().name();
        self.join(&["repositories", repository.as_str(), kind, algorithm, digest.hex()])
    }

    /// One allocation: this is on the path of every request.
    fn join(&self, parts: &[&str]) -> PathBuf {
        let length = parts.iter().map(|part| part.len() + 1).sum::<usize>();
        let mut path = PathBuf::with_capacity(self.root.as_os_str().len() + length);
        path.push(&self.root);
        path.extend(parts);
        path
    }
}
