// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs blocking work on tokio's blocking pool, in lanes.
//!
//! The pool has a fixed number of threads for the whole process. Work that waits for a lock, in
//! this process or another, must never occupy all of them. So each kind of work has a lane with a
//! bounded number of threads; further work is queued without a thread.

use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

/// A kind of blocking work. All lanes together leave most of the pool's 512 threads free.
pub(crate) struct WorkLimit(Semaphore);

/// Registry storage reads, which hold no lock for long.
pub(crate) static READS: WorkLimit = WorkLimit::new(128);
/// Writes of upload data.
pub(crate) static WRITES: WorkLimit = WorkLimit::new(64);
/// Repository changes, which wait for each other and for garbage collection.
pub(crate) static CHANGES: WorkLimit = WorkLimit::new(32);
/// Hashing and building of images, which are bound by the disk.
pub(crate) static IMAGES: WorkLimit = WorkLimit::new(8);
/// Database reads, which share one connection.
pub(crate) static DATABASE: WorkLimit = WorkLimit::new(8);
/// Write probes of the disk, for `/readyz`.
pub(crate) static PROBES: WorkLimit = WorkLimit::new(1);
/// Recipe validation.
pub(crate) static RECIPES: WorkLimit = WorkLimit::new(4);

impl WorkLimit {
    const fn new(threads: usize) -> Self {
        Self(Semaphore::const_new(threads))
    }

    /// Runs `work` on a pool thread as soon as this lane has a free slot.
    ///
    /// # Errors
    /// When `work` panics or the runtime is shutting down.
    pub(crate) async fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        // The semaphore is never closed. If it were, the work would run without being counted.
        let permit = self.0.acquire().await.ok();
        spawn_blocking(move || {
            // Held until the work ends, even if the caller was cancelled.
            let _permit = permit;
            work()
        })
        .await
    }
}

/// Interval between liveness probes of the pool.
const PULSE_PERIOD: Duration = Duration::from_secs(1);

/// Detects a blocking pool that no longer runs submitted work.
#[derive(Debug)]
pub(crate) struct PoolWatchdog(RwLock<Instant>);

impl PoolWatchdog {
    /// Returns a watchdog that was last seen now.
    pub(crate) fn new() -> Self {
        Self(RwLock::new(Instant::now()))
    }

    /// Submits an empty job periodically. Returns only when the runtime shuts down.
    pub(crate) async fn watch(&self) {
        while spawn_blocking(|| ()).await.is_ok() {
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            tokio::time::sleep(PULSE_PERIOD).await;
        }
    }

    /// Time since the pool last ran a job.
    pub(crate) fn age(&self) -> Duration {
        self.0.read().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    static NARROW: WorkLimit = WorkLimit::new(1);

    #[test]
    fn a_full_lane_leaves_the_pool_to_the_others() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let (release, held) = channel::<()>();
        runtime.block_on(async {
            let (started, start) = tokio::sync::oneshot::channel();
            let holder = tokio::spawn(NARROW.run(move || {
                started.send(()).unwrap();
                held.recv().unwrap();
            }));
            start.await.unwrap();
            let waiting: Vec<_> = (0..8).map(|_| tokio::spawn(NARROW.run(|| ()))).collect();
            tokio::task::yield_now().await;
            // The pool's second thread stays free, however much work is queued in the lane.
            assert_eq!(READS.run(|| 7).await.unwrap(), 7);
            release.send(()).unwrap();
            holder.await.unwrap().unwrap();
            for task in waiting {
                task.await.unwrap().unwrap();
            }
        });
    }

    #[test]
    fn a_dead_pool_has_no_pulse() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let watchdog = std::sync::Arc::new(PoolWatchdog::new());
        let (release, held) = channel::<()>();
        runtime.block_on(async {
            let (started, start) = tokio::sync::oneshot::channel();
            let holder = spawn_blocking(move || {
                started.send(()).unwrap();
                held.recv().unwrap();
            });
            start.await.unwrap();
            let watched = std::sync::Arc::clone(&watchdog);
            let watch = tokio::spawn(async move { watched.watch().await });
            tokio::time::sleep(Duration::from_millis(20)).await;
            let while_dead = watchdog.age();
            assert!(while_dead >= Duration::from_millis(20));
            release.send(()).unwrap();
            holder.await.unwrap();
            while watchdog.age() >= while_dead {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            watch.abort();
        });
    }
}
