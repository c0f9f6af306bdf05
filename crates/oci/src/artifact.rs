// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Manifests of OCI images, and of other artifacts: signatures, SBOMs, release files.
//!
//! OCI image specification 1.1, "Guidelines for Artifact Usage".

use std::collections::BTreeMap;

use oci_spec::OciSpecError;
use oci_spec::image::{
    ANNOTATION_TITLE, Descriptor, ImageIndex, ImageIndexBuilder, ImageManifest,
    ImageManifestBuilder, MediaType,
};

use crate::digest::Digest;
use crate::media_type;

/// The content of the blob that [`empty`] describes.
pub const EMPTY_JSON: &[u8] = b"{}";

/// Creates a descriptor of `content`.
pub fn describe(media_type: &str, content: &[u8]) -> Descriptor {
    descriptor(media_type, &Digest::sha256(content), content.len() as u64)
}

/// Creates a descriptor with the three required fields.
pub fn descriptor(media_type: &str, digest: &Digest, size: u64) -> Descriptor {
    Descriptor::new(media_type.into(), size, digest)
}

/// The descriptor of [`EMPTY_JSON`], as `config` of a manifest without configuration.
pub fn empty() -> Descriptor {
    describe(media_type::EMPTY, EMPTY_JSON)
}

/// Gives `descriptor` a title: the name of the file with its content.
pub fn set_title(descriptor: &mut Descriptor, title: &str) {
    descriptor.set_annotations(Some([(ANNOTATION_TITLE.to_owned(), title.to_owned())].into()));
}

/// The title of a descriptor.
pub fn title(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotations().as_ref()?.get(ANNOTATION_TITLE).map(String::as_str)
}

/// Creates an image manifest.
///
/// # Errors
/// Never for these fields; the builder's API is fallible.
pub fn image(config: Descriptor, layers: Vec<Descriptor>) -> Result<ImageManifest, OciSpecError> {
    let manifest = ImageManifestBuilder::default().schema_version(2_u32).config(config);
    manifest.media_type(MediaType::ImageManifest).layers(layers).build()
}

/// Creates an index.
///
/// # Errors
/// Never for these fields; the builder's API is fallible.
pub fn index(manifests: Vec<Descriptor>) -> Result<ImageIndex, OciSpecError> {
    let index = ImageIndexBuilder::default().schema_version(2_u32).manifests(manifests);
    index.media_type(MediaType::ImageIndex).build()
}

/// Creates an artifact manifest with its type, layers and subject.
///
/// # Errors
/// Never for these fields; the builder's API is fallible.
pub fn manifest(
    artifact_type: &str,
    layers: Vec<Descriptor>,
    subject: Option<Descriptor>,
    annotations: BTreeMap<String, String>,
) -> Result<ImageManifest, OciSpecError> {
    let mut manifest = image(empty(), layers)?;
    manifest.set_artifact_type(Some(artifact_type.into()));
    manifest.set_subject(subject);
    if !annotations.is_empty() {
        manifest.set_annotations(Some(annotations.into_iter().collect()));
    }
    Ok(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_descriptor_is_the_one_of_the_specification() {
        assert_eq!(
            empty().digest().as_ref(),
            "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
        assert_eq!(empty().size(), 2);
    }

    #[test]
    fn a_manifest_has_the_fields_of_an_artifact_and_no_others() {
        let layer = describe("text/plain", b"content");
        let subject = describe(media_type::IMAGE_MANIFEST, b"image");
        let annotations =
            BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())]);
        let manifest =
            manifest("application/example", vec![layer], Some(subject), annotations).unwrap();
        let text = String::from_utf8(crate::json::canonical(&manifest).unwrap()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"annotations":{"a":"1","b":"2"},"artifactType":"application/example","#,
                r#""config":{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","mediaType":"application/vnd.oci.empty.v1+json","size":2},"#,
                r#""layers":[{"digest":"sha256:ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73","mediaType":"text/plain","size":7}],"#,
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2,"#,
                r#""subject":{"digest":"sha256:6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d","mediaType":"application/vnd.oci.image.manifest.v1+json","size":5}}"#,
            )
        );
    }
}
