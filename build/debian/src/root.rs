// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What the root file system of an installed Debian records about itself.

use std::collections::BTreeMap;

/// Facts that a root file system has about itself.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RootFacts {
    /// `var/lib/dpkg/status`.
    pub status: String,
    /// `etc/os-release`, or `usr/lib/os-release`.
    pub os_release: String,
    /// `usr/share/doc/PACKAGE/copyright`, by package.
    pub copyrights: BTreeMap<String, String>,
}
