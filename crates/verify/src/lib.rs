// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks a release from what was published and the public key, or the identity that signed it, alone.
//!
//! Trust starts at a key, or at an identity with a trusted root, and goes down one chain: that signs
//! `release.json`, which names every file, image and input by digest; each file and image is signed on its
//! own as well, so that it can be checked apart from the release. Nothing is believed because it merely carries *a* signature: each is checked
//! for its exact kind and for the digest of the content that was found.
//!
//! `release.json` and its signature come first. Where they are not good, or not those of the release that
//! the [`Policy`] asks for, the report is complete with that: nothing else is listed, fetched or hashed.
//!
//! The result is a [`Report`] with every fault, not the first. An `Err` means that nothing could be
//! checked at all, such as a folder that is not there.
#![forbid(unsafe_code)]

#[cfg(feature = "cli")]
pub mod cli;
mod contents;
mod files;
mod images;
mod layout;
mod manifest;
pub mod provenance;
#[cfg(feature = "registry")]
mod registry;
mod report;
mod sbom;
mod signatures;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use release::{Channel, Manifest};
use sigstore::Trust;

pub use contents::contents;
pub use files::Folder;
pub use images::parts;
pub use manifest::{Signing, paths};
#[cfg(feature = "registry")]
pub use registry::{Published, registry};
pub use report::{Check, Fault, Problem, Report, Subject};
pub use signatures::predicate_type;

use report::Findings;
use signatures::{Authentic, Head};

/// What an operator demands beyond the signatures. Each field is a demand where it is set.
///
/// A signature tells who made a release, not which one it is: whoever can replace what is served can
/// serve an older release, or another product of the same key. So the release that was asked for is
/// part of what is verified.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// `builder.id` that the provenance must name; without it, the builder of a person's machine
    /// (see [`provenance::local_builder`]).
    pub builder: Option<String>,
    /// The product that `release.json` must name.
    pub product: Option<String>,
    /// The version that it must name, without a leading `v`.
    pub version: Option<String>,
    /// The channel that it must name.
    pub channel: Option<Channel>,
}

impl Policy {
    /// In what `manifest` is another release than the one that is asked for.
    pub(crate) fn deviations(&self, manifest: &Manifest) -> Vec<Problem> {
        let Self { builder: _, product, version, channel } = self;
        let channel = channel.map(Channel::name);
        let demands = [
            ("product", product.as_deref(), manifest.product.as_str()),
            ("version", version.as_deref(), &manifest.version),
            ("channel", channel, manifest.channel.name()),
        ];
        let deviations = demands.into_iter().filter_map(|(what, expected, found)| {
            let expected = expected.filter(|expected| *expected != found)?.to_owned();
            Some(Problem::OtherRelease { what, expected, found: found.to_owned() })
        });
        deviations.collect()
    }
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The folder can't be read.
    #[error("cannot read the release folder {}: {source}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The registry can't be reached, or holds no such release.
    #[cfg(feature = "registry")]
    #[error("{place} cannot be read from the registry: {reason}")]
    Registry {
        /// Repository and tag.
        place: String,
        /// What the registry said, or what was found in place of a release.
        reason: String,
    },
}

/// Checks the release in the folder `root`, without a network.
///
/// # Errors
/// When the folder can't be listed. Everything else is a fault in the report.
pub fn folder<'a>(
    root: &Path,
    trust: impl Into<Trust<'a>>,
    policy: &Policy,
) -> Result<Report, VerifyError> {
    let trust = trust.into();
    // The one question before the signature: whether there is a folder at all.
    std::fs::read_dir(root)
        .map_err(|source| VerifyError::Folder { path: root.to_owned(), source })?;
    let mut findings = Findings::new(trust);
    if let Some(authentic) = Head::read(root).authenticate(trust, policy, &mut findings) {
        let folder = Folder::scan(root)?;
        let mut named = release_files(&folder, &authentic, trust, policy, &mut findings);
        for image in &authentic.manifest.images {
            let (paths, parts) = layout::check(&folder, image, &mut findings);
            signatures::parts(&folder, image, &parts, trust, &mut findings);
            named.extend(paths);
        }
        files::unexpected(&folder, &named, &mut findings);
    }
    Ok(findings.into_report())
}

/// Checks all that a release holds but the content of its images. Returns the paths that belong to it.
fn release_files(
    folder: &Folder,
    Authentic { manifest, digest }: &Authentic,
    trust: Trust<'_>,
    policy: &Policy,
    findings: &mut Findings,
) -> BTreeSet<String> {
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
    paths(manifest, trust.into()).into_iter().collect()
}
