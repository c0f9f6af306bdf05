// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Scheduled garbage collection of the registry, on a thread of its own: it may take minutes, and
//! neither requests nor the shutdown wait for it. A process that ends during a collection leaves a
//! consistent registry.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use oci::{Repository, Tag};

use crate::config::RegistryConfig;
use crate::metrics::{CollectionResult, Metrics};
use crate::registry::storage::Storage;

/// Longest delay of the first collection, so that a service that restarts often collects too.
const FIRST: Duration = Duration::from_mins(5);

/// A schedule. Dropping it ends its thread after the current collection.
pub(super) struct Schedule {
    _stop: Sender<()>,
}

impl Schedule {
    /// Starts collecting garbage periodically, if `config` has an interval.
    ///
    /// # Errors
    /// If there is no thread left.
    pub(super) fn start(
        storage: Arc<Storage>,
        config: RegistryConfig,
        metrics: Arc<Metrics>,
    ) -> io::Result<Option<Self>> {
        let Some(interval) = config.gc_schedule else { return Ok(None) };
        let (stop, stopped) = mpsc::channel();
        let work = move || {
            let mut pause = interval.min(FIRST);
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                collect(&storage, &config, &metrics);
                pause = interval;
            }
        };
        thread::Builder::new().name("registry-gc".to_owned()).spawn(work)?;
        Ok(Some(Self { _stop: stop }))
    }
}

fn collect(storage: &Storage, config: &RegistryConfig, metrics: &Metrics) {
    let start = Instant::now();
    let immutable = |repository: &Repository, tag: &Tag| config.rules.is_immutable(repository, tag);
    let collected = match storage.collect(&config.gc, &immutable) {
        Ok(done) => {
            for damaged in &done.damaged {
                tracing::warn!(
                    repository = %damaged.repository,
                    digest = %damaged.digest,
                    reason = %damaged.reason,
                    "damaged manifest: garbage collection skipped its repository"
                );
            }
            let bytes = done.expired.iter().map(|(_, size)| size).sum();
            let blobs = done.expired.len() as u64;
            tracing::info!(
                tags = done.tags.len(),
                manifests = done.manifests.len(),
                quarantined = done.contents.len(),
                removed_blobs = blobs,
                removed_bytes = bytes,
                took = ?start.elapsed(),
                "collected garbage"
            );
            CollectionResult { succeeded: done.damaged.is_empty(), blobs, bytes }
        }
        Err(error) => {
            tracing::error!(%error, "garbage collection failed");
            CollectionResult::default()
        }
    };
    metrics.count_collection(collected, start.elapsed(), SystemTime::now());
}
