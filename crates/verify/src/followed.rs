// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The release that a channel points to.

use oci::Namespace;
use oci::client::Client;
use release::channels::ChannelName;
use release::channels::record::{self, DOCUMENT};

use crate::channels::{
    ChannelError, SeenRecord, check_descent, check_of, check_yanked, read_current, staleness,
};
use crate::registry::{Published, release};
use crate::report::{Check, Findings, Problem, Report};
use crate::{Policy, Signers, VerifyError};

/// The release that a channel points to.
#[derive(Debug)]
pub struct FollowedChannel {
    /// The checks of the record, and of the release if the record passed.
    pub report: Report,
    /// The record, to be remembered; none unless all is verified.
    pub seen: Option<SeenRecord>,
}

/// Checks the release that a channel points to, that the channel's record was made from `seen`, and that it is not
/// expired at `now`, in seconds since 1970.
///
/// # Errors
/// When the registry cannot be reached or has no channels, or as the verification of a release in a registry.
pub fn channel(
    namespace: &Namespace,
    name: ChannelName,
    seen: Option<&SeenRecord>,
    now: u64,
    signers: Signers<'_>,
    policy: &Policy,
) -> Result<FollowedChannel, VerifyError> {
    let Signers { releases, records } = signers;
    let client = Client::of_namespace(namespace);
    let mut findings = Findings::new(releases);
    findings.subject(DOCUMENT, "channels", &[Check::Content, Check::Signature]);
    let located = match read_current(&client, namespace, records) {
        Ok(located) => located,
        Err(ChannelError::Registry(e)) => {
            let place = format!("{}:{}", record::REPOSITORY, record::CURRENT);
            return Err(VerifyError::Registry { place, reason: e.to_string() });
        }
        Err(e) => {
            findings.fault(DOCUMENT, check_of(&e), DOCUMENT, Problem::Channel(e.to_string()));
            findings.stop(DOCUMENT);
            return Ok(FollowedChannel { report: findings.into_report(), seen: None });
        }
    };
    let mut problems = staleness(&located, seen, now);
    if problems.is_empty()
        && let Some(seen) = seen
        && let Ok(records) = namespace.repository(record::REPOSITORY)
    {
        let checked = check_descent(&client, &records, &located, seen);
        problems.extend(checked.err().map(Problem::Channel));
    }
    if let Some(expected) = policy.product.as_ref().filter(|it| **it != located.record.product) {
        let (expected, found) = (expected.clone(), located.record.product.clone());
        problems.push(Problem::OtherRelease { what: "product", expected, found });
    }
    let entry = located.record.channels.get(&name);
    match entry.map(|entry| entry.version.to_string()) {
        Some(version) => problems.extend(check_yanked(&located.record, &version)),
        None => problems.push(Problem::Channel(format!("the channel {name} has no release"))),
    }
    let good = problems.is_empty();
    for problem in problems {
        findings.fault(DOCUMENT, Check::Content, DOCUMENT, problem);
    }
    let Some(entry) = entry.filter(|_| good) else {
        findings.stop(DOCUMENT);
        return Ok(FollowedChannel { report: findings.into_report(), seen: None });
    };
    let published = Published::new(namespace.clone(), &entry.version.to_string());
    let published = published
        .map_err(|e| VerifyError::Registry { place: DOCUMENT.to_owned(), reason: e.to_string() })?;
    let found = release(&client, &published, releases, policy, &mut findings)?;
    if let Some(found) = found.filter(|it| it.digest != entry.release) {
        let text =
            format!("{name} points to {}, the registry serves {}", entry.release, found.digest);
        findings.fault(DOCUMENT, Check::Content, DOCUMENT, Problem::Channel(text));
    }
    let report = findings.into_report();
    let seen = report.is_verified().then(|| SeenRecord::from(&located));
    Ok(FollowedChannel { report, seen })
}
