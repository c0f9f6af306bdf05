// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Starts writeback of a large file while it is still being written.
//!
//! The kernel buffers gigabytes of dirty pages before it writes them, and an fsync at the end would
//! wait for all of it. Periodic writeback lets disk and network work in parallel, and leaves little
//! for the fsync. A periodic fsync would commit the file system's journal each time and wait for
//! other files' data.

use std::fs::File;
use std::io::{self, Write as _};
use std::num::NonZeroU64;

use rustix::fs::{Advice, fadvise};

/// Bytes between two writebacks: small enough for a short fsync at the end, large enough for long
/// sequential writes.
const STEP: u64 = 8 * 1024 * 1024;

/// A file being written.
#[derive(Debug)]
pub(super) struct Flusher {
    file: File,
    /// Bytes written to the file.
    end: u64,
    /// Offset up to which writeback was started.
    begun: u64,
}

impl Flusher {
    /// Continues a file that has `offset` bytes.
    pub(super) fn new(file: File, offset: u64) -> Self {
        Self { file, end: offset, begun: offset }
    }

    /// Appends to the file.
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.end += bytes.len() as u64;
        if self.end - self.begun >= STEP {
            // On Linux, `DontNeed` starts writeback of dirty pages (and drops clean ones, which
            // these are not yet). It is advice: if it fails, the fsync does all the work.
            fadvise(&self.file, self.begun, NonZeroU64::new(STEP), Advice::DontNeed).ok();
            self.begun += STEP;
        }
        Ok(())
    }

    /// Syncs the file to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
