// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Documents of a release that are attested for each of its images.

use release::layout::{self, SbomFormat};
use release::{ArtifactKind, Manifest};
use signing::statement::{CYCLONEDX, OPENVEX, SPDX};

use crate::report::Check;

/// A document that is the predicate of a statement about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestedDocument {
    /// Path of the document.
    pub document: String,
    /// Path of the bundle.
    pub attestation: String,
    /// Predicate type of the statement.
    pub predicate_type: &'static str,
}

/// The attested documents of the image `repository`: SBOMs, and the VEX document if there is one.
pub fn list_attested(manifest: &Manifest, repository: &str) -> Vec<AttestedDocument> {
    let sboms = SbomFormat::REQUIRED.map(|format| AttestedDocument {
        document: layout::sbom(repository, format),
        attestation: layout::sbom_attestation(repository, format),
        predicate_type: predicate_type(format),
    });
    let has_vex = manifest.artifacts.iter().any(|it| it.kind == ArtifactKind::Vex);
    let vex = has_vex.then(|| AttestedDocument {
        document: layout::VEX.to_owned(),
        attestation: layout::vex_attestation(repository),
        predicate_type: OPENVEX,
    });
    sboms.into_iter().chain(vex).collect()
}

/// A bundle that attests an image and each of its platform manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// The check that reports its faults.
    pub check: Check,
    /// Path of the bundle.
    pub path: String,
}

/// The attestations of the image `repository`: its provenance, and those of its documents.
pub fn list_attestations(manifest: &Manifest, repository: &str) -> Vec<Attestation> {
    let provenance = Attestation { check: Check::Provenance, path: layout::provenance(repository) };
    let documents = list_attested(manifest, repository)
        .into_iter()
        .map(|it| Attestation { check: Check::Sbom, path: it.attestation });
    std::iter::once(provenance).chain(documents).collect()
}

fn predicate_type(format: SbomFormat) -> &'static str {
    match format {
        SbomFormat::CycloneDx => CYCLONEDX,
        SbomFormat::Spdx | SbomFormat::Spdx3 => SPDX,
    }
}
