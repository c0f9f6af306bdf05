// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any text as Debian control data, and any two texts as versions of a package.
//!
//! xtask is a program and no library, so its modules are compiled in as they are.
#![no_main]
#![allow(dead_code, reason = "a part of each module is used")]

use std::cmp::Ordering;

#[path = "../../xtask/src/ops/debian/control.rs"]
mod control;
#[path = "../../xtask/src/ops/debian/version.rs"]
mod version;

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
