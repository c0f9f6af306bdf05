// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Environments that the pipelines of CI publish to.

/// Where a pipeline publishes a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// Snapshots of the main branch.
    Staging,
    /// Releases of tags.
    Production,
}

impl Environment {
    /// All environments.
    pub const ALL: [Self; 2] = [Self::Staging, Self::Production];

    /// Name of its `[registry.NAME]` and `[assets.NAME]` in `release.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }

    /// Name of its pipeline in provenance.
    pub fn pipeline(self) -> &'static str {
        match self {
            Self::Staging => "main",
            Self::Production => "release",
        }
    }
}
