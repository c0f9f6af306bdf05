// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Referrers of an image: signature, provenance, and SBOMs, both attested and plain; and the legacy
//! signature tag, for clients without support for referrers.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use oci::artifact::{EMPTY_JSON, describe, manifest as artifact_manifest};
use oci::spec::{Descriptor, ImageManifest};
use oci::{Digest, Tag, json, media_type};
use release::layout::{self, SbomFormat};
use release::{ArtifactKind, Image};
use serde_json::json;
use signing::{Bundle, bundle, simple_signing};

use super::files::ReleaseFile;
use super::planned::{Blob, Document, LegacySignature, Referrer};
use crate::release_folder::ReleaseFolder;

/// Attachments of one image.
pub(super) struct Attachments {
    pub(super) blobs: Vec<Blob>,
    pub(super) referrers: Vec<Referrer>,
    pub(super) legacy_signatures: Vec<LegacySignature>,
}

/// Collects the signatures, attestations and SBOMs of `image`, whose manifests are `manifests`.
pub(super) fn of_image(
    release: &ReleaseFolder,
    image: &Image,
    files: &[ReleaseFile],
    manifests: &[Document],
) -> Result<Attachments> {
    let subject = find_manifest(manifests, &image.digest)?;
    let repository = &image.repository;
    let attestations: Vec<_> = verify::list_attestations(&release.manifest, repository)
        .into_iter()
        .map(|it| (it.path, bundle::MEDIA_TYPE))
        .collect();
    let mut attachments = vec![(layout::signature(repository), bundle::MEDIA_TYPE)];
    attachments.extend(attestations.iter().cloned());
    let sboms = release.manifest.artifacts.iter().filter(|artifact| {
        artifact.kind == ArtifactKind::Sbom && artifact.describes.as_ref() == Some(repository)
    });
    attachments.extend(sboms.filter_map(|sbom| {
        let media_type = match layout::sbom_format(&sbom.path)? {
            SbomFormat::CycloneDx => media_type::CYCLONEDX,
            SbomFormat::Spdx | SbomFormat::Spdx3 => media_type::SPDX,
        };
        Some((sbom.path.clone(), media_type))
    }));
    let mut blobs = vec![Blob::bytes(EMPTY_JSON.to_vec())];
    let mut referrers = Vec::new();
    let of_root = attachments.into_iter().map(|(name, kind)| (name, kind, &subject));
    let parts = release.parts(image)?;
    let mut of_parts = Vec::new();
    for (architecture, digest) in &parts {
        let part = find_manifest(manifests, &digest.to_string())?;
        let signature = layout::signature(&layout::part(repository, *architecture));
        let bundles = [(signature, bundle::MEDIA_TYPE)].into_iter();
        let bundles = bundles.chain(attestations.iter().cloned());
        of_parts.extend(bundles.map(|(name, kind)| (name, kind, part.clone())));
    }
    let of_parts = of_parts.iter().map(|(name, kind, part)| (name.clone(), *kind, part));
    for (name, media_type, subject) in of_root.chain(of_parts) {
        let file = find(files, &name)?;
        blobs.push(Blob::file(file));
        let mut layer = oci::artifact::descriptor(media_type, &file.digest, file.size);
        // Two versions of SPDX share a media type; and `oras pull` needs a file name.
        if media_type != bundle::MEDIA_TYPE {
            oci::artifact::set_title(&mut layer, &name);
        }
        let subject = Some(subject.clone());
        let manifest = artifact_manifest(media_type, vec![layer], subject, BTreeMap::new())?;
        referrers.push(Referrer::new(&manifest)?);
    }

    let mut legacy_signatures = Vec::new();
    let root = (repository.clone(), image.digest.parse()?);
    let parts = parts
        .into_iter()
        .map(|(architecture, digest)| (layout::part(repository, architecture), digest));
    for (signed, digest) in std::iter::once(root).chain(parts) {
        let (payload, signature) = legacy_signature(release, files, &signed, &digest)?;
        blobs.push(payload);
        legacy_signatures.push(signature);
    }
    Ok(Attachments { blobs, referrers, legacy_signatures })
}

/// The signature files of the manifest `digest`, named after `signed`, and its payload.
fn legacy_signature(
    release: &ReleaseFolder,
    files: &[ReleaseFile],
    signed: &str,
    digest: &Digest,
) -> Result<(Blob, LegacySignature)> {
    let payload = find(files, &layout::legacy_payload(signed))?;
    let annotations = if release.manifest.signer.is_some() {
        let place = layout::legacy_bundle(signed);
        let bundle = Bundle::parse(&release.read(&place)?).with_context(|| place.clone())?;
        simple_signing::annotations(&bundle)
            .with_context(|| format!("{place}: it is not a signature of an identity"))?
    } else {
        let text = String::from_utf8(release.read(&layout::legacy_signature(signed))?)
            .with_context(|| layout::legacy_signature(signed))?;
        BTreeMap::from([(simple_signing::SIGNATURE_ANNOTATION.to_owned(), text.trim().to_owned())])
    };
    let mut layer =
        oci::artifact::descriptor(simple_signing::MEDIA_TYPE, &payload.digest, payload.size);
    layer.set_annotations(Some(annotations.into_iter().collect()));
    Ok((Blob::file(payload), LegacySignature { tag: Tag::of_signature(digest), layer }))
}

/// The manifest with this digest as the subject of a referrer.
fn find_manifest(manifests: &[Document], digest: &str) -> Result<Descriptor> {
    let found = manifests.iter().find(|it| it.digest.to_string() == digest);
    found.map(Document::descriptor).with_context(|| format!("{digest} is not in the image"))
}

fn find<'a>(files: &'a [ReleaseFile], name: &str) -> Result<&'a ReleaseFile> {
    files.iter().find(|file| file.name == name).with_context(|| format!("{name}: missing"))
}

/// The artifact under a legacy signature tag with these layers, and its configuration. It has the
/// form of an image, as old clients require (cosign, `specs/SIGNATURE_SPEC.md`).
pub(super) fn legacy_manifest(layers: Vec<Descriptor>) -> Result<(ImageManifest, Vec<u8>)> {
    let contents: Vec<_> = layers.iter().map(|layer| layer.digest().to_string()).collect();
    let config = json::canonical(&json!({
        "architecture": "",
        "config": {},
        "os": "",
        "rootfs": { "diff_ids": contents, "type": "layers" },
    }))?;
    let manifest = oci::artifact::image(describe(media_type::IMAGE_CONFIG, &config), layers)?;
    Ok((manifest, config))
}
