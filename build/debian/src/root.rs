// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Package data of a Debian root file system.

use std::collections::BTreeMap;

/// Files of a root file system that describe it.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RootFacts {
    /// `var/lib/dpkg/status`.
    pub status: String,
    /// `etc/os-release`, or `usr/lib/os-release`.
    pub os_release: String,
    /// `usr/share/doc/PACKAGE/copyright`, by package.
    pub copyrights: BTreeMap<String, String>,
}

/// The value of `key` in an os-release(5) file, without quotes.
pub fn os_release<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    Some(value.trim_matches(['"', '\'']))
}
