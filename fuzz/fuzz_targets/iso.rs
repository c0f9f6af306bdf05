// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads everything in an image, by each of its trees. The input is the image from its first
//! volume descriptor on, so that no effort goes into the 16 blocks before it.
#![no_main]

use std::io::Cursor;

use iso9660::reader::{Kind, Limits, Namespace, Volume};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut image = vec![0; 16 * 2048];
    image.extend_from_slice(data);
    let limits = Limits { entries: 1000, ..Limits::default() };
    for namespace in [Namespace::RockRidge, Namespace::Joliet, Namespace::Plain] {
        let input = Cursor::new(image.as_slice());
        let Ok(mut volume) = Volume::open_with(input, Some(namespace), limits) else { continue };
        let _ = volume.boot_images();
        for (path, entry) in volume.walk().unwrap_or_default() {
            assert!(!path.split('/').any(|name| name.is_empty() || name == ".."), "{path:?}");
            if entry.kind == Kind::File {
                let _ = volume.read_file(&entry, 1 << 16);
            }
        }
    }
});
