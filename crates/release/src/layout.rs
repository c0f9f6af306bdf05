// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Paths inside a release folder, `target/dist/VERSION/`.
//!
//! All paths are relative to that folder and use `/`.

use crate::Architecture;

/// The manifest itself.
pub const MANIFEST: &str = "release.json";
/// Checksums of every file artifact, in the format of `sha256sum` (coreutils).
pub const CHECKSUMS: &str = "SHA256SUMS";
/// How known vulnerabilities affect the release (`OpenVEX` 0.2.0), if there are any to report.
pub const VEX: &str = "openvex.json";
/// Attestations of [`VEX`]: see [`vex_attestation`].
pub const VEX_ATTESTATIONS: &str = "vex";
/// The public key for the signatures of this release, PEM.
pub const PUBLIC_KEY: &str = "cosign.pub";
/// SBOMs: see [`sbom`].
pub const SBOM: &str = "sbom";
/// OCI image layouts: `images/REPOSITORY/` is one layout per repository.
pub const IMAGES: &str = "images";
/// Live ISOs.
pub const ISO: &str = "iso";
/// Signatures: see [`signature`].
pub const SIGNATURES: &str = "signatures";
/// Provenance: see [`provenance`].
pub const PROVENANCE: &str = "provenance";
/// Rebuild attestations of third parties, which are no part of the release: see [`rebuild`].
pub const REBUILDS: &str = "rebuilds";

/// In a registry, the repository whose artifact has every file of the release but the image
/// layouts, each a layer with its path as `org.opencontainers.image.title`. It is a sibling of the
/// images' repositories.
pub const REPOSITORY: &str = "release";
/// The type of that artifact.
pub const ARTIFACT_TYPE: &str = "application/vnd.provisioner.release.v1+json";

/// The tag of a version, in the repository of the release and in those of its images.
pub fn tag(version: &str) -> String {
    format!("v{version}")
}

/// The Sigstore bundle that signs the file or image `name` (for an image, its repository).
pub fn signature(name: &str) -> String {
    format!("{SIGNATURES}/{}.sigstore.json", flat(name))
}

/// The Sigstore bundle with the SLSA provenance statement of `name`.
pub fn provenance(name: &str) -> String {
    format!("{PROVENANCE}/{}.slsa.sigstore.json", flat(name))
}

/// The Sigstore bundle that attests the document of the image `repository` in this format.
pub fn sbom_attestation(repository: &str, format: SbomFormat) -> String {
    format!("{SBOM}/{}.{}.sigstore.json", flat(repository), format.name())
}

/// The Sigstore bundle with the SHA-256 `hex` that attests a rebuild.
pub fn rebuild(hex: &str) -> String {
    format!("{REBUILDS}/{hex}.sigstore.json")
}

/// The Sigstore bundle that attests [`VEX`] for the image `repository`.
pub fn vex_attestation(repository: &str) -> String {
    format!("{VEX_ATTESTATIONS}/{}.openvex.sigstore.json", flat(repository))
}

/// The payload that cosign signed before bundles, of the tag `sha256-HEX.sig`.
pub fn legacy_payload(repository: &str) -> String {
    format!("{SIGNATURES}/{}.simplesigning.json", flat(repository))
}

/// The signature of [`legacy_payload`] in base64, the annotation of that tag's layer.
pub fn legacy_signature(repository: &str) -> String {
    format!("{SIGNATURES}/{}.simplesigning.sig", flat(repository))
}

/// In place of [`legacy_signature`] for an identity: the Sigstore bundle that signs
/// [`legacy_payload`].
pub fn legacy_bundle(repository: &str) -> String {
    format!("{SIGNATURES}/{}.simplesigning.sigstore.json", flat(repository))
}

/// The name for [`legacy_payload`] and signature of one architecture of an index: podman requires a
/// signature of the manifest that it selects from an index.
pub fn part(repository: &str, architecture: Architecture) -> String {
    format!("{repository}_{}", architecture.oci())
}

/// The document in this format that describes the file or image `name`.
pub fn sbom(name: &str, format: SbomFormat) -> String {
    format!("{SBOM}/{}.{}.json", flat(name), format.name())
}

/// The format of an SBOM by its path, as [`sbom`] writes it.
pub fn sbom_format(path: &str) -> Option<SbomFormat> {
    let named = |format: &SbomFormat| {
        let stem = path.strip_suffix(".json").and_then(|stem| stem.strip_suffix(format.name()));
        stem.is_some_and(|stem| stem.ends_with('.'))
    };
    SbomFormat::ALL.into_iter().find(named)
}

/// The SBOM formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SbomFormat {
    /// `CycloneDX` 1.6 (ECMA-424).
    CycloneDx,
    /// SPDX 2.3 (ISO/IEC 5962 is 2.2.1 of the same line).
    Spdx,
    /// SPDX 3.0.1.
    Spdx3,
}

impl SbomFormat {
    /// All formats of a release.
    pub const ALL: [Self; 3] = [Self::CycloneDx, Self::Spdx, Self::Spdx3];
    /// Those that every binary, package and image has, and that are attested for images: the two
    /// for which cosign has predicate names.
    pub const REQUIRED: [Self; 2] = [Self::CycloneDx, Self::Spdx];

    /// Its part of file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::CycloneDx => "cdx",
            Self::Spdx => "spdx",
            Self::Spdx3 => "spdx3",
        }
    }

    /// Its display name.
    pub fn title(self) -> &'static str {
        match self {
            Self::CycloneDx => "CycloneDX",
            Self::Spdx => "SPDX 2.3",
            Self::Spdx3 => "SPDX 3.0.1",
        }
    }
}

/// A name without folders: `tools/config-drive` and `sbom/x.json` become one path component each.
fn flat(name: &str) -> String {
    name.replace('/', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_document_shows_its_format() {
        for format in SbomFormat::ALL {
            assert_eq!(sbom_format(&sbom("tools/a.b", format)), Some(format));
        }
        for other in ["release.json", "sbom/x.json", "sbom/xspdx.json", "sbom/x.cdx.sigstore.json"]
        {
            assert_eq!(sbom_format(other), None, "{other}");
        }
    }
}
