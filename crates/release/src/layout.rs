// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Where things lie inside a release folder, `target/dist/VERSION/`.
//!
//! All paths are relative to that folder and use `/`.

/// The manifest itself.
pub const MANIFEST: &str = "release.json";
/// Checksums of every file artifact, in the format of `sha256sum` (coreutils).
pub const CHECKSUMS: &str = "SHA256SUMS";
/// The public key that the signatures of this release verify with, PEM.
pub const PUBLIC_KEY: &str = "cosign.pub";
/// SBOMs: `sbom/SUBJECT.cdx.json`.
pub const SBOM: &str = "sbom";
/// OCI image layouts: `images/REPOSITORY/` holds one layout per repository.
pub const IMAGES: &str = "images";
/// Signatures: see [`signature`].
pub const SIGNATURES: &str = "signatures";
/// Provenance: see [`provenance`].
pub const PROVENANCE: &str = "provenance";

/// In a registry, the repository whose artifact holds every file of the release but the image layouts,
/// each a layer with its path as `org.opencontainers.image.title`. It stands beside the images' repositories.
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

/// The Sigstore bundle that attests the `CycloneDX` document of the image `repository`.
pub fn sbom_attestation(repository: &str) -> String {
    format!("{SBOM}/{}.cdx.sigstore.json", flat(repository))
}

/// What cosign signed of an image before bundles: the payload of the tag `sha256-HEX.sig`.
pub fn legacy_payload(repository: &str) -> String {
    format!("{SIGNATURES}/{}.simplesigning.json", flat(repository))
}

/// The signature of [`legacy_payload`] in base64, the annotation of that tag's layer.
pub fn legacy_signature(repository: &str) -> String {
    format!("{SIGNATURES}/{}.simplesigning.sig", flat(repository))
}

/// The `CycloneDX` document that describes `name`.
pub fn sbom(name: &str) -> String {
    format!("{SBOM}/{}.cdx.json", flat(name))
}

/// A name without folders: `tools/config-drive` and `sbom/x.json` become one path component each.
fn flat(name: &str) -> String {
    name.replace('/', "_")
}
