// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Percent-encoding (RFC 3986, section 2.1).

use std::fmt::Write as _;

/// Encodes all characters except unreserved ones and `kept`.
pub(crate) fn encode(text: &str, kept: &[u8]) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String never fails.
            let _infallible = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn reserved_characters_are_encoded() {
        assert_eq!(encode("a/b c&ü~.", b""), "a%2Fb%20c%26%C3%BC~.");
        assert_eq!(encode("a/b", b"/"), "a/b");
    }
}
