// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any bytes as a medium that may be a combined image.
#![no_main]

use std::io::{Cursor, Read as _};

use iso9660::combined::{self, Part};
use iso9660::reader::Volume;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut medium = Cursor::new(bytes);
    let Ok(Some(range)) = combined::find(&mut medium) else { return };
    assert!(range.start <= range.end && range.end <= bytes.len() as u64, "{range:?}");
    let expected = &bytes[range.start as usize..range.end as usize];
    let mut found = Vec::new();
    Part::new(Cursor::new(bytes), range.clone()).read_to_end(&mut found).unwrap();
    assert_eq!(found, expected);
    drop(Volume::open(Part::new(Cursor::new(bytes), range)));
});
