// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Damaged and malicious images.

use std::io::Cursor;

use iso9660::reader::{Kind, Limits, Namespace, ReadError, Volume};
use proptest::prelude::*;

use crate::facts::{ROOT, image, sample, write};

/// Calls every function of the reader and ignores the results.
fn exercise(bytes: &[u8]) {
    for namespace in [Namespace::RockRidge, Namespace::Joliet, Namespace::Plain] {
        let input = Cursor::new(bytes);
        let Ok(mut volume) = Volume::open_with(input, Some(namespace), Limits::default()) else {
            continue;
        };
        drop(volume.boot_images());
        for (_, entry) in volume.walk().unwrap_or_default() {
            if entry.kind == Kind::File {
                drop(volume.read_file(&entry, 1 << 20));
            }
        }
    }
}

/// Offsets of the structures in the sample image: descriptors, tables and directories.
const STRUCTURES: std::ops::Range<usize> = 16 * 2048..90 * 2048;

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_damage_makes_the_reader_panic(
        changes in prop::collection::vec((STRUCTURES, any::<u8>()), 1..40),
        end in prop::option::of(0_usize..200 * 2048),
    ) {
        let mut bytes = write(&image(&sample()));
        for (at, value) in changes {
            bytes[at] = value;
        }
        bytes.truncate(end.unwrap_or(usize::MAX));
        exercise(&bytes);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(tail in prop::collection::vec(any::<u8>(), 0..8192)) {
        let mut bytes = vec![0; 16 * 2048];
        bytes.extend(b"\x01CD001\x01");
        bytes.extend(tail);
        exercise(&bytes);
    }
}

fn position(bytes: &[u8], what: &[u8]) -> usize {
    bytes.windows(what.len()).position(|window| window == what).unwrap()
}

/// A 32-bit number in both byte orders.
fn set_both(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    bytes[at + 4..at + 8].copy_from_slice(&value.to_be_bytes());
}

#[test]
fn a_folder_inside_itself_is_an_error() {
    let mut bytes = write(&image(&sample()));
    // The record of D1 in the root points back to the root.
    let root = bytes[16 * 2048 + 158..16 * 2048 + 162].try_into().unwrap();
    let record = position(&bytes, b"\x02D1\0PX") - 32;
    set_both(&mut bytes, record + 2, u32::from_le_bytes(root));
    let error = Volume::open(Cursor::new(bytes)).unwrap().walk().unwrap_err();
    assert!(
        matches!(error, ReadError::Corrupt { what: "a folder is listed twice", .. }),
        "{error}"
    );
}

#[test]
fn folders_that_share_a_large_area_are_an_error() {
    let mut image = image(&sample());
    let empty = iso9660::Source::bytes(vec![0; 4 << 20]);
    image.root.insert("zeros", iso9660::Node::File(ROOT, empty)).unwrap();
    let mut bytes = write(&image);
    let at = position(&bytes, b"ZEROS.;1") - 33;
    let block = u32::from_le_bytes(bytes[at + 2..at + 6].try_into().unwrap());
    for (i, name) in (0..).zip([b"\x02D1\0PX".as_slice(), b"\x0cEMPTY_FOLDER", b"\x04MANY"]) {
        let record = position(&bytes, name) - 32;
        set_both(&mut bytes, record + 2, block + i);
        set_both(&mut bytes, record + 10, 3 << 20);
    }
    let error = Volume::open(Cursor::new(bytes)).unwrap().walk().unwrap_err();
    assert!(matches!(error, ReadError::Corrupt { what: "folders overlap", .. }), "{error}");
}

#[test]
fn a_chain_of_continuations_that_never_ends_is_an_error() {
    let mut bytes = write(&image(&sample()));
    let at = position(&bytes, b"CE\x1c\x01");
    // Its continuation area has one entry that points to itself.
    let link: [u8; 28] = bytes[at..at + 28].try_into().unwrap();
    let block = u32::from_le_bytes(link[4..8].try_into().unwrap());
    let offset = u32::from_le_bytes(link[12..16].try_into().unwrap());
    let target = (block * 2048 + offset) as usize;
    bytes[target..target + 28].copy_from_slice(&link);
    bytes[target + 28] = 0;
    let error = Volume::open(Cursor::new(bytes)).map(|mut v| v.walk().unwrap_err());
    let error = error.unwrap_or_else(|error| error);
    assert!(matches!(error, ReadError::Limit { what: "continuation areas", .. }), "{error}");
}

#[test]
fn a_name_that_leaves_its_folder_is_an_error() {
    let mut bytes = write(&image(&sample()));
    let at = position(&bytes, b"NM\x09\x01\x00more");
    bytes[at + 5..at + 9].copy_from_slice(b"../x");
    let error = Volume::open(Cursor::new(bytes)).unwrap().walk().unwrap_err();
    assert!(matches!(error, ReadError::Corrupt { .. }), "{error}");
}

#[test]
fn a_file_larger_than_the_image_is_an_error_before_memory_is_taken() {
    let mut bytes = write(&image(&sample()));
    let at = position(&bytes, b"MORE.;1") - 33;
    set_both(&mut bytes, at + 10, u32::MAX);
    let mut volume = Volume::open(Cursor::new(bytes)).unwrap();
    let entry = volume.find("more").unwrap();
    let error = volume.read_file(&entry, u64::MAX).unwrap_err();
    assert!(matches!(error, ReadError::Limit { what: "bytes in a file", .. }), "{error}");
}

#[test]
fn limits_hold() {
    let bytes = write(&image(&sample()));
    let walk =
        |limits| Volume::open_with(Cursor::new(&bytes), None, limits).unwrap().walk().unwrap_err();
    let limits = Limits::default();
    for (limits, expected) in [
        (Limits { entries: 10, ..limits }, "files"),
        (Limits { depth: 5, ..limits }, "folders inside each other"),
        (Limits { directory_bytes: 2048, ..limits }, "bytes in a directory"),
    ] {
        let error = walk(limits);
        assert!(matches!(error, ReadError::Limit { what, .. } if what == expected), "{error}");
    }
}

#[test]
fn what_is_no_image_is_refused() {
    for bytes in [vec![], vec![0; 100], vec![0; 40 * 2048]] {
        assert!(matches!(Volume::open(Cursor::new(bytes)), Err(ReadError::NotIso)));
    }
}
