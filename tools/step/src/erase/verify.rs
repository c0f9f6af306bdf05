// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verifies an erase by samples: known contents are written before it, and must be gone after it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{Advice, fadvise};

/// Bytes of a sample.
const BLOCK: usize = 4096;
/// Samples of a disk, evenly spaced from its first to its last block.
const SAMPLES: u64 = 1024;
/// The smallest sector.
const SECTOR: usize = 512;

/// Result of reading the samples.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Samples {
    pub(super) count: usize,
    /// Samples of zeros.
    pub(super) zero: usize,
    /// Samples with a part of what was written before the erase.
    marked: usize,
}

/// Positions of the samples on a disk of `size` bytes.
fn positions(size: u64) -> impl Iterator<Item = u64> {
    let last = size.saturating_sub(BLOCK as u64);
    let count = SAMPLES.min(last / BLOCK as u64 + 1);
    let sector = SECTOR as u128;
    (0..count).map(move |i| {
        let exact = u128::from(last) * u128::from(i) / u128::from(count.max(2) - 1);
        u64::try_from(exact / sector * sector).unwrap_or(last)
    })
}

/// What is written at `position`.
fn marker(position: u64) -> [u8; BLOCK] {
    let mut block = [0x5a; BLOCK];
    for (number, sector) in (0_u64..).zip(block.chunks_exact_mut(SECTOR)) {
        let text = format!("provisioner erase marker {position} {number}\n");
        if let Some(head) = sector.get_mut(..text.len()) {
            head.copy_from_slice(text.as_bytes());
        }
    }
    block
}

/// Writes the samples of `disk`.
pub(crate) fn mark(disk: &Path, size: u64) -> Result<()> {
    let failed = || format!("cannot write to {}", disk.display());
    let file = OpenOptions::new().write(true).open(disk).with_context(failed)?;
    for position in positions(size) {
        let written = file.write_all_at(&marker(position), position);
        written.with_context(|| format!("{} at byte {position}", failed()))?;
    }
    file.sync_all().with_context(failed)
}

/// Reads the samples of `disk` from the medium.
pub(super) fn read(disk: &Path, size: u64) -> Result<Samples> {
    let failed = || format!("cannot read {}", disk.display());
    let file = File::open(disk).with_context(failed)?;
    // A device that erases itself leaves the page cache as it is.
    fadvise(&file, 0, None, Advice::DontNeed).with_context(failed)?;
    let mut samples = Samples { count: 0, zero: 0, marked: 0 };
    let mut block = [0; BLOCK];
    for position in positions(size) {
        let done = file.read_exact_at(&mut block, position);
        done.with_context(|| format!("{} at byte {position}", failed()))?;
        let marker = marker(position);
        let mut sectors = block.chunks_exact(SECTOR).zip(marker.chunks_exact(SECTOR));
        samples.count += 1;
        samples.marked += usize::from(sectors.any(|(found, marker)| found == marker));
        samples.zero += usize::from(block.iter().all(|byte| *byte == 0));
    }
    Ok(samples)
}

/// Fails if a sample survived the erase, or is not zero where `must_be_zero`. Returns the result in
/// words.
pub(crate) fn verify(disk: &Path, size: u64, must_be_zero: bool) -> Result<String> {
    let Samples { count, zero, marked } = read(disk, size)?;
    let shown = disk.display();
    ensure!(count > 0, "{shown} has no contents that could be verified");
    ensure!(marked == 0, "{shown} is not erased: {marked} of {count} samples have their contents");
    ensure!(
        zero == count || !must_be_zero,
        "{shown} is not erased: {} of {count} samples are not zero",
        count - zero
    );
    Ok(format!(
        "verified by {count} reads of {BLOCK} bytes: what was written there before the erase is \
         gone, {zero} read as zeros"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_reach_from_the_first_to_the_last_block() {
        for size in [4096, 8192, 10_240, 1 << 20, 960_197_124_096, u64::MAX] {
            let all: Vec<u64> = positions(size).collect();
            assert_eq!(all[0], 0);
            let last = *all.last().unwrap();
            assert!(size == 4096 || size - last < 8192, "{size}: {last}");
            assert!(all.iter().all(|at| at % 512 == 0 && *at <= size - 4096), "{size}");
            assert!(all.is_sorted() && all.len() <= 1024, "{size}");
        }
    }

    #[test]
    fn what_survives_is_found() {
        let disk = tempfile::NamedTempFile::new().unwrap();
        let size = 16 << 20;
        disk.as_file().set_len(size).unwrap();
        let path = disk.path();
        assert!(verify(path, size, true).unwrap().contains("1024 reads"));
        mark(path, size).unwrap();
        let error = verify(path, size, false).unwrap_err().to_string();
        assert!(error.contains("1024 of 1024 samples have their contents"), "{error}");
        super::super::overwrite(path, size).unwrap();
        verify(path, size, true).unwrap();
        // One sector of one sample is left.
        let at = positions(size).nth(500).unwrap();
        disk.as_file().write_all_at(&marker(at)[512..1024], at + 512).unwrap();
        let error = verify(path, size, false).unwrap_err().to_string();
        assert!(error.contains("1 of 1024"), "{error}");
        // Random contents, as after a crypto erase.
        disk.as_file().write_all_at(&[7; 512], at + 512).unwrap();
        verify(path, size, false).unwrap();
        assert!(verify(path, size, true).is_err());
    }
}
