// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Percent-encoding (RFC 3986, section 2.1).

use std::fmt::Write as _;

/// Percent-encodes every byte of `text` except ASCII letters, ASCII digits and those in `allowed`.
pub fn encode(text: &str, allowed: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || allowed.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}
