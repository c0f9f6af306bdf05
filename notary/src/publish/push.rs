// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Sends what the registry lacks, and counts what was sent and what was there.

use std::collections::HashMap;
use std::fs::File;
use std::io::Cursor;

use anyhow::{Context as _, Result};
use oci::client::{Client, ClientError, Pushed};
use oci::spec::{Descriptor, ImageManifest};
use oci::{Digest, Repository, Selector};
use serde::Serialize;

use super::attachment::legacy_manifest;
use super::planned::{Blob, Content, Document, LegacySignature, RepositoryPlan};
use super::progress::Progress;

/// What it took to publish.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(super) struct Counts {
    pub(super) blobs: Transfers,
    /// Manifests, indexes and referrers.
    pub(super) manifests: Transfers,
    /// Bytes of the blobs that were sent.
    pub(super) bytes_uploaded: u64,
}

/// How things of one kind got there.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(super) struct Transfers {
    pub(super) uploaded: u64,
    pub(super) mounted: u64,
    pub(super) present: u64,
}

impl Transfers {
    fn count(&mut self, pushed: Pushed) {
        match pushed {
            Pushed::Present => self.present += 1,
            Pushed::Mounted => self.mounted += 1,
            Pushed::Uploaded => self.uploaded += 1,
        }
    }
}

pub(super) struct Pusher<'a> {
    client: &'a Client,
    progress: Progress,
    counts: Counts,
    /// Where a blob is for certain, to mount it from there.
    holders: HashMap<Digest, Repository>,
}

impl<'a> Pusher<'a> {
    pub(super) fn new(client: &'a Client, progress: Progress) -> Self {
        Self { client, progress, counts: Counts::default(), holders: HashMap::new() }
    }

    pub(super) fn into_counts(self) -> Counts {
        self.counts
    }

    /// Sends the blobs of a repository.
    pub(super) fn blobs(&mut self, repository: &RepositoryPlan) -> Result<()> {
        repository.blobs.iter().try_for_each(|blob| self.blob(&repository.name, blob))
    }

    /// Sends the manifests of a repository by their digests.
    pub(super) fn manifests(&mut self, repository: &RepositoryPlan) -> Result<()> {
        for document in &repository.manifests {
            let selector = Selector::from(document.digest.clone());
            self.document(&repository.name, &selector, document)?;
        }
        Ok(())
    }

    /// Sends what refers to the image of a repository.
    pub(super) fn attachments(&mut self, repository: &RepositoryPlan) -> Result<()> {
        if !repository.referrers.is_empty() {
            let known = self.client.referrers(&repository.name, &repository.root.digest, None)?;
            for referrer in &repository.referrers {
                self.referrer(&repository.name, referrer, &known)?;
            }
        }
        let mut signatures = repository.legacy_signatures.iter();
        signatures.try_for_each(|it| self.legacy_signature(&repository.name, it))
    }

    fn blob(&mut self, repository: &Repository, blob: &Blob) -> Result<()> {
        let Blob { digest, size, content } = blob;
        let from = self.holders.get(digest).filter(|holder| *holder != repository);
        let push = |source: &mut dyn oci::client::Source| {
            let mut source = self.progress.watch(source, repository, digest, *size);
            self.client.push_blob(repository, digest, *size, from, &mut source)
        };
        let pushed = match content {
            Content::Bytes(bytes) => push(&mut Cursor::new(bytes)),
            Content::File(path) => {
                let file = File::open(path).with_context(|| path.display().to_string())?;
                push(&mut &file)
            }
        }
        .with_context(|| format!("sending the blob {digest} to {repository}"))?;
        if pushed == Pushed::Uploaded {
            self.counts.bytes_uploaded += size;
        }
        self.counts.blobs.count(pushed);
        self.progress.blob(repository, digest, *size, pushed);
        self.holders.entry(digest.clone()).or_insert_with(|| repository.clone());
        Ok(())
    }

    fn document(
        &mut self,
        repository: &Repository,
        selector: &Selector,
        document: &Document,
    ) -> Result<()> {
        let present = self.client.head_manifest(repository, selector)?;
        let pushed = if present.as_ref() == Some(&document.digest) {
            Pushed::Present
        } else {
            self.client
                .put_manifest(repository, selector, &document.media_type, &document.bytes)
                .with_context(|| format!("sending the manifest {selector} to {repository}"))?;
            Pushed::Uploaded
        };
        self.counts.manifests.count(pushed);
        self.progress.manifest(repository, selector, pushed);
        Ok(())
    }

    /// What the registry lists is there; a manifest that is there without being listed is sent again.
    fn referrer(
        &mut self,
        repository: &Repository,
        referrer: &ImageManifest,
        known: &[Descriptor],
    ) -> Result<()> {
        let document = Document::new(referrer)?;
        let expected = document.descriptor();
        let pushed = if known.iter().any(|k| k.digest() == expected.digest()) {
            Pushed::Present
        } else {
            self.client
                .push_referrer(repository, referrer)
                .with_context(|| format!("sending a referrer to {repository}"))?;
            Pushed::Uploaded
        };
        self.counts.manifests.count(pushed);
        self.progress.manifest(repository, &Selector::from(document.digest), pushed);
        Ok(())
    }

    /// Adds the signature to those under the tag, as cosign does: each key has its own.
    fn legacy_signature(
        &mut self,
        repository: &Repository,
        signature: &LegacySignature,
    ) -> Result<()> {
        let selector: Selector = signature.tag.parse()?;
        let mut layers = match self.client.manifest(repository, &selector) {
            Ok(fetched) => serde_json::from_slice::<ImageManifest>(&fetched.bytes)
                .with_context(|| format!("{repository}:{selector}: not a signature"))?
                .layers()
                .clone(),
            Err(ClientError::Status { status: 404, .. }) => Vec::new(),
            Err(e) => return Err(e.into()),
        };
        if !layers.contains(&signature.layer) {
            layers.push(signature.layer.clone());
        }
        let (manifest, config) = legacy_manifest(layers)?;
        self.blob(repository, &Blob::bytes(config))?;
        self.document(repository, &selector, &Document::new(&manifest)?)
    }
}
