// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Sparse files in pax archives of GNU tar (its manual, "PAX Format, Version 1.0").
//!
//! The data starts with a map, padded to a whole block: lines of decimal numbers, the count of data
//! regions, then offset and length of each.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};

use anyhow::{Context as _, Result, ensure};

use super::archive::{BLOCK, MOST_PIECES, Piece};

/// Reads a map; returns the data regions and the map's size in bytes.
pub(super) fn read_map(input: &mut impl Read) -> Result<(Vec<Piece>, u64)> {
    let mut map = Map { input, read: 0 };
    let count = usize::try_from(map.number()?)?;
    ensure!(count <= MOST_PIECES, "the sparse file has {count} pieces");
    let mut pieces = Vec::new();
    for _ in 0..count {
        pieces.push((map.number()?, map.number()?));
    }
    map.skip_to_block()?;
    Ok((pieces, map.read))
}

/// Writes a file of `real_size` bytes from `size` bytes of data regions.
pub(super) fn write(
    input: &mut impl Read,
    pieces: &[Piece],
    size: u64,
    real_size: u64,
    file: &mut File,
) -> Result<()> {
    let (mut left, mut end) = (size, 0);
    for (offset, length) in pieces {
        ensure!(*offset >= end, "the pieces of the sparse file overlap");
        end = offset.checked_add(*length).context("the sparse file is too large")?;
        left = left.checked_sub(*length).context("the sparse file has less data than its map")?;
        file.seek(SeekFrom::Start(*offset))?;
        let copied = io::copy(&mut input.take(*length), file).context("cannot write it")?;
        ensure!(copied == *length, "the layer ends in the middle of it");
    }
    ensure!(end <= real_size && left == 0, "the map of the sparse file does not match its size");
    file.set_len(real_size)?;
    Ok(())
}

struct Map<'a, R> {
    input: &'a mut R,
    /// Bytes read.
    read: u64,
}

impl<R: Read> Map<'_, R> {
    /// Reads the number in the next line.
    fn number(&mut self) -> Result<u64> {
        let mut number: Option<u64> = None;
        loop {
            let mut byte = [0];
            self.input.read_exact(&mut byte).context("the map of the sparse file ends early")?;
            self.read += 1;
            match byte {
                [b'\n'] => return number.context("the map of the sparse file is malformed"),
                [digit @ b'0'..=b'9'] => {
                    let next = number.unwrap_or(0).checked_mul(10);
                    let next = next.and_then(|it| it.checked_add(u64::from(digit - b'0')));
                    number = Some(next.context("the map of the sparse file is malformed")?);
                }
                _ => anyhow::bail!("the map of the sparse file is malformed"),
            }
        }
    }

    fn skip_to_block(&mut self) -> Result<()> {
        let padding = self.read.next_multiple_of(BLOCK) - self.read;
        let skipped = io::copy(&mut self.input.take(padding), &mut io::sink())?;
        ensure!(skipped == padding, "the map of the sparse file ends early");
        self.read += padding;
        Ok(())
    }
}
