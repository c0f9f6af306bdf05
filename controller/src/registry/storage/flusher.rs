// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Starts to bring a large file to the disk while it is still being written.
//!
//! The kernel keeps gigabytes of written data in memory before it begins to write them; an fsync at
//! the end would then wait for all of it. Syncing now and then from another thread lets disk and
//! network work at the same time, and leaves little for the last fsync.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Bytes written between two requests to sync: small enough that the last fsync is short, large
/// enough that a disk writes in long runs.
const STEP: u64 = 16 * 1024 * 1024;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Flusher {
    file: Arc<File>,
    unsynced: u64,
    worker: Option<Worker>,
}

#[derive(Debug)]
struct Worker {
    requests: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Flusher {
    pub(super) fn new(file: File) -> Self {
        Self { file: Arc::new(file), unsynced: 0, worker: None }
    }

    /// Appends to the file.
    pub(super) fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        (&*self.file).write_all(bytes)
    }

    /// Tells how much was written.
    pub(super) fn wrote(&mut self, bytes: u64) {
        self.unsynced += bytes;
        if self.unsynced < STEP {
            return;
        }
        self.unsynced = 0;
        if self.worker.is_none() {
            self.worker = Worker::start(Arc::clone(&self.file));
        }
        if let Some(worker) = &self.worker {
            // Full: a sync is waiting already, and will cover this too. Closed: it failed, as `sync` will tell.
            worker.requests.try_send(()).ok();
        }
    }

    /// Brings everything to the disk.
    pub(super) fn sync(self) -> io::Result<()> {
        if let Some(Worker { requests, thread }) = self.worker {
            drop(requests);
            // The kernel reports a failed write once, to whoever syncs next: here, to the worker.
            thread.join().unwrap_or_else(|_| Err(io::Error::other("the syncing thread failed")))?;
        }
        self.file.sync_all()
    }
}

impl Worker {
    /// None where no thread can be had: then the last fsync does all the work.
    fn start(file: Arc<File>) -> Option<Self> {
        let (requests, queue) = sync_channel(1);
        let work = move || queue.iter().try_for_each(|()| file.sync_data());
        let thread = std::thread::Builder::new().name("flush".to_owned()).spawn(work).ok()?;
        Some(Self { requests, thread })
    }
}
