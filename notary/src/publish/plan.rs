// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The plan of a publication: the future contents of the registry, as data. Every file of the release is read and
//! checked before anything is pushed.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use oci::spec::Descriptor;
use oci::{Digest, Layout, Namespace, Tag};
use release::{Image, Manifest};

use super::artifact;
use super::attachment;
use super::files::{self, ReleaseFile};
use super::planned::{Blob, Content, Document, PlannedTag, RepositoryPlan, TagRule, version_tag};
use crate::release_folder::ReleaseFolder;

/// A whole release: its images, and last the artifact with its files.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) repositories: Vec<RepositoryPlan>,
}

impl Plan {
    /// Plans `release` for `target`. Every content was compared with its digest when it was opened.
    pub(super) fn new(release: &ReleaseFolder, target: &Namespace) -> Result<Self> {
        let files = files::collect(release)?;
        let mut repositories = Vec::new();
        for image in &release.manifest.images {
            let planned = image_plan(release, image, &files, target)
                .with_context(|| format!("image {}", image.repository))?;
            repositories.push(planned);
        }
        let rebuilds = files::rebuilds(release)?;
        repositories.push(artifact::plan(&release.manifest, &files, &rebuilds, target)?);
        Ok(Self { repositories })
    }

    /// Lets every tag replace what it points to.
    pub(super) fn move_tags(&mut self) {
        for planned in self.repositories.iter_mut().flat_map(|it| &mut it.tags) {
            planned.rule = TagRule::Moves;
        }
    }
}

fn image_plan(
    release: &ReleaseFolder,
    image: &Image,
    files: &[ReleaseFile],
    target: &Namespace,
) -> Result<RepositoryPlan> {
    let mut plan = plan_unsigned_image(&release.root, &release.manifest, image, target)?;
    let attached = attachment::of_image(release, image, files, &plan.manifests)?;
    plan.blobs.extend(attached.blobs);
    plan.referrers = attached.referrers;
    plan.legacy_signatures = attached.legacy_signatures;
    Ok(plan)
}

/// Plans one image of the release in the folder `release`, without its referrers.
pub(super) fn plan_unsigned_image(
    release: &Path,
    manifest: &Manifest,
    image: &Image,
    target: &Namespace,
) -> Result<RepositoryPlan> {
    let layout = Layout::open(release.join(&image.layout))?;
    let (blobs, manifests) = contents(&layout, &find_root(&layout, image)?)?;
    let Some(root) = manifests.last().cloned() else {
        bail!("{} is not a manifest", image.digest);
    };
    Ok(RepositoryPlan {
        name: target.repository(&image.repository)?,
        blobs,
        manifests,
        referrers: Vec::new(),
        legacy_signatures: Vec::new(),
        root,
        tags: image_tags(manifest, image)?,
    })
}

/// Everything reachable from `root` of a layout: blobs, and manifests with children before parents.
pub(super) fn contents(layout: &Layout, root: &Descriptor) -> Result<(Vec<Blob>, Vec<Document>)> {
    let contents = layout.walk_from(root)?;
    let mut blobs = Vec::new();
    for descriptor in &contents.blobs {
        let digest = Digest::try_from(descriptor.digest())?;
        let content = Content::File(layout.blob_path(&digest));
        blobs.push(Blob { digest, size: descriptor.size(), content });
    }
    let mut manifests = Vec::new();
    for descriptor in &contents.manifests {
        manifests.push(Document {
            digest: Digest::try_from(descriptor.digest())?,
            media_type: descriptor.media_type().to_string(),
            bytes: layout.read_document(descriptor)?,
        });
    }
    Ok((blobs, manifests))
}

fn find_root(layout: &Layout, image: &Image) -> Result<Descriptor> {
    let index = layout.index()?;
    let root = index
        .manifests()
        .iter()
        .find(|descriptor| descriptor.digest().as_ref() == image.digest)
        .with_context(|| {
            format!("{}: index.json does not list {}", layout.root().display(), image.digest)
        })?;
    ensure!(
        root.media_type().as_ref() == image.media_type,
        "{}: index.json lists {} as {}, release.json as {}",
        layout.root().display(),
        image.digest,
        root.media_type(),
        image.media_type
    );
    // Other parts of the layout's descriptor, such as a name, do not belong to the image.
    let digest = Digest::try_from(root.digest())?;
    Ok(oci::artifact::descriptor(&image.media_type, &digest, root.size()))
}

pub(super) fn image_tags(manifest: &Manifest, image: &Image) -> Result<Vec<PlannedTag>> {
    let version = version_tag(manifest, TagRule::Fixed)?;
    let mut tags = Vec::new();
    for text in &image.tags {
        let tag: Tag = text.parse().context("release.json")?;
        let is_version = tag == version.tag || *text == manifest.version;
        let rule = if is_version { version.rule.clone() } else { TagRule::Moves };
        tags.push(PlannedTag { tag, rule });
    }
    Ok(tags)
}
