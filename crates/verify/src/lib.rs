// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks a release from what was published and the public key, or the identity that signed it, alone.
//!
//! Trust starts at a key, or at an identity with a trusted root, and goes down one chain: that signs
//! `release.json`, which names every file, image and input by digest; each file and image is signed on its
//! own as well, so that it can be checked apart from the release. Nothing is believed because it merely carries *a* signature: each is checked
//! for its exact kind and for the digest of the content that was found.
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

use release::Manifest;
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

/// What an operator may demand beyond the signatures.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// `builder.id` that the provenance must name; without it, the builder of a person's machine
    /// (see [`provenance::local_builder`]).
    pub builder: Option<String>,
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
    let folder = Folder::scan(root)?;
    let mut findings = Findings::new(trust);
    if let Some(manifest) = signatures::manifest(&folder, trust, &mut findings) {
        let mut named = release_files(&folder, &manifest, trust, policy, &mut findings);
        for image in &manifest.images {
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
    manifest: &Manifest,
    trust: Trust<'_>,
    policy: &Policy,
    findings: &mut Findings,
) -> BTreeSet<String> {
    contents::files(folder, manifest, findings);
    signatures::check(folder, manifest, trust, findings);
    provenance::check(folder, manifest, trust, policy, findings);
    paths(manifest, trust.into()).into_iter().collect()
}
