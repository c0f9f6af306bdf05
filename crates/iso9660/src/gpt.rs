// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The partition table for booting from a disk: a protective MBR and a GPT (UEFI 2.10, section 5)
//! with the files and the EFI system partition.

use crate::bytes::{put, put_text};

/// Sectors of the table are 512 bytes, four to a block.
const SECTOR: usize = 512;
pub(crate) const SECTORS_PER_BLOCK: u64 = 4;
/// Entries of 128 bytes, and the sectors they take.
const ENTRIES: usize = 128;
const ENTRY_LEN: usize = 128;
const ENTRY_SECTORS: u64 = 32;
/// Boot code in the MBR, before what isohybrid writes at byte 432.
pub(crate) const CODE_LEN: usize = 432;
/// Blocks of the backup at the end of the disk.
pub(crate) const BACKUP_BLOCKS: u64 = 9;

/// EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, "basic data", for the files.
const TYPE_DATA: [u8; 16] = [
    0xEB, 0xD0, 0xA0, 0xA2, 0xB9, 0xE5, 0x44, 0x33, 0x87, 0xC0, 0x68, 0xB6, 0xB7, 0x26, 0x99, 0xC7,
];
/// C12A7328-F81F-11D2-BA4B-00A0C93EC93B, EFI system partition.
const TYPE_ESP: [u8; 16] = [
    0xC1, 0x2A, 0x73, 0x28, 0xF8, 0x1F, 0x11, 0xD2, 0xBA, 0x4B, 0x00, 0xA0, 0xC9, 0x3E, 0xC9, 0x3B,
];
/// Attribute bit 60 of basic data: read only.
const READ_ONLY: u64 = 1 << 60;

/// Contents of the table, in blocks of 2048 bytes.
pub(crate) struct Disk<'a> {
    pub(crate) guid: [u8; 16],
    pub(crate) blocks: u64,
    /// First block after the system area, and the block after the last file.
    pub(crate) files: (u64, u64),
    /// First block of the EFI system partition, and the block after it.
    pub(crate) esp: Option<(u64, u64)>,
    pub(crate) code: Option<&'a [u8]>,
    /// Block of the BIOS boot image, for the boot code.
    pub(crate) bios: Option<u32>,
}

impl Disk<'_> {
    fn last_sector(&self) -> u64 {
        (self.blocks * SECTORS_PER_BLOCK).saturating_sub(1)
    }

    /// The system area: MBR, header and entries in 16 blocks.
    pub(crate) fn system_area(&self) -> Vec<u8> {
        let mut out = vec![0; 16 * 2048];
        put(&mut out, 0, &self.mbr());
        let entries = self.entries();
        put(&mut out, SECTOR, &self.header(1, self.last_sector(), 2, &entries));
        put(&mut out, 2 * SECTOR, &entries);
        out
    }

    /// The last blocks of the disk: a gap, the entries and the backup header.
    pub(crate) fn backup(&self) -> Vec<u8> {
        let len = SECTOR * 36;
        let mut out = vec![0; len];
        let entries = self.entries();
        let last = self.last_sector();
        put(&mut out, len - SECTOR * 33, &entries);
        put(&mut out, len - SECTOR, &self.header(last, 1, last - ENTRY_SECTORS, &entries));
        out
    }

    fn mbr(&self) -> [u8; SECTOR] {
        let mut out = [0; SECTOR];
        if let Some(code) = self.code {
            put_text(&mut out, 0, CODE_LEN, code, 0);
            if let Some(block) = self.bios {
                put(&mut out, CODE_LEN, &(u64::from(block) * SECTORS_PER_BLOCK).to_le_bytes());
            }
        }
        // One entry of type EE over the whole disk, from sector 1 on (UEFI table 5.4).
        let size = u32::try_from(self.last_sector()).unwrap_or(u32::MAX);
        put(&mut out, 446, &[0, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0]);
        put(&mut out, 458, &size.to_le_bytes());
        put(&mut out, 510, &[0x55, 0xAA]);
        out
    }

    fn entries(&self) -> Vec<u8> {
        let mut out = vec![0; ENTRIES * ENTRY_LEN];
        put(&mut out, 0, &self.entry(1, TYPE_DATA, self.files, READ_ONLY, "ISO9660"));
        if let Some(esp) = self.esp {
            put(&mut out, ENTRY_LEN, &self.entry(2, TYPE_ESP, esp, 0, "EFI system partition"));
        }
        out
    }

    fn entry(
        &self,
        number: u8,
        kind: [u8; 16],
        (from, to): (u64, u64),
        attributes: u64,
        name: &str,
    ) -> [u8; ENTRY_LEN] {
        let mut guid = self.guid;
        guid[15] ^= number;
        let mut out = [0; ENTRY_LEN];
        put(&mut out, 0, &mixed_endian(kind));
        put(&mut out, 16, &mixed_endian(guid));
        put(&mut out, 32, &(from * SECTORS_PER_BLOCK).to_le_bytes());
        put(&mut out, 40, &(to * SECTORS_PER_BLOCK).saturating_sub(1).to_le_bytes());
        put(&mut out, 48, &attributes.to_le_bytes());
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        put(&mut out, 56, &name);
        out
    }

    /// UEFI table 5.5.
    fn header(&self, own: u64, other: u64, entries_at: u64, entries: &[u8]) -> [u8; SECTOR] {
        const LEN: usize = 92;
        let mut out = [0; SECTOR];
        put(&mut out, 0, b"EFI PART");
        put(&mut out, 8, &[0, 0, 1, 0, 92, 0, 0, 0]);
        put(&mut out, 24, &own.to_le_bytes());
        put(&mut out, 32, &other.to_le_bytes());
        put(&mut out, 40, &(2 + ENTRY_SECTORS).to_le_bytes());
        put(&mut out, 48, &(self.last_sector() - ENTRY_SECTORS - 1).to_le_bytes());
        put(&mut out, 56, &mixed_endian(self.guid));
        put(&mut out, 72, &entries_at.to_le_bytes());
        put(&mut out, 80, &[128, 0, 0, 0, 128, 0, 0, 0]);
        put(&mut out, 88, &crc32fast::hash(entries).to_le_bytes());
        let checksum = crc32fast::hash(out.get(..LEN).unwrap_or_default());
        put(&mut out, 16, &checksum.to_le_bytes());
        out
    }
}

/// A GUID on disk: its first three fields are little-endian (UEFI appendix A).
fn mixed_endian(guid: [u8; 16]) -> [u8; 16] {
    let mut out = guid;
    for field in [0..4, 4..6, 6..8] {
        if let Some(bytes) = out.get_mut(field) {
            bytes.reverse();
        }
    }
    out
}
