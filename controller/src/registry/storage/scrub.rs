// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads everything and says what is no longer what it was.

use oci::digest::Hasher;
use oci::{Digest, Repository};

use super::Storage;
use super::error::StorageError;
use super::uploads::hash_file;
use crate::durable::{self, At as _};

/// What a scrub has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Scrub {
    /// Contents that were read.
    pub contents: usize,
    /// Contents whose bytes have another digest: moved aside, so that a push can bring them again.
    pub corrupt: Vec<Digest>,
    /// Contents that a repository should hold and that are not there.
    pub missing: Vec<(Repository, Digest)>,
}

impl Storage {
    /// Reads every content and checks it against its digest.
    ///
    /// # Errors
    /// When the disk fails in another way than by giving wrong bytes.
    pub fn scrub(&self) -> Result<Scrub, StorageError> {
        let mut scrub = Scrub::default();
        for digest in self.all_contents()? {
            let path = self.layout.content(&digest);
            let found = hash_file(&path, Hasher::new(digest.algorithm())).at("read", &path)?;
            scrub.contents += 1;
            if found != digest {
                let _alone = self.lock_against_changes()?;
                durable::rename(&path, &self.layout.corrupt(&digest))?;
                scrub.corrupt.push(digest);
            }
        }
        for repository in self.all_repositories()? {
            for kind in ["_blobs", "_manifests"] {
                for digest in self.linked(&repository, kind)? {
                    if self.content_size(&digest)?.is_none() {
                        scrub.missing.push((repository.clone(), digest));
                    }
                }
            }
        }
        Ok(scrub)
    }
}
