// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any text as Debian control data, and any two texts as versions of a package.
#![no_main]

use std::cmp::Ordering;

use debian::{control, version};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    for stanza in control::parse(&text).unwrap_or_default() {
        for field in ["Package", "Depends", "Provides"] {
            stanza.get(field).map(control::relations);
        }
    }
    let (a, b) = text.split_once('\n').unwrap_or((&text, ""));
    let order = version::compare(a, b);
    assert_eq!(version::compare(b, a), order.reverse(), "{a:?} {b:?}");
    assert_eq!(version::compare(a, a), Ordering::Equal, "{a:?}");
});
