// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Volume descriptors (ECMA-119 8; the boot record is El Torito 1.0, figure 7).

use crate::bytes::{BLOCK, encode_both16, encode_both32, put, put_text};
use crate::model::{Image, Labels};
use crate::{WriteError, joliet, time};

/// Block of the first descriptor (ECMA-119 6.7.1).
pub(crate) const FIRST: u32 = 16;
/// Standard identifier of every descriptor.
pub(crate) const MAGIC: &[u8; 5] = b"CD001";
/// Descriptor types (ECMA-119 8.1.1).
pub(crate) const TYPE_BOOT: u8 = 0;
pub(crate) const TYPE_PRIMARY: u8 = 1;
pub(crate) const TYPE_SUPPLEMENTARY: u8 = 2;
pub(crate) const TYPE_TERMINATOR: u8 = 255;
/// Boot system identifier of El Torito.
pub(crate) const EL_TORITO: &[u8] = b"EL TORITO SPECIFICATION";

/// Offsets of the fields that the reader uses too.
pub(crate) mod field {
    pub(crate) const VOLUME_ID: usize = 40;
    pub(crate) const SPACE: usize = 80;
    pub(crate) const ESCAPES: usize = 88;
    pub(crate) const BLOCK_SIZE: usize = 128;
    pub(crate) const ROOT: usize = 156;
    pub(crate) const PUBLISHER: usize = 318;
    pub(crate) const PREPARER: usize = 446;
    pub(crate) const APPLICATION: usize = 574;
    pub(crate) const CREATED: usize = 813;
    pub(crate) const MODIFIED: usize = 830;
    /// In a boot record: the block of the boot catalog.
    pub(crate) const CATALOG: usize = 71;
}

type Sector = [u8; BLOCK];

/// The fields of one directory tree in a primary or supplementary descriptor.
pub(crate) struct TreeLocation {
    pub(crate) root: [u8; 34],
    /// Length of the path table in bytes.
    pub(crate) table_len: u32,
    /// Blocks of the little-endian and the big-endian path table.
    pub(crate) tables: [u32; 2],
}

fn start(kind: u8) -> Sector {
    let mut out = [0; BLOCK];
    out[0] = kind;
    put(&mut out, 1, MAGIC);
    out[6] = 1;
    out
}

pub(crate) fn terminator() -> Sector {
    start(TYPE_TERMINATOR)
}

pub(crate) fn boot_record(catalog: u32) -> Sector {
    let mut out = start(TYPE_BOOT);
    put(&mut out, 7, EL_TORITO);
    put(&mut out, field::CATALOG, &catalog.to_le_bytes());
    out
}

pub(crate) fn primary(image: &Image, blocks: u32, tree: &TreeLocation) -> Sector {
    common(TYPE_PRIMARY, image, blocks, tree, &|text, _| text.as_bytes().to_vec(), b" ")
}

pub(crate) fn supplementary(image: &Image, blocks: u32, tree: &TreeLocation) -> Sector {
    let text = |text: &str, len: usize| joliet::label(text, len / 2);
    let mut out = common(TYPE_SUPPLEMENTARY, image, blocks, tree, &text, &[0, b' ']);
    put(&mut out, field::ESCAPES, joliet::ESCAPE);
    out
}

fn common(
    kind: u8,
    image: &Image,
    blocks: u32,
    tree: &TreeLocation,
    encode: &dyn Fn(&str, usize) -> Vec<u8>,
    space: &[u8],
) -> Sector {
    let Labels { volume, system, volume_set, publisher, preparer, application } = &image.labels;
    let mut out = start(kind);
    // Offset, length and value of each text field; the last three name files and stay blank.
    let texts = [
        (8, 32, system.as_str()),
        (field::VOLUME_ID, 32, volume),
        (190, 128, volume_set),
        (field::PUBLISHER, 128, publisher),
        (field::PREPARER, 128, preparer),
        (field::APPLICATION, 128, application),
        (702, 37, ""),
        (739, 37, ""),
        (776, 37, ""),
    ];
    for (offset, len, value) in texts {
        let text = encode(value, len);
        let filled: Vec<u8> = text
            .iter()
            .copied()
            .chain(space.iter().copied().cycle())
            // In the odd-sized fields of Joliet the last byte stays zero.
            .take(len - len % space.len())
            .collect();
        put_text(&mut out, offset, len, &filled, 0);
    }
    put(&mut out, field::SPACE, &encode_both32(blocks));
    // One volume in the set, and this is it.
    put(&mut out, 120, &encode_both16(1));
    put(&mut out, 124, &encode_both16(1));
    put(&mut out, field::BLOCK_SIZE, &encode_both16(2048));
    put(&mut out, 132, &encode_both32(tree.table_len));
    let [little, big] = tree.tables;
    put(&mut out, 140, &little.to_le_bytes());
    put(&mut out, 148, &big.to_be_bytes());
    put(&mut out, field::ROOT, &tree.root);
    let now = time::encode_long(image.epoch);
    put(&mut out, field::CREATED, &now);
    put(&mut out, field::MODIFIED, &now);
    // No expiry; effective at once.
    put(&mut out, 847, &time::LONG_UNSPECIFIED);
    put(&mut out, 864, &now);
    // File structure version.
    out[881] = 1;
    out
}

/// Refuses labels that the descriptors cannot represent.
pub(crate) fn check(labels: &Labels) -> Result<(), WriteError> {
    let d = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let a = |c: char| d(c) || " !\"%&'()*+,-./:;<=>?".contains(c);
    let fields: [(_, &str, bool, _); 6] = [
        (
            "volume id",
            &labels.volume,
            !labels.volume.is_empty() && labels.volume.chars().all(d) && labels.volume.len() <= 32,
            "1 to 32 of A-Z, 0-9 and _",
        ),
        (
            "volume set id",
            &labels.volume_set,
            labels.volume_set.chars().all(d) && labels.volume_set.len() <= 128,
            "up to 128 of A-Z, 0-9 and _",
        ),
        (
            "system id",
            &labels.system,
            labels.system.chars().all(a) && labels.system.len() <= 32,
            "up to 32 of A-Z, 0-9, space and !\"%&'()*+,-./:;<=>?_",
        ),
        ("publisher", &labels.publisher, long_a(&labels.publisher, a), LONG_A),
        ("preparer", &labels.preparer, long_a(&labels.preparer, a), LONG_A),
        ("application", &labels.application, long_a(&labels.application, a), LONG_A),
    ];
    for (field, value, valid, expected) in fields {
        if !valid {
            return Err(WriteError::Field { field, value: value.to_owned(), expected });
        }
    }
    Ok(())
}

const LONG_A: &str = "up to 128 of A-Z, 0-9, space and !\"%&'()*+,-./:;<=>?_";

fn long_a(value: &str, allowed: impl Fn(char) -> bool) -> bool {
    value.len() <= 128 && value.chars().all(allowed)
}
