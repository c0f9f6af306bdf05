// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary copy`: copies a release to another registry, with all referrers of its images.
//!
//! Everything below the release tag is copied by digest. The copy does not check signatures: verify it.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use oci::client::{Client, ClientError};
use oci::spec::{Descriptor, ImageIndex, ImageManifest};
use oci::{Digest, Namespace, Repository, Selector, Tag, media_type};
use release::{Manifest, layout};
use verify::Published;

use super::Destination;
use super::plan::{Plan, image_tags};
use super::planned::{
    Blob, Content, Document, LegacySignature, Referrer, RepositoryPlan, TagRule, version_tag,
};

/// The largest `release.json` that is read.
const RECORD: u64 = 64 * 1024 * 1024;
/// Manifests of an image, and referrers of a manifest, that are copied at most.
const MANIFESTS: usize = 1000;

/// Source and target of a copy.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Registry, prefix of the repositories, and version; with `http://` for a registry without TLS.
    #[arg(long, value_name = "HOST/PREFIX:VERSION")]
    from: Published,
    #[command(flatten)]
    destination: Destination,
}

/// Runs the command.
///
/// # Errors
/// When content is missing, a registry refuses a request, or the target has another release of this version.
pub(crate) fn run(args: &Args) -> Result<()> {
    let client = Client::of_namespace(args.from.namespace());
    let origin = Origin { client: &client, from: args.from.namespace() };
    let plan = origin.plan(args.from.tag(), &args.destination.to)?;
    args.destination.send(&plan)
}

/// The registry that is read.
pub(super) struct Origin<'a> {
    pub(super) client: &'a Client,
    pub(super) from: &'a Namespace,
}

impl Origin<'_> {
    /// Plans the copy of the release `tag` to `target`.
    pub(super) fn plan(&self, tag: &Tag, target: &Namespace) -> Result<Plan> {
        let name = self.from.repository(layout::REPOSITORY)?;
        let context = || format!("the release {}/{name}:{tag}", self.client.host());
        let root = self.document(&name, &Selector::from(tag.clone())).with_context(context)?;
        let artifact: ImageManifest = serde_json::from_slice(&root.bytes).with_context(context)?;
        let manifest = self.record(&name, &artifact).with_context(context)?;
        let mut repositories = Vec::new();
        for image in &manifest.images {
            let name = self.from.repository(&image.repository)?;
            let mut plan = RepositoryPlan {
                name: target.repository(&image.repository)?,
                blobs: Vec::new(),
                manifests: Vec::new(),
                referrers: Vec::new(),
                legacy_signatures: Vec::new(),
                root: root.clone(),
                tags: image_tags(&manifest, image)?,
            };
            self.image(&name, &image.digest.parse()?, &mut plan)
                .with_context(|| format!("image {}", image.repository))?;
            repositories.push(plan);
        }
        let mut plan = RepositoryPlan {
            name: target.repository(layout::REPOSITORY)?,
            blobs: self.blobs(&name, &artifact)?,
            manifests: vec![root.clone()],
            referrers: Vec::new(),
            legacy_signatures: Vec::new(),
            tags: vec![version_tag(&manifest, TagRule::Fixed)?],
            root: root.clone(),
        };
        self.referrers(&name, &root.digest, &mut plan).with_context(context)?;
        repositories.push(plan);
        Ok(Plan { repositories })
    }

    /// `release.json` of the release.
    fn record(&self, name: &Repository, artifact: &ImageManifest) -> Result<Manifest> {
        let bytes = self.client.fetch_titled_layer(name, artifact, layout::MANIFEST, RECORD)?;
        Ok(Manifest::parse(&bytes)?)
    }

    /// Adds the image `digest` of the repository `name` to `plan`, with what refers to each of its manifests.
    fn image(&self, name: &Repository, digest: &Digest, plan: &mut RepositoryPlan) -> Result<()> {
        let mut seen = BTreeSet::new();
        let mut left = vec![digest.clone()];
        while let Some(digest) = left.pop() {
            if !seen.insert(digest.to_string()) {
                continue;
            }
            ensure!(seen.len() <= MANIFESTS, "it has more than {MANIFESTS} manifests");
            let document = self.document(name, &Selector::from(digest.clone()))?;
            if media_type::is_index(&document.media_type) {
                let index: ImageIndex = serde_json::from_slice(&document.bytes)
                    .with_context(|| format!("the index {digest} is malformed"))?;
                for child in index.manifests() {
                    left.push(Digest::try_from(child.digest())?);
                }
            } else {
                let manifest: ImageManifest = serde_json::from_slice(&document.bytes)
                    .with_context(|| format!("the manifest {digest} is malformed"))?;
                plan.blobs.extend(self.blobs(name, &manifest)?);
            }
            self.referrers(name, &digest, plan)?;
            plan.manifests.push(document);
        }
        // Parents were found before their children.
        plan.manifests.reverse();
        match plan.manifests.iter().position(|it| it.digest == *digest) {
            Some(place) => {
                let root = plan.manifests.remove(place);
                plan.root = root.clone();
                plan.manifests.push(root);
            }
            None => bail!("the registry to copy from has no {digest}"),
        }
        Ok(())
    }

    /// Adds what refers to `subject`.
    fn referrers(
        &self,
        name: &Repository,
        subject: &Digest,
        plan: &mut RepositoryPlan,
    ) -> Result<()> {
        let found = self.client.referrers(name, subject, None)?;
        ensure!(found.len() <= MANIFESTS, "{subject} has more than {MANIFESTS} referrers");
        for descriptor in &found {
            let digest = Digest::try_from(descriptor.digest())?;
            let document = self.document(name, &Selector::from(digest.clone()))?;
            let manifest: ImageManifest = serde_json::from_slice(&document.bytes)
                .with_context(|| format!("the referrer {digest} is malformed"))?;
            let about = manifest.subject().as_ref().map(|it| it.digest().to_string());
            ensure!(
                about == Some(subject.to_string()),
                "{digest} is listed as a referrer of {subject} and has another subject"
            );
            plan.blobs.extend(self.blobs(name, &manifest)?);
            plan.referrers.push(Referrer { document, subject: subject.clone() });
        }
        let tag = Tag::of_signature(subject);
        let signatures = match self.client.manifest(name, &tag.clone().into()) {
            Ok(fetched) => serde_json::from_slice::<ImageManifest>(&fetched.bytes)
                .with_context(|| format!("the tag {tag} is malformed"))?,
            Err(ClientError::Status { status: 404, .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for layer in signatures.layers() {
            plan.blobs.push(self.blob(name, layer)?);
            plan.legacy_signatures.push(LegacySignature { tag: tag.clone(), layer: layer.clone() });
        }
        Ok(())
    }

    fn blobs(&self, name: &Repository, manifest: &ImageManifest) -> Result<Vec<Blob>> {
        let all = std::iter::once(manifest.config()).chain(manifest.layers());
        all.map(|descriptor| self.blob(name, descriptor)).collect()
    }

    fn blob(&self, name: &Repository, descriptor: &Descriptor) -> Result<Blob> {
        let (digest, size) = (Digest::try_from(descriptor.digest())?, descriptor.size());
        Ok(Blob { digest, size, content: Content::Remote(self.client.clone(), name.clone()) })
    }

    fn document(&self, name: &Repository, selector: &Selector) -> Result<Document> {
        let fetched = self.client.manifest(name, selector)?;
        let digest = Digest::try_from(fetched.descriptor.digest())?;
        let media_type = fetched.descriptor.media_type().to_string();
        Ok(Document { digest, media_type, bytes: fetched.bytes })
    }
}
