// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verifies all stored contents with their digests.

use oci::digest::Hasher;
use oci::{Digest, Repository};

use super::Storage;
use super::error::StorageError;
use super::uploads::hash_file;
use crate::durable::{self, WithPath as _};

/// Result of a scrub.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scrub {
    /// Number of verified contents.
    pub contents: usize,
    /// Contents with a wrong digest: moved to `corrupt/`, so that they can be pushed again.
    pub corrupt: Vec<Digest>,
    /// Linked contents that do not exist.
    pub missing: Vec<(Repository, Digest)>,
}

impl Storage {
    /// Reads every content and verifies its digest.
    ///
    /// # Errors
    /// If the disk fails other than by returning wrong bytes.
    pub fn scrub(&self) -> Result<Scrub, StorageError> {
        let mut scrub = Scrub::default();
        for digest in self.all_contents()? {
            let path = self.layout.content(&digest);
            let found = hash_file(&path, Hasher::new(digest.algorithm())).at("read", &path)?;
            scrub.contents += 1;
            if found != digest {
                let _alone = self.lock_collection_exclusive()?;
                durable::rename(&path, &self.layout.corrupt(&digest))?;
                scrub.corrupt.push(digest);
            }
        }
        for repository in self.all_repositories()? {
            for kind in ["_blobs", "_manifests"] {
                for digest in self.list_links(&repository, kind)? {
                    if self.content_size(&digest)?.is_none() {
                        scrub.missing.push((repository.clone(), digest));
                    }
                }
            }
        }
        Ok(scrub)
    }
}
