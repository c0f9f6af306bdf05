// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The record of where each channel points, `channels.json`: one document for all channels of a registry, so
//! that no two of them can be shown from different times.
//!
//! Each change makes a new record with the next number and the digest of the record before it. `expires`
//! bounds how long an old one can be shown for the newest; `docs/reference/release-files.md` has the format.

use std::collections::BTreeMap;

use semver::Version;
use serde::{Deserialize, Serialize};

use super::name::{ChannelName, kind_of};
use crate::ManifestError;

/// The supported value of `schema`.
const SCHEMA: &str = "provisioner/channels/v1";

/// The repository with the records, beside the release's.
pub const REPOSITORY: &str = "channels";
/// The type of their artifacts.
pub const ARTIFACT_TYPE: &str = "application/vnd.provisioner.channels.v1+json";
/// Title of the layer with the record.
pub const DOCUMENT: &str = "channels.json";
/// Title of the layer with the Sigstore bundle that signs it.
pub const BUNDLE: &str = "channels.json.sigstore.json";
/// The predicate type of the statement in the bundle. Its subject is the record.
pub const PREDICATE_TYPE: &str = "https://provisioner.example/channels/v1";
/// The tag of the newest record.
pub const CURRENT: &str = "current";
/// The tag of a record whose tags are being moved: the journal.
pub const PENDING: &str = "pending";
/// Largest record that is read.
pub const LIMIT: u64 = 4 * 1024 * 1024;

/// The tag of the record `number`.
pub fn number_tag(number: u64) -> String {
    format!("n{number}")
}

/// Where each channel points, and the change that made it so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelRecord {
    /// Always `provisioner/channels/v1`.
    pub schema: String,
    /// The product's name.
    pub product: String,
    /// Greater than that of every earlier record.
    pub number: u64,
    /// When it was made, in seconds since 1970.
    pub time: u64,
    /// From when on it is refused, in seconds since 1970.
    pub expires: u64,
    /// Who made it.
    pub by: String,
    /// The change.
    pub change: Change,
    /// `sha256:…` of the artifact with the record before this one.
    pub previous: Option<String>,
    /// Where each channel points.
    pub channels: BTreeMap<ChannelName, Entry>,
    /// Withdrawn releases.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub yanked: BTreeMap<Version, Yank>,
    /// The tags that the change moves, in this order.
    pub moves: Vec<Move>,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "action", deny_unknown_fields)]
pub enum Change {
    /// A release entered channels.
    Promote {
        /// The release.
        version: Version,
        /// The channels.
        channels: Vec<ChannelName>,
    },
    /// Channels went back to an older release.
    Rollback {
        /// The release.
        version: Version,
        /// The channels.
        channels: Vec<ChannelName>,
    },
    /// A release was withdrawn.
    Yank {
        /// The release.
        version: Version,
    },
    /// Renews the expiry.
    Refresh,
}

/// Where a channel points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The release.
    pub version: Version,
    /// `sha256:…` of its artifact in the repository `release`.
    pub release: String,
    /// `SOURCE_DATE_EPOCH` of its build.
    pub epoch: u64,
    /// Since when, in seconds since 1970.
    pub since: u64,
    /// Who moved the channel there.
    pub by: String,
    /// Repositories, without a prefix, whose tag of the channel's name points to the release, with the digests.
    pub repositories: BTreeMap<String, String>,
}

/// Why and when a release was withdrawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Yank {
    /// Reason for the withdrawal.
    pub reason: String,
    /// When, in seconds since 1970.
    pub since: u64,
    /// Who withdrew it.
    pub by: String,
}

/// A tag that moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The repository, without a prefix.
    pub repository: String,
    /// The channel, whose name is the tag.
    pub channel: ChannelName,
    /// The digest that it had; none where there was no tag.
    pub from: Option<String>,
    /// The digest that it gets; none where the release no longer has this repository.
    pub to: Option<String>,
}

/// Who makes a record, when, and how long it holds.
#[derive(Debug, Clone)]
pub struct RecordMetadata {
    /// Who.
    pub by: String,
    /// Now, in seconds since 1970.
    pub time: u64,
    /// Seconds until the record is refused.
    pub lifetime: u64,
}

/// A record and the digest of the artifact that has it.
#[derive(Debug, Clone)]
pub struct Located {
    /// The record.
    pub record: ChannelRecord,
    /// `sha256:…` of the artifact.
    pub digest: String,
}

impl ChannelRecord {
    /// The record after `before`, without a change yet. Its number is above `number` too, which an abandoned
    /// record has.
    pub fn next(
        product: &str,
        before: Option<&Located>,
        number: Option<u64>,
        metadata: &RecordMetadata,
    ) -> Self {
        let known = before.map(|it| it.record.number).max(number);
        Self {
            schema: SCHEMA.to_owned(),
            product: product.to_owned(),
            number: known.map_or(1, |it| it.saturating_add(1)),
            time: metadata.time,
            expires: metadata.time.saturating_add(metadata.lifetime),
            by: metadata.by.clone(),
            change: Change::Refresh,
            previous: before.map(|it| it.digest.clone()),
            channels: before.map(|it| it.record.channels.clone()).unwrap_or_default(),
            yanked: before.map(|it| it.record.yanked.clone()).unwrap_or_default(),
            moves: Vec::new(),
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When the bytes are not JSON of this shape, of another schema, or a channel points to a release that may
    /// not enter it.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let record: Self = serde_json::from_slice(bytes)?;
        if record.schema != SCHEMA {
            return Err(ManifestError::Schema { found: record.schema });
        }
        for (name, entry) in &record.channels {
            if !kind_of(&entry.version).is_some_and(|kind| name.accepts(kind)) {
                let text = format!("{name} points to {}, which may not enter it", entry.version);
                return Err(ManifestError::Malformed(serde::de::Error::custom(text)));
            }
        }
        Ok(record)
    }

    /// The text of the record.
    ///
    /// # Errors
    /// When serialisation fails, which the types here do not allow.
    pub fn to_json(&self) -> Result<String, ManifestError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
