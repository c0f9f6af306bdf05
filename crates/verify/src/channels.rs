// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The record of where channels point, in a registry: its signature, and whether it is the newest.
//!
//! A registry can serve a record, and all that it leads to, from any time in the past. Two things bound that: a
//! record expires, and a client refuses one that does not come after the newest that it has seen ([`SeenRecord`]).

use oci::client::{Client, ClientError, LayerError};
use oci::reference::ReferenceError;
use oci::spec::ImageManifest;
use oci::{Digest, Namespace, Repository, Selector, Tag};
use release::ManifestError;
use release::channels::record::{
    ARTIFACT_TYPE, BUNDLE, CURRENT, DOCUMENT, LIMIT, PREDICATE_TYPE, REPOSITORY,
};
use release::channels::{ChannelRecord, Located};
use serde::{Deserialize, Serialize};
use signing::{Bundle, BundleError, Trust, sha256};

use crate::report::{Check, Findings, Problem};
use crate::signatures::BUNDLE_LIMIT;

/// Why the record of the channels cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// The registry has none, or refuses.
    #[error(transparent)]
    Registry(#[from] ClientError),
    /// Another artifact, or one that is malformed.
    #[error("it is not a record of channels: {0}")]
    Form(String),
    /// Not signed by the trusted signer.
    #[error(transparent)]
    Signature(#[from] BundleError),
    /// Signed, but malformed.
    #[error("{}", .0.to_string().replace("release.json", DOCUMENT))]
    Document(#[from] ManifestError),
}

impl From<LayerError> for ChannelError {
    fn from(error: LayerError) -> Self {
        match error {
            LayerError::Client(error) => Self::Registry(error),
            error => Self::Form(error.to_string()),
        }
    }
}

impl ChannelError {
    /// Whether the registry has no record, or does not show it to this client: many answer so for a repository
    /// that does not exist.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Registry(e) if matches!(e.status(), Some(401 | 403 | 404)))
    }
}

/// The newest record that a client has seen of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenRecord {
    /// Its number.
    pub number: u64,
    /// `sha256:…` of its artifact.
    pub digest: String,
}

impl From<&Located> for SeenRecord {
    fn from(located: &Located) -> Self {
        Self { number: located.record.number, digest: located.digest.clone() }
    }
}

/// Fetches a record and checks its signature; not whether it is the newest.
///
/// # Errors
/// When there is none, or it is not signed by the trusted signer.
pub fn record<'a>(
    client: &Client,
    repository: &Repository,
    selector: &Selector,
    trust: impl Into<Trust<'a>>,
) -> Result<Located, ChannelError> {
    let artifact = Artifact::fetch(client, repository, selector)?;
    let bundle = Bundle::parse(&artifact.layer(BUNDLE, BUNDLE_LIMIT)?)?;
    let document = artifact.layer(DOCUMENT, LIMIT)?;
    bundle.verify_statement(trust, PREDICATE_TYPE, &sha256(&document))?;
    Ok(Located { record: ChannelRecord::parse(&document)?, digest: artifact.digest })
}

/// Fetches a record whose signature is not checked: one whose digest a signed record names, or for what a wrong
/// one can only make more careful.
///
/// # Errors
/// When there is none, or it is malformed.
pub fn unverified_record(
    client: &Client,
    repository: &Repository,
    selector: &Selector,
) -> Result<Located, ChannelError> {
    let artifact = Artifact::fetch(client, repository, selector)?;
    let record = ChannelRecord::parse(&artifact.layer(DOCUMENT, LIMIT)?)?;
    Ok(Located { record, digest: artifact.digest })
}

/// The artifact of a record.
struct Artifact<'a> {
    client: &'a Client,
    repository: &'a Repository,
    manifest: ImageManifest,
    digest: String,
}

impl<'a> Artifact<'a> {
    fn fetch(
        client: &'a Client,
        repository: &'a Repository,
        selector: &Selector,
    ) -> Result<Self, ChannelError> {
        let fetched = client.manifest(repository, selector)?;
        let manifest: ImageManifest = serde_json::from_slice(&fetched.bytes)
            .map_err(|e| ChannelError::Form(format!("its manifest is malformed: {e}")))?;
        let found = manifest.artifact_type().as_ref().map(ToString::to_string).unwrap_or_default();
        if found != ARTIFACT_TYPE {
            let text = format!("its type is {found:?}, expected {ARTIFACT_TYPE:?}");
            return Err(ChannelError::Form(text));
        }
        let digest = fetched.descriptor.digest().to_string();
        Ok(Self { client, repository, manifest, digest })
    }

    fn layer(&self, title: &str, limit: u64) -> Result<Vec<u8>, LayerError> {
        self.client.fetch_titled_layer(self.repository, &self.manifest, title, limit)
    }
}

/// What shows that `located` is not the newest record at `now`, in seconds since 1970.
pub(crate) fn staleness(located: &Located, seen: Option<&SeenRecord>, now: u64) -> Vec<Problem> {
    let number = located.record.number;
    let mut problems = Vec::new();
    if let Some(ago) = expired_ago(&located.record, now) {
        problems.push(Problem::Channel(format!(
            "record {number} expired {ago} ago: newer ones may be withheld, or nobody has refreshed it"
        )));
    }
    problems.extend(seen.and_then(|seen| replaces(located, seen)).map(Problem::Channel));
    problems
}

/// What shows that `located` is older than `seen`, or another record with the same number.
fn replaces(located: &Located, seen: &SeenRecord) -> Option<String> {
    let number = located.record.number;
    if seen.number > number {
        return Some(format!(
            "record {number} is older than record {}, which was seen before",
            seen.number
        ));
    }
    (seen.number == number && seen.digest != located.digest).then(|| {
        format!("it is another record {number} than {}, which was seen before", seen.digest)
    })
}

/// Maximum number of records between one that was seen and the newest: two years of daily refreshes.
const HISTORY: usize = 1_000;

/// Checks that `located` is the record `seen`, or was made from it: follows the digests of the records before it. So a
/// signature on what an old record states, which a registry served to a person who changed a channel, is noticed.
///
/// # Errors
/// Why it is not, or a record between the two cannot be read.
pub fn check_descent(
    client: &Client,
    repository: &Repository,
    located: &Located,
    seen: &SeenRecord,
) -> Result<(), String> {
    let mut at = located.clone();
    for _ in 0..=HISTORY {
        if at.record.number <= seen.number {
            return replaces(&at, seen).map_or(Ok(()), |problem| {
                let newest = located.record.number;
                Err(if at.digest == located.digest {
                    problem
                } else {
                    format!(
                        "record {newest} was not made from record {}, which was seen before",
                        seen.number
                    )
                })
            });
        }
        let number = at.record.number;
        let unreadable = |e: &dyn std::fmt::Display| {
            format!("the record before record {number} cannot be read: {e}")
        };
        let Some(previous) = &at.record.previous else {
            return Err(format!(
                "record {number} is the first one, but record {} was seen before",
                seen.number
            ));
        };
        let digest = previous.parse::<Digest>().map_err(|e| unreadable(&e))?;
        let before = unverified_record(client, repository, &digest.into());
        at = before.map_err(|e| unreadable(&e))?;
        if at.record.number >= number {
            return Err(format!(
                "record {number} names record {} as the one before it",
                at.record.number
            ));
        }
    }
    Err(format!(
        "there are more than {HISTORY} records since record {}, which was seen before",
        seen.number
    ))
}

/// How long ago `record` expired; `None` if it has not.
fn expired_ago(record: &ChannelRecord, now: u64) -> Option<String> {
    now.checked_sub(record.expires).map(age)
}

/// A duration as people read it.
fn age(seconds: u64) -> String {
    match seconds {
        0..3_600 => format!("{seconds} s"),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// The fault of a withdrawn release.
pub(crate) fn check_yanked(record: &ChannelRecord, version: &str) -> Option<Problem> {
    let yank = record.yanked.get(&version.parse().ok()?)?;
    Some(Problem::Channel(format!("{version} was yanked by {}: {}", yank.by, yank.reason)))
}

/// The newest record of channels that the registry shows.
pub(crate) fn read_current(
    client: &Client,
    namespace: &Namespace,
    trust: Trust<'_>,
) -> Result<Located, ChannelError> {
    let form = |e: ReferenceError| ChannelError::Form(e.to_string());
    let repository = namespace.repository(REPOSITORY).map_err(form)?;
    let selector = Selector::from(CURRENT.parse::<Tag>().map_err(form)?);
    record(client, &repository, &selector, trust)
}

/// The check that an error is a fault of.
pub(crate) fn check_of(error: &ChannelError) -> Check {
    match error {
        ChannelError::Signature(_) => Check::Signature,
        ChannelError::Registry(_) | ChannelError::Form(_) | ChannelError::Document(_) => {
            Check::Content
        }
    }
}

/// Adds a fault where the registry's record of channels withdraws the release. What keeps the record from showing
/// that it is not withdrawn is noted: none of it is a fault of the release, and a registry could omit the record as
/// well. `now` is in seconds since 1970.
pub(crate) fn check_withdrawn(
    client: &Client,
    namespace: &Namespace,
    version: &str,
    product: Option<&str>,
    trust: Trust<'_>,
    now: u64,
    findings: &mut Findings,
) {
    let unchecked = |findings: &mut Findings, why: String| {
        findings.note(format!("whether {version} was withdrawn was not checked: {why}"));
    };
    let (check, problem) = match read_current(client, namespace, trust) {
        Ok(Located { record, .. }) => {
            if let Some(expected) = product.filter(|it| *it != record.product) {
                let found = &record.product;
                let why = format!("{DOCUMENT} is of the product {found}, expected {expected}");
                return unchecked(findings, why);
            }
            // An old record withdraws as well as a new one.
            if let Some(problem) = check_yanked(&record, version) {
                (Check::Content, problem)
            } else {
                if let Some(ago) = expired_ago(&record, now) {
                    let number = record.number;
                    unchecked(findings, format!("{DOCUMENT}, record {number}, expired {ago} ago"));
                }
                return;
            }
        }
        Err(e) if e.is_absent() => {
            return unchecked(findings, format!("the registry shows no {DOCUMENT}"));
        }
        Err(ChannelError::Signature(e)) => {
            return unchecked(
                findings,
                format!("{DOCUMENT} is not signed by the given signer of records, {e}"),
            );
        }
        Err(e) => (check_of(&e), Problem::Channel(e.to_string())),
    };
    findings.subject(DOCUMENT, "channels", &[Check::Content, Check::Signature]);
    findings.fault(DOCUMENT, check, DOCUMENT, problem);
}

#[cfg(test)]
mod tests {
    use release::channels::RecordMetadata;

    use super::*;

    fn make_located(number: u64, digest: &str) -> Located {
        let metadata = RecordMetadata { by: "somebody".to_owned(), time: 1_000, lifetime: 100 };
        let before = number.checked_sub(1);
        let record = ChannelRecord::next("product", None, before, &metadata);
        Located { record, digest: digest.to_owned() }
    }

    #[test]
    fn an_expired_an_older_and_another_record_are_refused() {
        let seen = SeenRecord { number: 5, digest: "a".to_owned() };
        let problems = |number, digest: &str, now| {
            let problems = staleness(&make_located(number, digest), Some(&seen), now);
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(problems(5, "a", 1_099), "");
        assert_eq!(problems(6, "b", 1_000), "");
        assert!(problems(6, "b", 1_100).contains("expired 0 s ago"));
        assert!(problems(6, "b", 1_100 + 7_200).contains("expired 2 h ago"));
        assert!(problems(6, "b", 1_100 + 864_000).contains("expired 10 days ago"));
        assert!(problems(4, "a", 1_000).contains("older than record 5"));
        assert!(problems(5, "b", 1_000).contains("another record 5"));
        assert!(staleness(&make_located(1, "a"), None, 1_000).is_empty());
    }
}
