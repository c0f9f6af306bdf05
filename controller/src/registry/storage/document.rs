// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Parses the references of manifests.
//!
//! OCI image specification 1.1, "Image Manifest" and "Image Index", and the two Docker formats that
//! they derive from. Other fields are stored byte for byte and ignored.

use std::collections::BTreeMap;

use oci::{Digest, media_type};
use serde::{Deserialize, Deserializer, Serialize};

use super::error::StorageError;

/// Supported media types of manifests.
pub const MANIFEST_TYPES: [&str; 4] = [
    media_type::IMAGE_MANIFEST,
    media_type::IMAGE_INDEX,
    media_type::DOCKER_MANIFEST,
    media_type::DOCKER_MANIFEST_LIST,
];

/// A manifest document.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    schema_version: u32,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Target>,
    #[serde(default, deserialize_with = "null_is_empty")]
    layers: Vec<Target>,
    #[serde(default, deserialize_with = "null_is_empty")]
    manifests: Vec<Target>,
    subject: Option<Target>,
    #[serde(default, deserialize_with = "null_is_empty")]
    annotations: BTreeMap<String, String>,
}

/// Go programs serialize an empty list or map as `null`.
fn null_is_empty<'de, T: Default + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A descriptor, with the fields that a registry needs.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Target {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
    #[serde(default, deserialize_with = "null_is_empty")]
    urls: Vec<String>,
}

/// Descriptor of a manifest in the referrers list of its subject (OCI distribution specification
/// 1.1, "Listing Referrers").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReferrerDescriptor {
    /// Media type of the manifest.
    pub media_type: String,
    /// Digest.
    pub digest: Digest,
    /// Size in bytes.
    pub size: u64,
    /// Artifact type, if the manifest has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Document {
    /// Parses a manifest that was pushed as `content_type`. Also returns its media type.
    pub(super) fn parse(
        content: &[u8],
        content_type: Option<&str>,
    ) -> Result<(Self, String), StorageError> {
        let invalid = |text: String| Err(StorageError::ManifestInvalid(text));
        let document: Self = match serde_json::from_slice(content) {
            Ok(document) => document,
            Err(e) => return invalid(format!("{e}; expected a manifest in JSON")),
        };
        let media_type = match (content_type, &document.media_type) {
            (Some(header), Some(field)) if header != field => {
                return invalid(format!("Content-Type is {header}, mediaType is {field}"));
            }
            (Some(stated), _) => stated.to_owned(),
            (None, Some(stated)) => stated.clone(),
            (None, None) => {
                return invalid("neither Content-Type nor mediaType is given".to_owned());
            }
        };
        if !MANIFEST_TYPES.contains(&media_type.as_str()) {
            let expected = MANIFEST_TYPES.join(", ");
            return invalid(format!("media type {media_type} is not one of {expected}"));
        }
        if document.schema_version != 2 {
            return invalid(format!("schemaVersion is {}, expected 2", document.schema_version));
        }
        let is_index = media_type::is_index(&media_type);
        if is_index && (document.config.is_some() || !document.layers.is_empty()) {
            return invalid("an index has no config and no layers".to_owned());
        }
        if !is_index && document.config.is_none() {
            return invalid("an image manifest needs config".to_owned());
        }
        if !is_index && !document.manifests.is_empty() {
            return invalid("an image manifest has no manifests".to_owned());
        }
        Ok((document, media_type))
    }

    /// Returns the blobs that must exist. A layer with `urls` may be stored elsewhere
    /// ("Descriptors").
    pub(super) fn blobs(&self) -> impl Iterator<Item = &Target> {
        self.config.iter().chain(&self.layers).filter(|target| target.urls.is_empty())
    }

    /// Returns the manifests of an index.
    pub(super) fn manifests(&self) -> &[Target] {
        &self.manifests
    }

    /// Returns every digest that the manifest refers to, stored here or elsewhere.
    pub(super) fn contents(&self) -> impl Iterator<Item = &Digest> {
        let targets = self.config.iter().chain(&self.layers).chain(&self.manifests);
        targets.map(|target| &target.digest)
    }

    /// Returns the digest of the subject, which need not exist.
    pub(super) fn subject(&self) -> Option<&Digest> {
        self.subject.as_ref().map(|subject| &subject.digest)
    }

    /// Returns the descriptor for the referrers list.
    pub(super) fn describe(
        self,
        media_type: &str,
        digest: &Digest,
        size: u64,
    ) -> ReferrerDescriptor {
        let config_type = self.config.map(|config| config.media_type);
        ReferrerDescriptor {
            media_type: media_type.to_owned(),
            digest: digest.clone(),
            size,
            // Without `artifactType`, the config's media type is used ("Listing Referrers").
            artifact_type: self.artifact_type.filter(|kind| !kind.is_empty()).or(config_type),
            annotations: self.annotations,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_is_an_empty_list_or_map() {
        let config = json!({
            "mediaType": media_type::IMAGE_CONFIG,
            "digest": format!("sha256:{}", "0".repeat(64)),
            "size": 2,
            "urls": null,
        });
        let image =
            json!({ "schemaVersion": 2, "config": config, "layers": null, "annotations": null });
        let index =
            json!({ "schemaVersion": 2, "manifests": null, "layers": null, "annotations": null });
        for (document, media_type, blobs) in
            [(image, media_type::IMAGE_MANIFEST, 1), (index, media_type::IMAGE_INDEX, 0)]
        {
            let text = document.to_string();
            let (document, _) = Document::parse(text.as_bytes(), Some(media_type)).unwrap();
            assert_eq!((document.blobs().count(), document.manifests().len()), (blobs, 0));
        }
    }
}
