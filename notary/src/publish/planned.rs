// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What is to be in one repository of the registry, as data: blobs, manifests, referrers and tags.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use oci::client::Client;
use oci::spec::{Descriptor, ImageManifest};
use oci::{Digest, Repository, Tag, json};
use release::{Manifest, layout};

use super::files::ReleaseFile;

/// What is to be in one repository, in the order in which it is sent.
#[derive(Debug)]
pub(super) struct RepositoryPlan {
    pub(super) name: Repository,
    pub(super) blobs: Vec<Blob>,
    /// Children before parents.
    pub(super) manifests: Vec<Document>,
    /// What refers to one of `manifests`.
    pub(super) referrers: Vec<Referrer>,
    pub(super) legacy_signatures: Vec<LegacySignature>,
    /// What the tags point to: the last of `manifests`.
    pub(super) root: Document,
    pub(super) tags: Vec<PlannedTag>,
}

/// A tag, and whether it may point to something else now.
#[derive(Debug)]
pub(super) struct PlannedTag {
    pub(super) tag: Tag,
    pub(super) rule: TagRule,
}

/// When a tag may be taken from what it points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TagRule {
    /// Always: a channel, or a version built from a tree that had changes.
    Moves,
    /// Never: a version.
    Fixed,
    /// Only from an artifact of the same release with other signatures: it holds a layer of this digest.
    SameRelease(Digest),
}

/// A blob and where its bytes are.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    File(PathBuf),
    Bytes(Vec<u8>),
    /// In this repository of another registry.
    Remote(Client, Repository),
}

/// A manifest or index.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) digest: Digest,
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
}

/// A manifest that refers to another one.
#[derive(Debug)]
pub(super) struct Referrer {
    pub(super) document: Document,
    pub(super) subject: Digest,
}

impl Referrer {
    /// One that is made here.
    pub(super) fn new(manifest: &ImageManifest) -> Result<Self> {
        let subject = manifest.subject().as_ref().context("a referrer has no subject")?;
        let subject = Digest::try_from(subject.digest())?;
        Ok(Self { document: Document::new(manifest)?, subject })
    }
}

/// A signature as cosign kept it before referrers: one layer of the artifact `sha256-HEX.sig`.
#[derive(Debug)]
pub(super) struct LegacySignature {
    /// Without the digest's colon, so that it is a tag.
    pub(super) tag: String,
    pub(super) layer: Descriptor,
}

impl Blob {
    pub(super) fn bytes(bytes: Vec<u8>) -> Self {
        let digest = Digest::sha256(&bytes);
        Self { digest, size: bytes.len() as u64, content: Content::Bytes(bytes) }
    }

    pub(super) fn file(file: &ReleaseFile) -> Self {
        let content = Content::File(file.path.clone());
        Self { digest: file.digest.clone(), size: file.size, content }
    }
}

impl Document {
    /// A manifest that is made here.
    pub(super) fn new(manifest: &ImageManifest) -> Result<Self> {
        let bytes = json::canonical(manifest).context("writing a manifest")?;
        let media_type = oci::media_type::IMAGE_MANIFEST.to_owned();
        Ok(Self { digest: Digest::sha256(&bytes), media_type, bytes })
    }

    pub(super) fn descriptor(&self) -> Descriptor {
        oci::artifact::descriptor(&self.media_type, &self.digest, self.bytes.len() as u64)
    }
}

/// Versions don't change. A tree with changes has no version of its own, so its builds may replace
/// one another.
pub(super) fn version_tag(manifest: &Manifest, fixed: TagRule) -> Result<PlannedTag> {
    let tag = layout::tag(&manifest.version);
    let tag = tag.parse().context("release.json: the version can't be a tag")?;
    let rule = if manifest.source.dirty { TagRule::Moves } else { fixed };
    Ok(PlannedTag { tag, rule })
}
