// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any bytes as a layer of an OS image, as the imager reads it before it writes.
//!
//! step is a program and no library, so its modules are compiled in as they are.
#![no_main]
#![allow(dead_code, reason = "a part of each module is used")]

use std::io::{self, Read as _};

#[path = "../../tools/step/src/unpack/archive.rs"]
mod archive;
#[path = "../../tools/step/src/unpack/sparse.rs"]
mod sparse;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut archive = archive::Archive::new(bytes);
    while let Ok(Some(entry)) = archive.next_entry() {
        assert!(entry.path.len() <= bytes.len(), "a path is a part of the input");
        let mut read = 0;
        if entry.records.iter().any(|(key, _)| key == b"GNU.sparse.major")
            && let Ok((pieces, size)) = sparse::read_map(&mut archive)
        {
            assert!(pieces.len() <= archive::MOST_PIECES && size % archive::BLOCK == 0);
            read = size;
        }
        let rest = io::copy(&mut (&mut archive).take(u64::MAX), &mut io::sink());
        assert!(rest.unwrap_or(0) + read <= entry.size, "no more than the entry has");
    }
});
