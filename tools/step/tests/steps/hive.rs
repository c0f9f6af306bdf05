// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The smallest registry hive, in place of the template that Windows brings and nobody else may
//! pass on: a base block and one bin with a root key that has no subkeys and no values.

/// Offset of the security cell behind the root key's cell, relative to the first bin.
const SECURITY: u32 = 0x20 + ROOT_CELL;
/// Sizes of the cells.
const ROOT_CELL: u32 = 0x60;
const SECURITY_CELL: u32 = 0x40;
/// "None", the offset of what is not there.
const NONE: u32 = u32::MAX;

pub(crate) fn empty() -> Vec<u8> {
    let mut base = vec![0; 4096];
    put(&mut base, 0, b"regf");
    // Two equal sequence numbers: the hive is clean. Version 1.3, a primary file, direct loads.
    for (offset, number) in [(4, 1), (8, 1), (20, 1), (24, 3), (28, 0), (32, 1)] {
        put(&mut base, offset, &u32::to_le_bytes(number));
    }
    put(&mut base, 36, &0x20_u32.to_le_bytes());
    put(&mut base, 40, &4096_u32.to_le_bytes());
    put(&mut base, 44, &1_u32.to_le_bytes());
    let checksum = base[..508]
        .chunks_exact(4)
        .fold(0, |sum, word| sum ^ u32::from_le_bytes(word.try_into().unwrap()));
    put(&mut base, 508, &checksum.to_le_bytes());

    let mut bin = vec![0; 4096];
    put(&mut bin, 0, b"hbin");
    put(&mut bin, 8, &4096_u32.to_le_bytes());
    root_key(&mut bin[0x20..]);
    security(&mut bin[SECURITY as usize..]);
    let free = SECURITY + SECURITY_CELL;
    put(&mut bin, free as usize, &(4096 - free).to_le_bytes());
    base.extend(bin);
    base
}

/// A key node ("nk") without parent; its cell's size is negative because it is in use.
fn root_key(cell: &mut [u8]) {
    put(cell, 0, &ROOT_CELL.wrapping_neg().to_le_bytes());
    put(cell, 4, b"nk");
    // The root of a hive, with a name in ASCII.
    put(cell, 6, &0x2c_u16.to_le_bytes());
    for (offset, number) in [(20, NONE), (32, NONE), (36, NONE), (44, NONE), (48, SECURITY)] {
        put(cell, offset, &u32::to_le_bytes(number));
    }
    put(cell, 52, &NONE.to_le_bytes());
    put(cell, 76, &4_u16.to_le_bytes());
    put(cell, 80, b"root");
}

/// A security cell ("sk") that is its own neighbour, with an empty self-relative descriptor.
fn security(cell: &mut [u8]) {
    put(cell, 0, &SECURITY_CELL.wrapping_neg().to_le_bytes());
    put(cell, 4, b"sk");
    put(cell, 8, &SECURITY.to_le_bytes());
    put(cell, 12, &SECURITY.to_le_bytes());
    put(cell, 16, &1_u32.to_le_bytes());
    put(cell, 20, &20_u32.to_le_bytes());
    put(cell, 24, &[1, 0, 0, 0x80]);
}

fn put(bytes: &mut [u8], offset: usize, what: &[u8]) {
    bytes[offset..offset + what.len()].copy_from_slice(what);
}
