// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Version bumps.

use semver::{Prerelease, Version};
use serde::Serialize;

use crate::message::{Change, Kind};

/// The number of a version that is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bump {
    /// None.
    None,
    /// The patch number.
    Patch,
    /// The minor number.
    Minor,
    /// The major number.
    Major,
}

impl Bump {
    /// The bump that a change requires.
    pub fn required_by(change: &Change) -> Self {
        match change.kind {
            _ if change.breaking.is_some() => Self::Major,
            Kind::Feature => Self::Minor,
            Kind::Fix | Kind::Performance | Kind::Revert => Self::Patch,
            Kind::Internal | Kind::Other => Self::None,
        }
    }
}

/// The version after `last` (Semantic Versioning 2.0.0). Before 1.0.0, a breaking change raises the
/// minor number and every other change the patch number (section 4, as in Cargo).
pub fn next_version(last: &Version, bump: Bump) -> Version {
    let mut next = Version { pre: Prerelease::EMPTY, ..last.clone() };
    let bump = match bump {
        Bump::Major if last.major == 0 => Bump::Minor,
        Bump::Minor if last.major == 0 => Bump::Patch,
        bump => bump,
    };
    match bump {
        Bump::None => {}
        Bump::Patch => next.patch += 1,
        Bump::Minor => (next.minor, next.patch) = (next.minor + 1, 0),
        Bump::Major => (next.major, next.minor, next.patch) = (next.major + 1, 0, 0),
    }
    next
}

/// The tag of the highest stable version, `vX.Y.Z`.
pub fn newest_stable<'a>(tags: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let versions = tags.into_iter().filter_map(|tag| {
        let version: Version = tag.strip_prefix('v')?.parse().ok()?;
        (version.pre.is_empty() && version.build.is_empty()).then_some((version, tag))
    });
    versions.max().map(|(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_stable_tag_is_the_one_of_the_highest_version() {
        let tags = ["v1.9.0", "v1.10.0", "v1.11.0-rc.1", "v2", "latest", "v1.10.0+x", "1.12.0"];
        assert_eq!(newest_stable(tags), Some("v1.10.0"));
        assert_eq!(newest_stable(["v1.0.0-rc.1"]), None);
    }

    #[test]
    fn versions_grow_as_semver_requires() {
        for (last, bump, next) in [
            ("1.2.3", Bump::None, "1.2.3"),
            ("1.2.3", Bump::Patch, "1.2.4"),
            ("1.2.3", Bump::Minor, "1.3.0"),
            ("1.2.3", Bump::Major, "2.0.0"),
            ("0.2.3", Bump::Minor, "0.2.4"),
            ("0.2.3", Bump::Major, "0.3.0"),
        ] {
            let last: Version = last.parse().unwrap();
            assert_eq!(next_version(&last, bump).to_string(), next, "{last} {bump:?}");
        }
    }
}
