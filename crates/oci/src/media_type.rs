// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Media types used in layouts and registries, with their sources.

/// Manifest of one image or artifact (OCI image specification 1.1, "Image Manifest").
pub const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// List of manifests, one for each platform (OCI image specification 1.1, "Image Index").
pub const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Configuration of an image (OCI image specification 1.1, "Image Configuration").
pub const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Layer: a tar archive (OCI image specification 1.1, "Image Layer Filesystem Changeset").
pub const IMAGE_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Layer: a tar archive, compressed with gzip (the same section).
pub const IMAGE_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The empty JSON document `{}`, for manifests that need a blob but have none (OCI image
/// specification 1.1, "Guidance for an Empty Descriptor").
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Docker's manifest of one image (Docker image manifest version 2, schema 2).
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's list of manifests (the same document).
pub const DOCKER_MANIFEST_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A `CycloneDX` document in JSON (registered with IANA).
pub const CYCLONEDX: &str = "application/vnd.cyclonedx+json";

/// An SPDX document in JSON, of any version (registered with IANA).
pub const SPDX: &str = "application/spdx+json";

/// Returns true for the media type of an image or artifact manifest.
pub fn is_manifest(media_type: &str) -> bool {
    matches!(media_type, IMAGE_MANIFEST | DOCKER_MANIFEST)
}

/// Returns true for the media type of a list of manifests.
pub fn is_index(media_type: &str) -> bool {
    matches!(media_type, IMAGE_INDEX | DOCKER_MANIFEST_LIST)
}
