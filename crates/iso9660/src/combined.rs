// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Combined images, for BMCs that take one medium: a bootable image followed by a task image.
//!
//! The first image is unchanged, so it boots as it does alone, and is padded to a whole block of
//! 2048 bytes. Then follow the task image and one block, the trailer, with the position of the task
//! image: the text [`MAGIC`], offset and length in bytes as 64 bits little-endian, and zeros.
//! Nothing is copied to make one: the server sends the four parts in sequence.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;

use crate::bytes::{BLOCK, BLOCK_BYTES};

/// Prefix of the trailer.
pub const MAGIC: &[u8; 16] = b"PROVISIONER TASK";
/// Number of blocks at the end that are searched for the trailer: a BMC may pad a medium.
const LAST_BLOCKS: u64 = 64;

/// The bytes between and after the two images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CombinedPadding {
    /// Zeros between the images.
    pub padding: usize,
    /// Padding of the task image, and the trailer.
    pub end: Vec<u8>,
}

impl CombinedPadding {
    /// The padding for two images of these sizes in bytes.
    pub fn new(boot: u64, task: u64) -> Self {
        let padding = |size: u64| usize::try_from(size.next_multiple_of(BLOCK_BYTES) - size);
        // Less than a block each.
        let (between, behind) = (padding(boot).unwrap_or(0), padding(task).unwrap_or(0));
        let mut end = vec![0; behind];
        end.extend_from_slice(MAGIC);
        end.extend_from_slice(&boot.next_multiple_of(BLOCK_BYTES).to_le_bytes());
        end.extend_from_slice(&task.to_le_bytes());
        end.resize(behind + BLOCK, 0);
        Self { padding: between, end }
    }
}

/// The range of the task image in a medium; `None` if the medium is not a combined image.
pub fn find(medium: &mut (impl Read + Seek)) -> io::Result<Option<Range<u64>>> {
    let size = medium.seek(SeekFrom::End(0))?;
    let last = size / BLOCK_BYTES;
    for number in (last.saturating_sub(LAST_BLOCKS)..last).rev() {
        let at = number * BLOCK_BYTES;
        medium.seek(SeekFrom::Start(at))?;
        let mut block = [0; BLOCK];
        medium.read_exact(&mut block)?;
        let (magic, rest) = block.split_at(MAGIC.len());
        if magic != MAGIC {
            continue;
        }
        let number = |from: usize| {
            let bytes = rest.get(from..from + 8).and_then(|bytes| bytes.try_into().ok());
            bytes.map(u64::from_le_bytes)
        };
        let (Some(start), Some(length)) = (number(0), number(8)) else { continue };
        let end = start.checked_add(length).filter(|end| *end <= at);
        return Ok(end.map(|end| start..end));
    }
    Ok(None)
}

/// A part of a medium as a medium of its own.
#[derive(Debug)]
pub struct Part<R> {
    inner: R,
    range: Range<u64>,
    at: u64,
}

impl<R: Read + Seek> Part<R> {
    /// The bytes of `inner` in `range`.
    pub fn new(inner: R, range: Range<u64>) -> Self {
        Self { inner, range, at: 0 }
    }

    fn len(&self) -> u64 {
        self.range.end.saturating_sub(self.range.start)
    }
}

impl<R: Read + Seek> Read for Part<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len().saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        self.inner.seek(SeekFrom::Start(self.range.start.saturating_add(self.at)))?;
        let count = self.inner.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<R: Read + Seek> Seek for Part<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len().checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn combine(boot: &[u8], task: &[u8]) -> Vec<u8> {
        let padding = CombinedPadding::new(boot.len() as u64, task.len() as u64);
        [boot, &vec![0; padding.padding], task, &padding.end].concat()
    }

    proptest! {
        #[test]
        fn the_task_is_found_whatever_the_sizes(
            boot in 0_usize..10_000, task in 0_usize..10_000, filled in 0_usize..100_000,
        ) {
            let task = vec![7; task];
            let mut medium = combine(&vec![1; boot], &task);
            prop_assert_eq!(medium.len() % BLOCK, 0);
            // A BMC may pad it.
            medium.extend(vec![0; filled]);
            let mut medium = Cursor::new(medium);
            let range = find(&mut medium).unwrap().unwrap();
            prop_assert_eq!(range.start % BLOCK_BYTES, 0);
            let mut read = Vec::new();
            Part::new(medium, range).read_to_end(&mut read).unwrap();
            prop_assert_eq!(read, task);
        }

        #[test]
        fn other_media_have_none(bytes in proptest::collection::vec(any::<u8>(), 0..9000)) {
            prop_assert_eq!(find(&mut Cursor::new(bytes)).unwrap(), None);
        }
    }

    #[test]
    fn a_trailer_that_leads_out_of_the_medium_is_none() {
        let mut medium = combine(&[1; 4096], &[7; 100]);
        let trailer = medium.len() - BLOCK;
        medium[trailer + 16..trailer + 24].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(find(&mut Cursor::new(medium)).unwrap(), None);
    }

    #[test]
    fn a_part_ends_where_it_ends() {
        let mut part = Part::new(Cursor::new(b"0123456789"), 2..5);
        assert_eq!(part.seek(SeekFrom::End(-1)).unwrap(), 2);
        let mut read = String::new();
        part.read_to_string(&mut read).unwrap();
        assert_eq!(read, "4");
        assert!(part.seek(SeekFrom::Current(-9)).is_err());
        assert_eq!(part.seek(SeekFrom::Start(7)).unwrap(), 7);
        assert_eq!(part.read(&mut [0; 4]).unwrap(), 0);
    }
}
