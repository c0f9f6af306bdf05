// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Releases that may enter a channel, and the rules by which channels move.

use std::collections::BTreeMap;

use semver::Version;

use super::name::{ChannelName, kind_of};
use super::record::{ChannelRecord, Entry, Move};
use crate::test_artifacts::is_test_repository;
use crate::{Channel, Manifest, layout};

/// Why a release does not enter a channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Built from a work tree with changes.
    #[error("{0} was built from a work tree with uncommitted changes, which enters no channel")]
    Dirty(String),
    /// The version contradicts its kind, or is no semantic version.
    #[error("{version} is not a version of the kind {kind}: {reason}")]
    Version {
        /// The version.
        version: String,
        /// `snapshot`, `candidate` or `stable`.
        kind: &'static str,
        /// Reason for the refusal.
        reason: String,
    },
    /// A test artifact among the images.
    #[error("the image {0} is a test artifact, and those enter no channel")]
    TestArtifact(String),
    /// A kind that the channel does not take.
    #[error("{version} is a {kind} release, which does not enter {channel}")]
    Kind {
        /// The version.
        version: Version,
        /// Its kind.
        kind: &'static str,
        /// The channel.
        channel: ChannelName,
    },
    /// A release of another minor line.
    #[error("{version} is not of the line {channel}")]
    Line {
        /// The version.
        version: Version,
        /// The channel.
        channel: ChannelName,
    },
    /// The channel is ahead.
    #[error(
        "{channel} points to {current}, and {version} is older; an older line has a channel of its own, \
         {own}, and `rollback` takes a channel back",
        own = ChannelName::minor_of(version)
    )]
    Older {
        /// The version.
        version: Version,
        /// The channel.
        channel: ChannelName,
        /// Where it points.
        current: Version,
    },
    /// Not older than where the channel points.
    #[error(
        "{channel} points to {current}: a rollback leads to an older release, not to {version}"
    )]
    NotOlder {
        /// The version.
        version: Version,
        /// The channel.
        channel: ChannelName,
        /// Where it points.
        current: Version,
    },
    /// Withdrawn.
    #[error("{version} was yanked: {reason}")]
    Yanked {
        /// The version.
        version: Version,
        /// Reason for the withdrawal.
        reason: String,
    },
    /// A rollback of a channel that points nowhere.
    #[error("{0} points to no release")]
    Empty(ChannelName),
}

/// A release that may enter a channel. Only [`EligibleRelease::new`] makes one, from the manifest of a release: test
/// artifacts have another record, and no way leads from it to here.
///
/// ```compile_fail,E0308
/// fn enter(record: &release::TestArtifacts) {
///     let digest = format!("sha256:{}", "0".repeat(64));
///     release::channels::EligibleRelease::new(record, digest).unwrap();
/// }
/// ```
#[derive(Debug, Clone)]
pub struct EligibleRelease {
    version: Version,
    kind: Channel,
    epoch: u64,
    digest: String,
    repositories: Vec<(String, String)>,
}

impl EligibleRelease {
    /// The release of `manifest`, whose artifact in the registry has the digest `digest`.
    ///
    /// # Errors
    /// When a release of this kind enters no channel at all.
    pub fn new(manifest: &Manifest, digest: String) -> Result<Self, Refusal> {
        if manifest.source.dirty {
            return Err(Refusal::Dirty(manifest.version.clone()));
        }
        if let Some(image) = manifest.images.iter().find(|it| is_test_repository(&it.repository)) {
            return Err(Refusal::TestArtifact(image.repository.clone()));
        }
        let version = version_of(manifest)?;
        let images = manifest.images.iter();
        let mut repositories: Vec<_> =
            images.map(|it| (it.repository.clone(), it.digest.clone())).collect();
        // The tag of the release itself moves last, as in publishing.
        repositories.push((layout::REPOSITORY.to_owned(), digest.clone()));
        let (kind, epoch) = (manifest.channel, manifest.epoch);
        Ok(Self { version, kind, epoch, digest, repositories })
    }

    /// Its version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The channels that move when this release is promoted to `name`.
    ///
    /// # Errors
    /// When it may not enter, or a channel would go back.
    pub fn promote(
        &self,
        record: Option<&ChannelRecord>,
        name: ChannelName,
    ) -> Result<Vec<ChannelName>, Refusal> {
        self.check(record, name)?;
        for channel in name.aliases().iter().chain([&name]) {
            if let Some(current) = self.newer_in(record, *channel) {
                return Err(Refusal::Older {
                    version: self.version.clone(),
                    channel: *channel,
                    current,
                });
            }
        }
        Ok(self.list_moved(name, |line| self.newer_in(record, line).is_none()))
    }

    /// The channels that move when `name` is rolled back to this release.
    ///
    /// # Errors
    /// When it may not enter, or is not older than the release that the channel points to.
    pub fn roll_back(
        &self,
        record: Option<&ChannelRecord>,
        name: ChannelName,
    ) -> Result<Vec<ChannelName>, Refusal> {
        self.check(record, name)?;
        let entry = |name| record.and_then(|it: &ChannelRecord| it.channels.get(&name));
        let current = entry(name).ok_or(Refusal::Empty(name))?;
        if self.newer_in(record, name).is_none() {
            return Err(Refusal::NotOlder {
                version: self.version.clone(),
                channel: name,
                current: current.version.clone(),
            });
        }
        // The minor line follows where it points to the release that is left.
        Ok(self.list_moved(name, |line| entry(line).is_none_or(|it| it.version == current.version)))
    }

    /// Points `channels` of `record` to this release. Returns the tags that should move, without what they have
    /// now.
    #[must_use]
    pub fn enter(&self, record: &mut ChannelRecord, channels: &[ChannelName]) -> Vec<Move> {
        let repositories: BTreeMap<_, _> = self.repositories.iter().cloned().collect();
        let mut moves = Vec::new();
        for channel in channels {
            let entry = Entry {
                version: self.version.clone(),
                release: self.digest.clone(),
                epoch: self.epoch,
                since: record.time,
                by: record.by.clone(),
                repositories: repositories.clone(),
            };
            let before = record.channels.insert(*channel, entry);
            let before = before.map(|it| it.repositories).unwrap_or_default();
            let gone = before.into_keys().filter(|it| !repositories.contains_key(it));
            let gone = gone.map(|repository| (repository, None));
            let set = self.repositories.iter();
            let set = set.map(|(repository, digest)| (repository.clone(), Some(digest.clone())));
            for (repository, to) in gone.chain(set) {
                moves.push(Move { repository, channel: *channel, from: None, to });
            }
        }
        moves
    }

    fn list_moved(
        &self,
        name: ChannelName,
        line_moves: impl Fn(ChannelName) -> bool,
    ) -> Vec<ChannelName> {
        let line = ChannelName::minor_of(&self.version);
        match name {
            ChannelName::Stable | ChannelName::Latest if line_moves(line) => {
                vec![ChannelName::Stable, ChannelName::Latest, line]
            }
            ChannelName::Stable
            | ChannelName::Latest
            | ChannelName::Edge
            | ChannelName::Candidate => name.aliases().to_vec(),
            ChannelName::Minor { .. } => vec![name],
        }
    }

    /// What holds for promotion and rollback.
    fn check(&self, record: Option<&ChannelRecord>, name: ChannelName) -> Result<(), Refusal> {
        let version = || self.version.clone();
        if !name.accepts(self.kind) {
            return Err(Refusal::Kind {
                version: version(),
                kind: self.kind.name(),
                channel: name,
            });
        }
        let line = ChannelName::minor_of(&self.version);
        if matches!(name, ChannelName::Minor { .. }) && name != line {
            return Err(Refusal::Line { version: version(), channel: name });
        }
        match record.and_then(|it| it.yanked.get(&self.version)) {
            Some(yank) => Err(Refusal::Yanked { version: version(), reason: yank.reason.clone() }),
            None => Ok(()),
        }
    }

    /// The version that `name` points to, if that is newer than this one. Snapshots have no order but
    /// that of their commits.
    fn newer_in(&self, record: Option<&ChannelRecord>, name: ChannelName) -> Option<Version> {
        let entry = record?.channels.get(&name)?;
        let newer = match name {
            ChannelName::Edge => entry.epoch > self.epoch,
            ChannelName::Candidate
            | ChannelName::Stable
            | ChannelName::Latest
            | ChannelName::Minor { .. } => entry.version > self.version,
        };
        newer.then(|| entry.version.clone())
    }
}

fn version_of(manifest: &Manifest) -> Result<Version, Refusal> {
    let refuse = |reason: String| Refusal::Version {
        version: manifest.version.clone(),
        kind: manifest.channel.name(),
        reason,
    };
    let version: Version = manifest.version.parse().map_err(|e| refuse(format!("{e}")))?;
    if kind_of(&version) != Some(manifest.channel) || !version.build.is_empty() {
        let expected = "expected X.Y.Z for stable, X.Y.Z-rc.N for candidate, X.Y.Z-snapshot.COMMIT \
                        for snapshot";
        return Err(refuse(expected.to_owned()));
    }
    Ok(version)
}

#[cfg(test)]
mod tests;
