// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any bytes as `release.json`: an accepted manifest round-trips.
#![no_main]

use release::Manifest;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(manifest) = Manifest::parse(bytes) else { return };
    let written = manifest.to_json().unwrap();
    let again = Manifest::parse(written.as_bytes()).unwrap();
    assert_eq!(again.to_json().unwrap(), written);
    drop(verify::paths(&manifest, (&manifest).into()));
});
