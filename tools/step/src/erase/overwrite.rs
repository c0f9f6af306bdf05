// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Overwrites a disk with zeros.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::verify;
use crate::progress::Progress;

/// Bytes of one write.
const CHUNK: usize = 4 << 20;

/// Overwrites all `size` bytes of `disk`.
pub(crate) fn overwrite(disk: &Path, size: u64) -> Result<()> {
    let failed = || format!("cannot overwrite {}", disk.display());
    let mut file = OpenOptions::new().write(true).open(disk).with_context(failed)?;
    let (zeros, mut done) = (vec![0; CHUNK], 0);
    let mut progress = Progress::new("overwrite", size);
    while done < size {
        let length = usize::try_from(size - done).unwrap_or(CHUNK).min(CHUNK);
        let chunk = zeros.get(..length).unwrap_or(&zeros);
        file.write_all(chunk).with_context(|| format!("{} at byte {done}", failed()))?;
        done += length as u64;
        progress.add(length as u64);
    }
    file.sync_all().with_context(failed)
}

/// Same, unless the samples of the disk are zero already, as after a discard.
pub(crate) fn overwrite_unless_zero(disk: &Path, size: u64) -> Result<()> {
    let samples = verify::read(disk, size)?;
    if samples.zero == samples.count {
        return Ok(());
    }
    eprintln!("{} does not read as zeros after the discard: overwriting it", disk.display());
    overwrite(disk, size)
}
