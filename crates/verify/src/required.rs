// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The signer and the policy of one version.
//!
//! A workflow that runs for a tag has another identity for each tag. So `{version}` in an identity or in a builder
//! is replaced by the version of the release, here and nowhere else, before anything is verified. The result is
//! compared whole: a pattern would accept 1.4.0 as signed by the tag of 1.5.0.

use serde::Deserialize;
use signing::{Identity, Trust};

use crate::Policy;
use crate::report::Problem;

/// Placeholder for the version of the release.
pub(crate) const VERSION: &str = "{version}";

/// Who must have signed a version, and what else it must satisfy.
pub(crate) struct Requirements<'a> {
    given: Trust<'a>,
    /// The identity of the version, if the given one has [`VERSION`].
    identity: Option<Identity>,
    /// The policy. It has the version, if signer or builder depends on it.
    pub(crate) policy: Policy,
}

/// The version in an unsigned `release.json`.
#[derive(Deserialize)]
struct UnsignedVersion {
    version: String,
}

impl<'a> Requirements<'a> {
    /// The requirements of the version in `policy`; of any version, of the one that `manifest` claims. The claim is not
    /// trusted: the identity of that version has to have signed it.
    pub(crate) fn new(given: Trust<'a>, policy: &Policy, manifest: &[u8]) -> Result<Self, Problem> {
        let mut required = Self { given, identity: None, policy: policy.clone() };
        let identity = match given {
            Trust::Key(_) => None,
            Trust::Identity(identity) => Some(identity).filter(|it| it.subject.contains(VERSION)),
        };
        let builder = policy.builder.as_ref().filter(|it| it.contains(VERSION));
        if identity.is_none() && builder.is_none() {
            return Ok(required);
        }
        let version = if let Some(version) = &policy.version {
            version.clone()
        } else {
            let claim: UnsignedVersion = serde_json::from_slice(manifest)
                .map_err(|e| Problem::Manifest(format!("it has no version: {e}")))?;
            claim.version
        };
        // Other text could complete another identity, such as one with a further `/`.
        if let Err(e) = semver::Version::parse(&version) {
            let text = format!("{VERSION} cannot stand for its version {version:?}: {e}");
            return Err(Problem::Manifest(text));
        }
        let replace = |text: &str| text.replace(VERSION, &version);
        required.identity =
            identity.map(|it| Identity { subject: replace(&it.subject), ..it.clone() });
        required.policy.builder = policy.builder.as_deref().map(replace);
        required.policy.version = Some(version);
        Ok(required)
    }

    /// The signer, whole.
    pub(crate) fn trust(&self) -> Trust<'_> {
        self.identity.as_ref().map_or(self.given, Trust::Identity)
    }
}
