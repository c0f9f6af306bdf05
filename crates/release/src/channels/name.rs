// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The names of channels, and the kinds of releases that they take.

use std::fmt;
use std::str::FromStr;

use semver::Version;
use serde::{Deserialize, Serialize};

use crate::Channel;

/// A channel, which is also the tag that follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ChannelName {
    /// The newest commit of the main branch.
    Edge,
    /// The newest release candidate.
    Candidate,
    /// The newest stable release.
    Stable,
    /// The same as `stable`, for clients that expect this tag.
    Latest,
    /// The newest patch of a minor line, `X.Y`.
    Minor {
        /// X.
        major: u64,
        /// Y.
        minor: u64,
    },
}

impl ChannelName {
    /// Whether releases of this kind may enter.
    pub fn accepts(self, kind: Channel) -> bool {
        match (self, kind) {
            (Self::Edge, Channel::Snapshot | Channel::Candidate | Channel::Stable)
            | (Self::Candidate, Channel::Candidate)
            | (Self::Stable | Self::Latest | Self::Minor { .. }, Channel::Stable) => true,
            (Self::Candidate, Channel::Snapshot | Channel::Stable)
            | (
                Self::Stable | Self::Latest | Self::Minor { .. },
                Channel::Snapshot | Channel::Candidate,
            ) => false,
        }
    }

    /// The minor line of `version`.
    pub fn minor_of(version: &Version) -> Self {
        Self::Minor { major: version.major, minor: version.minor }
    }

    /// The channels that always point to the same release as this one.
    pub fn aliases(self) -> &'static [Self] {
        match self {
            Self::Stable | Self::Latest => &[Self::Stable, Self::Latest],
            Self::Edge => &[Self::Edge],
            Self::Candidate => &[Self::Candidate],
            Self::Minor { .. } => &[],
        }
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edge => f.write_str("edge"),
            Self::Candidate => f.write_str("candidate"),
            Self::Stable => f.write_str("stable"),
            Self::Latest => f.write_str("latest"),
            Self::Minor { major, minor } => write!(f, "{major}.{minor}"),
        }
    }
}

impl FromStr for ChannelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let minor = || {
            let (major, minor) = text.split_once('.')?;
            let name = Self::Minor { major: major.parse().ok()?, minor: minor.parse().ok()? };
            // One spelling for each: no sign, no leading zero.
            (name.to_string() == text).then_some(name)
        };
        match text {
            "edge" => Ok(Self::Edge),
            "candidate" => Ok(Self::Candidate),
            "stable" => Ok(Self::Stable),
            "latest" => Ok(Self::Latest),
            _ => minor().ok_or_else(|| {
                format!(
                    "{text:?} is no channel: expected candidate, stable, latest, edge, or X.Y such \
                     as 1.4"
                )
            }),
        }
    }
}

impl TryFrom<String> for ChannelName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ChannelName> for String {
    fn from(name: ChannelName) -> Self {
        name.to_string()
    }
}

/// The kind of release that `version` names: `X.Y.Z`, `X.Y.Z-rc.N` or `X.Y.Z-snapshot.…`.
pub fn kind_of(version: &Version) -> Option<Channel> {
    if version.pre.is_empty() {
        return Some(Channel::Stable);
    }
    match version.pre.split_once('.')? {
        ("rc", number) => number.parse::<u64>().ok().map(|_| Channel::Candidate),
        ("snapshot", _) => Some(Channel::Snapshot),
        _ => None,
    }
}
