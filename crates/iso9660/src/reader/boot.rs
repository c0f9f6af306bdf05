// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The boot catalog of El Torito.

use std::io::{Read, Seek};

use super::error::{ReadError, corrupt};
use super::volume::Volume;
use crate::bytes::{BLOCK_BYTES, array, le16, le32};
use crate::el_torito::{BOOTABLE, LAST_SECTION, PLATFORM_EFI, SECTION, sum_words};

/// A boot image in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BootImage {
    /// Platform id: 0 for a PC's BIOS, 0xEF for UEFI.
    pub platform: u8,
    /// Whether it is marked as bootable.
    pub bootable: bool,
    /// Kind of emulation: 0 for none.
    pub emulation: u8,
    /// Sectors of 512 bytes to load.
    pub sectors: u16,
    /// Its offset in the image, in bytes.
    pub offset: u64,
}

impl BootImage {
    /// Whether it is for UEFI.
    pub fn is_efi(&self) -> bool {
        self.platform == PLATFORM_EFI
    }

    fn parse(platform: u8, entry: &[u8; 32]) -> Self {
        Self {
            platform,
            bootable: entry[0] == BOOTABLE,
            emulation: entry[1] & 0x0F,
            sectors: le16(entry, 6).unwrap_or(0),
            offset: u64::from(le32(entry, 8).unwrap_or(0)) * BLOCK_BYTES,
        }
    }
}

impl<R: Read + Seek> Volume<R> {
    /// The boot images, the default one first; empty if the image does not boot. Only the first
    /// block of the catalog is read.
    pub fn boot_images(&mut self) -> Result<Vec<BootImage>, ReadError> {
        let Some(block) = self.catalog else { return Ok(Vec::new()) };
        let catalog = self.input.block(block)?;
        let start = u64::from(block) * BLOCK_BYTES;
        let entries: Vec<[u8; 32]> =
            (0..catalog.len() / 32).filter_map(|i| array(&catalog, i * 32)).collect();
        let mut rest = entries.iter();
        let (Some(validation), Some(default)) = (rest.next(), rest.next()) else {
            return Ok(Vec::new());
        };
        if validation[0] != 1 || validation[30..] != [0x55, 0xAA] || sum_words(validation) != 0 {
            return Err(corrupt(start, "the boot catalog's first entry is not valid"));
        }
        let mut images = vec![BootImage::parse(validation[1], default)];
        while let Some(header) = rest.next() {
            if header[0] != SECTION && header[0] != LAST_SECTION {
                break;
            }
            let count = le16(header, 2).unwrap_or(0);
            let section = rest.by_ref().take(usize::from(count));
            images.extend(section.map(|entry| BootImage::parse(header[1], entry)));
            if header[0] == LAST_SECTION {
                break;
            }
        }
        Ok(images)
    }
}
