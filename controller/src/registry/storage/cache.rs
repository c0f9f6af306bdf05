// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! In-memory cache of recently read manifests, for fleets that pull the same image.
//!
//! Each hit checks that the repository's link still exists, so deletions by other processes take
//! effect.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use oci::{Digest, Repository};

use super::layout::Layout;
use super::manifests::Manifest;

/// Capacity in bytes.
const CAPACITY: usize = 4 * 1024 * 1024;
/// Larger manifests are not cached.
const LARGEST: usize = 256 * 1024;

type Key = (Repository, Digest);

#[derive(Debug, Default)]
pub(super) struct ManifestCache(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<Repository, HashMap<Digest, Arc<Manifest>>>,
    /// In order of insertion; the oldest is evicted first.
    order: VecDeque<Key>,
    bytes: usize,
}

impl ManifestCache {
    pub(super) fn get(
        &self,
        repository: &Repository,
        digest: &Digest,
        layout: &Layout,
    ) -> Option<Arc<Manifest>> {
        let found = {
            let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            entries.by_key.get(repository)?.get(digest).map(Arc::clone)?
        };
        layout.manifest(repository, digest).exists().then_some(found)
    }

    pub(super) fn put(&self, repository: &Repository, manifest: &Arc<Manifest>) {
        if manifest.content.len() > LARGEST {
            return;
        }
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_repository = entries.by_key.entry(repository.clone()).or_default();
        let replaced = of_repository.insert(manifest.digest.clone(), Arc::clone(manifest));
        if replaced.is_some() {
            return;
        }
        entries.order.push_back((repository.clone(), manifest.digest.clone()));
        entries.bytes += cost(manifest);
        while entries.bytes > CAPACITY {
            let Some((repository, digest)) = entries.order.pop_front() else { return };
            entries.evict(&repository, &digest);
        }
    }
}

impl Entries {
    fn evict(&mut self, repository: &Repository, digest: &Digest) {
        let Some(of_repository) = self.by_key.get_mut(repository) else { return };
        if let Some(manifest) = of_repository.remove(digest) {
            self.bytes = self.bytes.saturating_sub(cost(&manifest));
        }
        if of_repository.is_empty() {
            self.by_key.remove(repository);
        }
    }
}

/// Memory of an entry: its content and, roughly, its names.
fn cost(manifest: &Manifest) -> usize {
    manifest.content.len() + 1024
}
