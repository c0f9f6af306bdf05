// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Numbers and fields in their stored form (ECMA-119 7.2 and 7.3).

/// The size of a logical block and of a sector, in bytes. ECMA-119 6.2.2 allows others, but no
/// current image uses them.
pub(crate) const BLOCK: usize = 2048;
/// [`BLOCK`] for arithmetic with lengths of files.
pub(crate) const BLOCK_BYTES: u64 = 2048;

pub(crate) fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES)
}

/// A 16-bit number in both byte orders.
pub(crate) fn encode_both16(value: u16) -> [u8; 4] {
    let ([low, high], [first, second]) = (value.to_le_bytes(), value.to_be_bytes());
    [low, high, first, second]
}

/// A 32-bit number in both byte orders.
pub(crate) fn encode_both32(value: u32) -> [u8; 8] {
    let mut out = [0; 8];
    let (little, big) = out.split_at_mut(4);
    little.copy_from_slice(&value.to_le_bytes());
    big.copy_from_slice(&value.to_be_bytes());
    out
}

/// Copies `bytes` to `offset` of `target`. Bytes beyond the end are dropped, so that no caller can
/// panic.
pub(crate) fn put(target: &mut [u8], offset: usize, bytes: &[u8]) {
    for (to, from) in target.iter_mut().skip(offset).zip(bytes) {
        *to = *from;
    }
}

/// `text` at `offset`, followed by `fill` up to `len` bytes.
pub(crate) fn put_text(target: &mut [u8], offset: usize, len: usize, text: &[u8], fill: u8) {
    for (i, to) in target.iter_mut().skip(offset).take(len).enumerate() {
        *to = text.get(i).copied().unwrap_or(fill);
    }
}

/// `N` bytes at `offset`, or `None` past the end.
pub(crate) fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..offset.checked_add(N)?)?.try_into().ok()
}

/// A little-endian 32-bit number at `offset`; also the first half of one in both orders.
pub(crate) fn le32(bytes: &[u8], offset: usize) -> Option<u32> {
    array(bytes, offset).map(u32::from_le_bytes)
}

/// A little-endian 16-bit number at `offset`; also the first half of one in both orders.
pub(crate) fn le16(bytes: &[u8], offset: usize) -> Option<u16> {
    array(bytes, offset).map(u16::from_le_bytes)
}
