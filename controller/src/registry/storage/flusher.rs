// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Starts to bring a large file to the disk while it is still being written.
//!
//! The kernel keeps gigabytes of written data in memory before it begins to write them; an fsync at
//! the end would then wait for all of it. Asking it to begin now and then lets disk and network work at
//! the same time, and leaves little for the fsync. Syncing now and then instead would commit the file
//! system's journal each time, and wait for everybody else's data.

use std::fs::File;
use std::io::{self, Write as _};
use std::num::NonZeroU64;

use rustix::fs::{Advice, fadvise};

/// Bytes written between two requests: small enough that the fsync at the end is short, large enough
/// that a disk writes in long runs.
const STEP: u64 = 8 * 1024 * 1024;

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Flusher {
    file: File,
    /// How far the file is written.
    end: u64,
    /// How far the kernel was asked to begin.
    begun: u64,
}

impl Flusher {
    /// Goes on with a file that has `offset` bytes.
    pub(super) fn new(file: File, offset: u64) -> Self {
        Self { file, end: offset, begun: offset }
    }

    /// Appends to the file.
    pub(super) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.end += bytes.len() as u64;
        if self.end - self.begun >= STEP {
            // "Not needed" makes Linux write out what is dirty, and drop what is clean, which these
            // bytes are not yet. It is advice: should it fail, the fsync does all the work.
            fadvise(&self.file, self.begun, NonZeroU64::new(STEP), Advice::DontNeed).ok();
            self.begun += STEP;
        }
        Ok(())
    }

    /// Brings everything to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}
