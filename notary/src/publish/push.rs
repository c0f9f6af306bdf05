// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Pushes missing content, and counts pushed and existing items.

use std::cmp::Reverse;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use oci::client::{Client, ClientError, Pushed};
use oci::spec::{Descriptor, ImageManifest};
use oci::{Repository, Selector};
use serde::Serialize;

use super::attachment::legacy_manifest;
use super::parallel;
use super::plan::Plan;
use super::planned::{Blob, Content, Document, LegacySignature, Referrer, RepositoryPlan};
use super::progress::Progress;
use super::remote::Remote;

/// Statistics of a publication.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub(super) struct Counts {
    pub(super) blobs: Transfers,
    /// Manifests, indexes and referrers.
    pub(super) manifests: Transfers,
    /// Bytes of uploaded blobs.
    pub(super) bytes_uploaded: u64,
}

/// Statistics of one kind of item.
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

struct Pusher<'a> {
    client: &'a Client,
    progress: Progress,
    counts: Mutex<Counts>,
}

/// A blob for a repository, with another repository to mount it from.
struct Transfer<'a> {
    repository: &'a Repository,
    blob: &'a Blob,
    from: Option<&'a Repository>,
}

/// Pushes everything but the tags: blobs, then manifests by digest, then referrers and legacy
/// signatures.
///
/// # Errors
/// When the registry rejects an item, or a file can't be read.
pub(super) fn push(client: &Client, plan: &Plan) -> Result<Counts> {
    let pusher = Pusher { client, progress: Progress::new(), counts: Mutex::default() };
    let (uploads, mounts) = transfers(plan);
    parallel::for_each(&uploads, |it| pusher.blob(it))?;
    parallel::for_each(&mounts, |it| pusher.blob(it))?;
    parallel::for_each(&plan.repositories, |it| pusher.manifests(it))?;
    parallel::for_each(&plan.repositories, |it| pusher.attachments(it))?;
    Ok(pusher.counts.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Plans each blob once for the first repository that needs it, large ones first; other
/// repositories mount it from there.
fn transfers(plan: &Plan) -> (Vec<Transfer<'_>>, Vec<Transfer<'_>>) {
    let (mut uploads, mut mounts) = (Vec::new(), Vec::new());
    let (mut holders, mut seen) = (HashMap::new(), HashSet::new());
    for RepositoryPlan { name: repository, blobs, .. } in &plan.repositories {
        for blob in blobs.iter().filter(|blob| seen.insert((repository, &blob.digest))) {
            match holders.get(&blob.digest).copied() {
                None => {
                    holders.insert(&blob.digest, repository);
                    uploads.push(Transfer { repository, blob, from: None });
                }
                from => mounts.push(Transfer { repository, blob, from }),
            }
        }
    }
    uploads.sort_by_key(|it| Reverse(it.blob.size));
    (uploads, mounts)
}

impl Pusher<'_> {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Pushes the manifests of a repository by digest.
    fn manifests(&self, repository: &RepositoryPlan) -> Result<()> {
        for document in &repository.manifests {
            let selector = Selector::from(document.digest.clone());
            self.document(&repository.name, &selector, document)?;
        }
        Ok(())
    }

    /// Pushes the referrers of the image of a repository.
    fn attachments(&self, repository: &RepositoryPlan) -> Result<()> {
        let mut known = BTreeMap::new();
        for referrer in &repository.referrers {
            let subject = &referrer.subject;
            let known = match known.entry(subject.to_string()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    place.insert(self.client.referrers(&repository.name, subject, None)?)
                }
            };
            self.referrer(&repository.name, referrer, known)?;
        }
        let mut signatures = repository.legacy_signatures.iter();
        signatures.try_for_each(|it| self.legacy_signature(&repository.name, it))
    }

    fn blob(&self, transfer: &Transfer<'_>) -> Result<()> {
        let Transfer { repository, blob: Blob { digest, size, content }, from } = transfer;
        let push = |source: &mut dyn oci::client::Source| {
            let mut source = self.progress.watch(source, repository, digest, *size);
            self.client.push_blob(repository, digest, *size, *from, &mut source)
        };
        let pushed = match content {
            Content::Bytes(bytes) => push(&mut Cursor::new(bytes)),
            Content::File(path) => {
                let file = File::open(path).with_context(|| path.display().to_string())?;
                push(&mut &file)
            }
            Content::Remote(client, origin) => {
                push(&mut Remote { client, repository: origin, digest, size: *size, fetched: None })
            }
        }
        .with_context(|| format!("cannot send the blob {digest} to {repository}"))?;
        self.count(|counts| {
            counts.blobs.count(pushed);
            if pushed == Pushed::Uploaded {
                counts.bytes_uploaded += size;
            }
        });
        self.progress.blob(repository, digest, *size, pushed);
        Ok(())
    }

    fn document(
        &self,
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
                .with_context(|| format!("cannot send the manifest {selector} to {repository}"))?;
            Pushed::Uploaded
        };
        self.count(|counts| counts.manifests.count(pushed));
        self.progress.manifest(repository, selector, pushed);
        Ok(())
    }

    /// Skips listed referrers; an existing but unlisted one is pushed again.
    fn referrer(
        &self,
        repository: &Repository,
        Referrer { document, .. }: &Referrer,
        known: &[Descriptor],
    ) -> Result<()> {
        let expected = document.descriptor();
        let pushed = if known.iter().any(|k| k.digest() == expected.digest()) {
            Pushed::Present
        } else {
            self.client
                .push_referrer(repository, &document.media_type, &document.bytes)
                .with_context(|| format!("cannot send a referrer to {repository}"))?;
            Pushed::Uploaded
        };
        self.count(|counts| counts.manifests.count(pushed));
        self.progress.manifest(repository, &Selector::from(document.digest.clone()), pushed);
        Ok(())
    }

    /// Adds the signature to those under the tag, as cosign does: one per key.
    fn legacy_signature(&self, repository: &Repository, signature: &LegacySignature) -> Result<()> {
        let selector = Selector::from(signature.tag.clone());
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
        let config = Blob::bytes(config);
        self.blob(&Transfer { repository, blob: &config, from: None })?;
        self.document(repository, &selector, &Document::new(&manifest)?)
    }
}
