// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Planned content of one repository, as data: blobs, manifests, referrers and tags.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use oci::client::Client;
use oci::spec::{Descriptor, ImageManifest};
use oci::{Digest, Repository, Tag, json};
use release::{Manifest, layout};

use super::files::ReleaseFile;

/// Planned content of one repository, in push order.
#[derive(Debug)]
pub(super) struct RepositoryPlan {
    pub(super) name: Repository,
    pub(super) blobs: Vec<Blob>,
    /// Children before parents.
    pub(super) manifests: Vec<Document>,
    /// Referrers of `manifests`.
    pub(super) referrers: Vec<Referrer>,
    pub(super) legacy_signatures: Vec<LegacySignature>,
    /// The tags, which point to the last of `manifests`.
    pub(super) root: Document,
    pub(super) tags: Vec<PlannedTag>,
}

/// A tag, with its rule for replacing an existing target.
#[derive(Debug)]
pub(super) struct PlannedTag {
    pub(super) tag: Tag,
    pub(super) rule: TagRule,
}

/// When an existing tag may be moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TagRule {
    /// Always: a channel, a version of a modified work tree, or a snapshot that is replaced.
    Moves,
    /// Never: a version.
    Fixed,
    /// Only from an artifact of the same release with other signatures, which has a layer of this
    /// digest.
    SameRelease(Digest),
}

/// A blob with the location of its content.
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

/// A referrer.
#[derive(Debug)]
pub(super) struct Referrer {
    pub(super) document: Document,
    pub(super) subject: Digest,
}

impl Referrer {
    /// A manifest created here.
    pub(super) fn new(manifest: &ImageManifest) -> Result<Self> {
        let subject = manifest.subject().as_ref().context("a referrer has no subject")?;
        let subject = Digest::try_from(subject.digest())?;
        Ok(Self { document: Document::new(manifest)?, subject })
    }
}

/// A signature in cosign's format before referrers: one layer of the artifact `sha256-HEX.sig`.
#[derive(Debug)]
pub(super) struct LegacySignature {
    /// Tag derived from the digest, without the colon.
    pub(super) tag: Tag,
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
    /// A manifest created here.
    pub(super) fn new(manifest: &ImageManifest) -> Result<Self> {
        let bytes = json::canonical(manifest).context("cannot write a manifest")?;
        let media_type = oci::media_type::IMAGE_MANIFEST.to_owned();
        Ok(Self { digest: Digest::sha256(&bytes), media_type, bytes })
    }

    pub(super) fn descriptor(&self) -> Descriptor {
        oci::artifact::descriptor(&self.media_type, &self.digest, self.bytes.len() as u64)
    }
}

/// Versions are immutable. A modified work tree has no version of its own, so its builds may
/// replace each other.
pub(super) fn version_tag(manifest: &Manifest, fixed: TagRule) -> Result<PlannedTag> {
    let tag = layout::tag(&manifest.version);
    let tag = tag.parse().context("release.json: the version can't be a tag")?;
    let rule = if manifest.source.dirty { TagRule::Moves } else { fixed };
    Ok(PlannedTag { tag, rule })
}
