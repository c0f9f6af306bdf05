// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `[retention]` of `release.toml`: how long a registry keeps releases.

use std::num::NonZeroU32;

use serde::Deserialize;

/// `[retention]`. Stable releases keep their files, SBOMs, checksums, signatures and attestations for ever.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Stable releases of each tool image, the newest ones.
    pub tools: NonZeroU32,
    /// Stable releases of each minor line of the maintenance OS.
    pub maintenance: NonZeroU32,
    /// Candidates of each version.
    pub candidates: NonZeroU32,
    /// Days that snapshots are kept, from the time of their commits.
    pub edge_days: u32,
    /// Days that test systems are kept, from the time of their commits.
    pub ci_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        let three = NonZeroU32::MIN.saturating_add(2);
        let tools = three.saturating_add(2);
        Self { tools, maintenance: three, candidates: three, edge_days: 30, ci_days: 7 }
    }
}

impl Retention {
    /// The options of `notary retention` with these values.
    pub fn options(&self) -> [(&'static str, u32); 5] {
        let Self { tools, maintenance, candidates, edge_days, ci_days } = self;
        [
            ("--tools", tools.get()),
            ("--maintenance", maintenance.get()),
            ("--candidates", candidates.get()),
            ("--edge-days", *edge_days),
            ("--ci-days", *ci_days),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_optional_and_nothing_keeps_no_release() {
        let read = |text: &str| toml::from_str::<Retention>(text);
        assert_eq!(read("").unwrap(), Retention::default());
        assert_eq!(read("tools = 9").unwrap().options().first(), Some(&("--tools", 9)));
        read("tools = 0").unwrap_err();
        read("tool = 1").unwrap_err();
    }
}
