// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Classifies tags and repositories by their names.

use oci::Digest;
use release::channels::{ChannelName, record};
use release::layout;
use release::test_artifacts::is_test_repository;
use semver::Version;

/// The kind of a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TagKind {
    /// A release, `vX.Y.Z…`.
    Version(Version),
    /// A channel.
    Channel,
    /// A commit, in hexadecimal. It expires with the release of the same content.
    Commit,
    /// Belongs to the manifest with this digest: `sha256-HEX` is the list of its referrers in a registry without
    /// the referrers API, `sha256-HEX.sig` and `.att` are older signatures and attestations of cosign.
    Attached(String),
    /// Any other tag, set by a person.
    Other,
}

impl TagKind {
    /// The kind of `tag`.
    pub(super) fn of(tag: &str) -> Self {
        if let Some(subject) = subject(tag) {
            return Self::Attached(subject);
        }
        if tag.parse::<ChannelName>().is_ok() {
            return Self::Channel;
        }
        if let Some(version) = tag.strip_prefix('v').and_then(|it| it.parse().ok()) {
            return Self::Version(version);
        }
        // Only a full id: eight digits may be a date.
        let is_commit =
            tag.len() == 40 && tag.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        if is_commit { Self::Commit } else { Self::Other }
    }
}

/// Parses `sha256-HEX`, with 64 digits and an optional suffix, as a digest.
fn subject(tag: &str) -> Option<String> {
    let rest = tag.strip_prefix("sha256-")?;
    let (hex, ending) = rest.split_at_checked(64)?;
    let digest = format!("sha256:{hex}");
    let is_digest = digest.parse::<Digest>().is_ok();
    (is_digest && (ending.is_empty() || ending.starts_with('.'))).then_some(digest)
}

/// Kind of a repository, which decides how long its content is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The files of releases, SBOMs, checksums, signatures and attestations among them.
    Release,
    /// Tool images.
    Tools,
    /// Test systems.
    Ci,
    /// Records of channels.
    Channels,
    /// The maintenance OS, and other images.
    Maintenance,
}

impl Class {
    /// The class of the repository `name`, without a prefix.
    pub(super) fn of(name: &str) -> Self {
        if name == layout::REPOSITORY {
            Self::Release
        } else if name == record::REPOSITORY {
            Self::Channels
        } else if is_test_repository(name) {
            Self::Ci
        } else if name.starts_with("tools/") {
            Self::Tools
        } else {
            Self::Maintenance
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_distinguished_by_their_form() {
        let hex = "a".repeat(64);
        let attached = || TagKind::Attached(format!("sha256:{hex}"));
        for (tag, kind) in [
            ("v1.4.0".to_owned(), TagKind::Version(Version::new(1, 4, 0))),
            ("v1.4.0-rc.1".to_owned(), TagKind::Version("1.4.0-rc.1".parse().unwrap())),
            ("1.4.0".to_owned(), TagKind::Other),
            ("1.4".to_owned(), TagKind::Channel),
            ("edge".to_owned(), TagKind::Channel),
            ("c0ffee00".repeat(5), TagKind::Commit),
            ("20260101".to_owned(), TagKind::Other),
            ("coffee".to_owned(), TagKind::Other),
            (format!("sha256-{hex}"), attached()),
            (format!("sha256-{hex}.sig"), attached()),
            (format!("sha256-{hex}.att"), attached()),
            (format!("sha256-{hex}x"), TagKind::Other),
            (format!("sha256-{}", &hex[1..]), TagKind::Other),
        ] {
            assert_eq!(TagKind::of(&tag), kind, "{tag}");
        }
    }

    #[test]
    fn repositories_are_distinguished_by_their_names() {
        for (name, class) in [
            ("release", Class::Release),
            ("channels", Class::Channels),
            ("tools/sgdisk", Class::Tools),
            ("ci/linux", Class::Ci),
            ("maintenance-os", Class::Maintenance),
            ("toolsmith", Class::Maintenance),
        ] {
            assert_eq!(Class::of(name), class, "{name}");
        }
    }
}
