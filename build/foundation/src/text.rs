// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Formatting of counts, durations and sizes.

use std::time::Duration;

/// `1 finding`, `2 findings`.
pub fn count(number: usize, what: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {what}{s}")
}

/// `0.4 s`, `2 m 05 s`.
pub fn seconds(milliseconds: u64) -> String {
    let time = Duration::from_millis(milliseconds);
    match time.as_secs() {
        0..100 => format!("{:.1} s", time.as_secs_f64()),
        whole => format!("{} m {:02} s", whole / 60, whole % 60),
    }
}

/// `12.3 MB`; 1 MB is 10^6 bytes.
pub fn megabytes(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{} MB", tenths / 10, tenths % 10)
}
