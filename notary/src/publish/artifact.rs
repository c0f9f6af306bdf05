// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The repository `release`: an OCI artifact with a layer for each file of the release, titled with
//! its path, so that `oras pull` restores the folder.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use oci::spec::{
    ANNOTATION_CREATED, ANNOTATION_REVISION, ANNOTATION_SOURCE, ANNOTATION_TITLE,
    ANNOTATION_VERSION,
};
use oci::{Namespace, media_type};
use release::{Channel, Manifest, layout};
use signing::bundle;

use super::files::ReleaseFile;
use super::planned::{Blob, Document, Referrer, RepositoryPlan, TagRule, version_tag};
use crate::date::{LAST_SECOND, rfc3339};

pub(super) fn plan(
    manifest: &Manifest,
    files: &[ReleaseFile],
    rebuilds: &[ReleaseFile],
    target: &Namespace,
) -> Result<RepositoryPlan> {
    ensure!(
        manifest.epoch <= LAST_SECOND,
        "release.json: epoch {} is after the year 9999",
        manifest.epoch
    );
    let annotations = [
        (ANNOTATION_CREATED, rfc3339(manifest.epoch)),
        (ANNOTATION_REVISION, manifest.source.commit.clone()),
        (ANNOTATION_SOURCE, manifest.source.uri.clone()),
        (ANNOTATION_TITLE, manifest.product.clone()),
        (ANNOTATION_VERSION, manifest.version.clone()),
    ];
    let annotations: BTreeMap<_, _> =
        annotations.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let layers = files
        .iter()
        .map(|file| {
            let kind = media_type_of(&file.name);
            let mut layer = oci::artifact::descriptor(kind, &file.digest, file.size);
            oci::artifact::set_title(&mut layer, &file.name);
            layer
        })
        .collect();
    let artifact = oci::artifact::manifest(layout::ARTIFACT_TYPE, layers, None, annotations)?;
    let root = Document::new(&artifact)?;

    let record = files
        .iter()
        .find(|file| file.name == layout::MANIFEST)
        .context("the folder has no release.json")?;
    // A snapshot may be signed with a temporary key: publishing it again gives other signatures of
    // the same content.
    let fixed = match manifest.channel {
        Channel::Snapshot => TagRule::SameRelease(record.digest.clone()),
        Channel::Candidate | Channel::Stable => TagRule::Fixed,
    };
    let mut blobs = vec![Blob::bytes(oci::artifact::EMPTY_JSON.to_vec())];
    blobs.extend(files.iter().chain(rebuilds).map(Blob::file));
    let referrers = rebuilds.iter().map(|file| {
        let layer = oci::artifact::descriptor(bundle::MEDIA_TYPE, &file.digest, file.size);
        let subject = Some(root.descriptor());
        let kind = bundle::MEDIA_TYPE;
        Referrer::new(&oci::artifact::manifest(kind, vec![layer], subject, BTreeMap::new())?)
    });
    let referrers = referrers.collect::<Result<_>>()?;
    Ok(RepositoryPlan {
        name: target.repository(layout::REPOSITORY)?,
        blobs,
        manifests: vec![root.clone()],
        referrers,
        legacy_signatures: Vec::new(),
        root,
        tags: vec![version_tag(manifest, fixed)?],
    })
}

/// Kind of a file, from its name.
fn media_type_of(name: &str) -> &'static str {
    const ENDINGS: [(&str, &str); 10] = [
        (".sigstore.json", bundle::MEDIA_TYPE),
        (".cdx.json", media_type::CYCLONEDX),
        (".spdx.json", media_type::SPDX),
        (".spdx3.json", media_type::SPDX),
        (".json", "application/json"),
        (".tar.gz", "application/gzip"),
        (".pub", "application/x-pem-file"),
        (".deb", "application/vnd.debian.binary-package"),
        (".rpm", "application/x-rpm"),
        ("SHA256SUMS", "text/plain"),
    ];
    let found = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
    found.map_or("application/octet-stream", |(_, media_type)| media_type)
}
