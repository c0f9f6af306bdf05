// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The boot catalog (El Torito 1.0, section 2) and the boot information table of isolinux.

use std::io::{self, Read};

use crate::bytes::{BLOCK, put};

/// Platform ids (El Torito 1.0, figure 2; UEFI 2.10, section 13.3.2.1).
pub(crate) const PLATFORM_BIOS: u8 = 0;
pub(crate) const PLATFORM_EFI: u8 = 0xEF;
pub(crate) const BOOTABLE: u8 = 0x88;
/// Section headers: one that more follow, and the last one.
pub(crate) const SECTION: u8 = 0x90;
pub(crate) const LAST_SECTION: u8 = 0x91;

/// A boot image without emulation.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) platform: u8,
    /// Sectors of 512 bytes to load.
    pub(crate) sectors: u16,
    pub(crate) block: u32,
}

impl Entry {
    fn encode(self) -> [u8; 32] {
        let mut out = [0; 32];
        // No emulation, default load segment.
        out[0] = BOOTABLE;
        put(&mut out, 6, &self.sectors.to_le_bytes());
        put(&mut out, 8, &self.block.to_le_bytes());
        out
    }
}

/// One block with the validation entry, the default entry, and a section for each other.
pub(crate) fn catalog(default: Entry, others: &[Entry]) -> [u8; BLOCK] {
    let mut out = [0; BLOCK];
    put(&mut out, 0, &validation(default.platform));
    put(&mut out, 32, &default.encode());
    for (i, entry) in others.iter().enumerate() {
        let last = i + 1 == others.len();
        let header = [if last { LAST_SECTION } else { SECTION }, entry.platform, 1, 0];
        put(&mut out, 64 + i * 64, &header);
        put(&mut out, 96 + i * 64, &entry.encode());
    }
    out
}

fn validation(platform: u8) -> [u8; 32] {
    let mut out = [0; 32];
    out[0] = 1;
    out[1] = platform;
    put(&mut out, 30, &[0x55, 0xAA]);
    let checksum = 0_u16.wrapping_sub(sum_words(&out));
    put(&mut out, 28, &checksum.to_le_bytes());
    out
}

/// Sum of the little-endian 16-bit words; zero for a valid validation entry.
pub(crate) fn sum_words(entry: &[u8; 32]) -> u16 {
    entry.as_chunks::<2>().0.iter().fold(0, |sum, pair| sum.wrapping_add(u16::from_le_bytes(*pair)))
}

/// Offset of the boot information table in the boot image.
pub(crate) const TABLE_OFFSET: usize = 8;
/// Offset of the image's checksum, which is the end of the table.
pub(crate) const TABLE_END: usize = 64;

/// The table: block of the primary descriptor, block and length of the image, its checksum, and
/// 40 reserved bytes.
pub(crate) fn info_table(descriptor: u32, block: u32, len: u32, checksum: u32) -> [u8; 56] {
    let mut out = [0; TABLE_END - TABLE_OFFSET];
    for (i, value) in [descriptor, block, len, checksum].into_iter().enumerate() {
        put(&mut out, i * 4, &value.to_le_bytes());
    }
    out
}

/// Sum of the little-endian 32-bit words from byte 64 on; a short last word is padded with zeros.
pub(crate) fn info_checksum(mut contents: &mut dyn Read) -> io::Result<u32> {
    io::copy(&mut (&mut contents).take(TABLE_END as u64), &mut io::sink())?;
    let mut sum = 0_u32;
    let mut buffer = [0; 8192];
    loop {
        let len = fill(contents, &mut buffer)?;
        if let Some(tail) = buffer.get_mut(len..) {
            tail.fill(0);
        }
        let words = len.div_ceil(4);
        for word in buffer.as_chunks::<4>().0.iter().take(words) {
            sum = sum.wrapping_add(u32::from_le_bytes(*word));
        }
        if len < buffer.len() {
            return Ok(sum);
        }
    }
}

/// Reads until `buffer` is full or the contents end. Returns the number of bytes.
pub(crate) fn fill(contents: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(rest) = buffer.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match contents.read(rest) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_of_two_has_a_valid_sum_and_a_last_section() {
        let bios = Entry { platform: PLATFORM_BIOS, sectors: 4, block: 40 };
        let efi = Entry { platform: PLATFORM_EFI, sectors: 0, block: 50 };
        let catalog = catalog(bios, &[efi]);
        assert_eq!(sum_words(catalog[..32].try_into().unwrap()), 0);
        assert_eq!(catalog[32..44], [0x88, 0, 0, 0, 0, 0, 4, 0, 40, 0, 0, 0]);
        assert_eq!(catalog[64..68], [0x91, 0xEF, 1, 0]);
        assert_eq!(catalog[96..108], [0x88, 0, 0, 0, 0, 0, 0, 0, 50, 0, 0, 0]);
    }

    #[test]
    fn the_checksum_starts_after_the_table() {
        let mut image = vec![0xFF; 64];
        image.extend([1, 0, 0, 0, 2, 0, 0, 0, 3]);
        assert_eq!(info_checksum(&mut image.as_slice()).unwrap(), 6);
        assert_eq!(info_checksum(&mut [1_u8, 2].as_slice()).unwrap(), 0);
    }
}
