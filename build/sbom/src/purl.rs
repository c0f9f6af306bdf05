// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Package URLs (ECMA-427), by which vulnerability databases and licence tools identify packages.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Formats a package URL; `qualifiers` are sorted by key.
pub fn purl(
    kind: &str,
    namespace: Option<&str>,
    name: &str,
    version: &str,
    qualifiers: &[(&str, &str)],
) -> String {
    let mut out = format!("pkg:{kind}/");
    if let Some(namespace) = namespace {
        out.push_str(&encode(namespace));
        out.push('/');
    }
    out.push_str(&encode(name));
    out.push('@');
    out.push_str(&encode(version));
    let mut sorted = qualifiers.to_vec();
    sorted.sort_unstable();
    for (index, (key, value)) in sorted.iter().enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        out.push_str(key);
        out.push('=');
        out.push_str(&encode(value));
    }
    out
}

/// Percent-encodes everything except letters, digits and `.-_~:` (ECMA-427, 5.4).
fn encode(text: &str) -> String {
    const ENCODED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'~').remove(b':');
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_have_the_urls_that_databases_know() {
        assert_eq!(purl("cargo", None, "serde", "1.0.229", &[]), "pkg:cargo/serde@1.0.229");
        assert_eq!(
            purl(
                "deb",
                Some("debian"),
                "libstdc++6",
                "1:14.2.0-19",
                &[("distro", "debian-13"), ("arch", "amd64")]
            ),
            "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19?arch=amd64&distro=debian-13"
        );
        assert_eq!(
            purl("cargo", None, "a", "1.0.0+x", &[("vcs_url", "git+https://h/p@c")]),
            "pkg:cargo/a@1.0.0%2Bx?vcs_url=git%2Bhttps:%2F%2Fh%2Fp%40c"
        );
    }
}
