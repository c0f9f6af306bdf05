// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Documents of a release that are attested for each of its images.

use release::layout::{self, SbomFormat};
use release::{ArtifactKind, Manifest};
use signing::statement::{CYCLONEDX, OPENVEX, SPDX};

/// A document that is the predicate of a statement about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attested {
    /// Path of the document.
    pub document: String,
    /// Path of the bundle.
    pub attestation: String,
    /// Predicate type of the statement.
    pub predicate_type: &'static str,
}

/// The attested documents of the image `repository`: SBOMs, and the VEX document if there is one.
pub fn list_attested(manifest: &Manifest, repository: &str) -> Vec<Attested> {
    let sboms = SbomFormat::REQUIRED.map(|format| Attested {
        document: layout::sbom(repository, format),
        attestation: layout::sbom_attestation(repository, format),
        predicate_type: predicate_type(format),
    });
    let has_vex = manifest.artifacts.iter().any(|it| it.kind == ArtifactKind::Vex);
    let vex = has_vex.then(|| Attested {
        document: layout::VEX.to_owned(),
        attestation: layout::vex_attestation(repository),
        predicate_type: OPENVEX,
    });
    sboms.into_iter().chain(vex).collect()
}

fn predicate_type(format: SbomFormat) -> &'static str {
    match format {
        SbomFormat::CycloneDx => CYCLONEDX,
        SbomFormat::Spdx | SbomFormat::Spdx3 => SPDX,
    }
}
