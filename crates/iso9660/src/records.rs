// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Directory records and path table records (ECMA-119 9.1 and 9.4).

use crate::bytes::{BLOCK, encode_both16, encode_both32};

/// The file flag of a directory (ECMA-119 9.1.6).
pub(crate) const FLAG_DIRECTORY: u8 = 1 << 1;
/// The file flag of every section of a file but its last.
pub(crate) const FLAG_MULTI_EXTENT: u8 = 1 << 7;
/// Bytes of a record before its identifier.
pub(crate) const FIXED: usize = 33;
/// Longest record in bytes: an even number that fits its length byte.
const RECORD_ROOM: usize = 254;

/// One directory record.
pub(crate) struct Record<'a> {
    pub(crate) block: u32,
    pub(crate) length: u32,
    pub(crate) time: [u8; 7],
    pub(crate) flags: u8,
    pub(crate) identifier: &'a [u8],
    pub(crate) system_use: &'a [u8],
}

/// Bytes of the identifier, padded to an even offset.
fn identifier_len(identifier: &[u8]) -> usize {
    identifier.len() + usize::from(identifier.len().is_multiple_of(2))
}

/// How many bytes a record has for system use.
pub(crate) fn system_use_room(identifier: &[u8]) -> usize {
    RECORD_ROOM.saturating_sub(FIXED + identifier_len(identifier))
}

impl Record<'_> {
    /// The record's bytes. Its identifier and system use must fit, see [`system_use_room`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = vec![0, 0];
        out.extend(encode_both32(self.block));
        out.extend(encode_both32(self.length));
        out.extend(self.time);
        // Flags, no interleaving, first volume of the set.
        out.extend([self.flags, 0, 0]);
        out.extend(encode_both16(1));
        out.push(u8::try_from(self.identifier.len()).unwrap_or(u8::MAX));
        out.extend(self.identifier);
        out.resize(FIXED + identifier_len(self.identifier), 0);
        out.extend(self.system_use);
        out.resize(out.len().next_multiple_of(2), 0);
        if let Ok(len) = u8::try_from(out.len()) {
            out[0] = len;
        }
        out
    }

    /// Appends the record; none crosses a block boundary (ECMA-119 6.8.1.1).
    pub(crate) fn append_to(&self, directory: &mut Vec<u8>) {
        let record = self.encode();
        let used = directory.len() % BLOCK;
        if used + record.len() > BLOCK {
            directory.resize(directory.len().next_multiple_of(BLOCK), 0);
        }
        directory.extend(record);
    }
}

/// The byte order of a path table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Little,
    Big,
}

/// Appends a path table record. `parent` counts from one.
pub(crate) fn append_path_record(
    table: &mut Vec<u8>,
    order: Order,
    identifier: &[u8],
    block: u32,
    parent: u16,
) {
    table.push(u8::try_from(identifier.len()).unwrap_or(u8::MAX));
    table.push(0);
    match order {
        Order::Little => {
            table.extend(block.to_le_bytes());
            table.extend(parent.to_le_bytes());
        }
        Order::Big => {
            table.extend(block.to_be_bytes());
            table.extend(parent.to_be_bytes());
        }
    }
    table.extend(identifier);
    table.resize(table.len().next_multiple_of(2), 0);
}
