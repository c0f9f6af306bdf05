// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verifies a release from what was published and the public key or identity of the signer.
//!
//! The trust anchor is a key, or an identity with a trusted root. Its signature is checked on `release.json`,
//! which names every file, image and input by digest. Each file and image also has its own signature, so
//! that it can be checked without the release. A signature alone is not enough: each is checked for
//! its exact type and for the digest of the content.
//!
//! `release.json` and its signature come first. If they are invalid, or of another release than the
//! [`Policy`] requires, the report ends there: nothing else is listed, fetched or hashed.
//!
//! The result is a [`Report`] with all faults. An `Err` means that nothing could be checked, such
//! as for a missing folder.
#![forbid(unsafe_code)]

mod attested;
#[cfg(feature = "registry")]
pub mod channels;
#[cfg(feature = "cli")]
pub mod cli;
mod contents;
mod files;
#[cfg(feature = "registry")]
mod followed;
mod images;
mod layout;
mod manifest;
mod parallel;
pub mod provenance;
pub mod rebuild;
#[cfg(feature = "registry")]
mod registry;
mod report;
mod required;
mod sbom;
mod signatures;
#[cfg(feature = "cli")]
pub mod state;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use release::{Channel, Manifest};
use signing::Trust;

pub use attested::{Attestation, AttestedDocument, list_attestations, list_attested};
#[cfg(feature = "registry")]
pub use channels::{ChannelError, SeenRecord};
pub use contents::contents;
pub use files::Folder;
#[cfg(feature = "registry")]
pub use followed::{FollowedChannel, channel};
pub use images::parts;
pub use manifest::{Signing, is_inside, paths};
pub use rebuild::Rebuilds;
#[cfg(feature = "registry")]
pub use registry::{Published, Released, Signers, check_release, registry};
pub use report::{Check, Fault, Problem, Report, Subject};

use report::Findings;
use signatures::{UnverifiedManifest, VerifiedManifest};

/// Requirements of an operator beyond the signatures. Each field that is set is required.
///
/// A signature proves who made a release, not which one it is: an attacker who can replace it can
/// serve an older release, or another product signed with the same key. So the requested release is
/// part of the verification.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// `builder.id` that the provenance must name, where `{version}` is the version of the release; by default
    /// the local builder (see [`provenance::local_builder`]).
    pub builder: Option<String>,
    /// The product that `release.json` must name.
    pub product: Option<String>,
    /// The version that it must name, without a leading `v`.
    pub version: Option<String>,
    /// The channel that it must name.
    pub channel: Option<Channel>,
    /// Rebuild attestations that it must have.
    pub rebuilds: Rebuilds,
}

impl Policy {
    /// Differences between `manifest` and the requested release.
    pub(crate) fn deviations(&self, manifest: &Manifest) -> Vec<Problem> {
        let Self { builder: _, product, version, channel, rebuilds: _ } = self;
        let channel = channel.map(Channel::name);
        let requirements = [
            ("product", product.as_deref(), manifest.product.as_str()),
            ("version", version.as_deref(), &manifest.version),
            ("channel", channel, manifest.channel.name()),
        ];
        let deviations = requirements.into_iter().filter_map(|(what, expected, found)| {
            let expected = expected.filter(|expected| *expected != found)?.to_owned();
            Some(Problem::OtherRelease { what, expected, found: found.to_owned() })
        });
        deviations.collect()
    }
}

/// Seconds since 1970.
#[cfg(feature = "registry")]
pub(crate) fn now() -> u64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The folder can't be read.
    #[error("cannot read the release folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Error of the file system.
        source: std::io::Error,
    },
    /// The registry cannot be reached, or has no such release.
    #[cfg(feature = "registry")]
    #[error("{place} cannot be read from the registry: {reason}")]
    Registry {
        /// Repository and tag.
        place: String,
        /// Error of the registry, or what was found instead of a release.
        reason: String,
    },
    /// The temporary folder cannot hold the files of the release.
    #[cfg(feature = "registry")]
    #[error(
        "{} has {free} bytes free, and the files of the release need {needed}; make space there, or set TMPDIR \
         to a folder of another file system",
        path.display()
    )]
    Space {
        /// The temporary folder.
        path: PathBuf,
        /// Bytes that it has free.
        free: u64,
        /// Bytes of the files.
        needed: u64,
    },
}

/// Checks the release in the folder `root`, without a network. `{version}` in an identity is its version.
///
/// # Errors
/// When the folder can't be listed. Everything else is a fault in the report.
pub fn folder<'a>(
    root: &Path,
    trust: impl Into<Trust<'a>>,
    policy: &Policy,
) -> Result<Report, VerifyError> {
    let trust = trust.into();
    // Before the signature, only the existence of the folder is checked.
    std::fs::read_dir(root)
        .map_err(|source| VerifyError::Folder { path: root.to_owned(), source })?;
    let mut findings = Findings::new(trust);
    if let Some(authentic) =
        UnverifiedManifest::read(root).authenticate(trust, policy, &mut findings)
    {
        let folder = Folder::scan(root)?;
        let mut named = release_files(&folder, &authentic, &mut findings);
        let (manifest, trust) = (&authentic.manifest, authentic.required.trust());
        for image in &manifest.images {
            let (paths, parts) = layout::check(&folder, image, &mut findings);
            signatures::parts(&folder, manifest, image, &parts, trust, &mut findings);
            named.extend(paths);
        }
        named.extend(rebuild::paths(&folder));
        files::check_unexpected(&folder, &named, &mut findings);
    }
    Ok(findings.into_report())
}

/// Checks all of a release except for the content of its images. Returns the paths that belong to
/// it.
fn release_files(
    folder: &Folder,
    VerifiedManifest { manifest, digest, required }: &VerifiedManifest<'_>,
    findings: &mut Findings,
) -> BTreeSet<String> {
    let (trust, policy) = (required.trust(), &required.policy);
    signatures::key(folder, trust, findings);
    let place = release::layout::MANIFEST;
    match folder.facts(place) {
        Ok((found, _)) if found == digest => {}
        Ok(_) => findings.fault(place, Check::Content, place, Problem::Changed),
        Err(problem) => findings.fault(place, Check::Content, place, problem),
    }
    contents::files(folder, manifest, findings);
    signatures::check(folder, manifest, trust, findings);
    provenance::check(folder, manifest, trust, policy, findings);
    rebuild::check(folder, manifest, digest, trust, &policy.rebuilds, findings);
    paths(manifest, trust.into()).into_iter().collect()
}
