// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tags: checked before anything is pushed, checked again one by one, and set last.

use anyhow::{Context as _, Result, bail};
use oci::client::Client;
use oci::spec::ImageManifest;
use oci::{Digest, Repository, Selector};

use super::plan::Plan;
use super::planned::{Document, PlannedTag, RepositoryPlan, TagRule};

/// A planned tag with its current target.
pub(super) struct Change<'a> {
    repository: &'a RepositoryPlan,
    planned: &'a PlannedTag,
    before: Option<Digest>,
}

/// Number of tags set and of tags that were up to date.
#[derive(Debug, Default, Clone, Copy, serde::Serialize)]
pub(super) struct TagCounts {
    pub(super) set: usize,
    pub(super) present: usize,
}

/// Resolves all tags of the plan.
///
/// # Errors
/// When a version exists with other content.
pub(super) fn check<'a>(client: &Client, plan: &'a Plan) -> Result<Vec<Change<'a>>> {
    let mut changes = Vec::new();
    for repository in &plan.repositories {
        for planned in &repository.tags {
            changes.push(Change::read(client, repository, planned)?);
        }
    }
    Ok(changes)
}

/// Sets the tags that differ, those of the release artifact last. If one fails, those set before
/// are rolled back.
///
/// A push takes minutes, so each tag is read again directly before: another run may have published
/// the version meanwhile. All runs set the tags in the same order, so the second stops at the first.
pub(super) fn set(client: &Client, changes: &[Change<'_>]) -> Result<TagCounts> {
    let mut counts = TagCounts::default();
    let mut applied = Vec::new();
    for change in changes {
        let Change { repository, planned, .. } = change;
        let result = Change::read(client, repository, planned).and_then(|current| {
            if current.is_done() {
                counts.present += 1;
                return Ok(());
            }
            let result = current.apply(client);
            // Also after an error: the registry may have set the tag, and its answer got lost.
            applied.push(current);
            result
        });
        if let Err(error) = result {
            let mut standing: Vec<_> =
                applied.iter().rev().filter(|it| it.take_back(client).is_err()).collect();
            standing.reverse();
            let outcome = if standing.is_empty() {
                "no tag has moved".to_owned()
            } else {
                let names: Vec<_> = standing.iter().map(|it| it.name()).collect();
                format!("these tags may have moved and could not be restored: {}", names.join(", "))
            };
            let name = change.name();
            return Err(error).with_context(|| {
                format!(
                    "cannot set the tag {}/{name}; {outcome}. Publish again to finish",
                    client.host()
                )
            });
        }
    }
    counts.set = applied.len();
    Ok(counts)
}

impl<'a> Change<'a> {
    /// Reads the current target of a tag.
    ///
    /// # Errors
    /// When the tag may not move from there.
    fn read(
        client: &Client,
        repository: &'a RepositoryPlan,
        planned: &'a PlannedTag,
    ) -> Result<Self> {
        let selector = Selector::from(planned.tag.clone());
        let before = client
            .head_manifest(&repository.name, &selector)
            .context("cannot read what the tag points to")?;
        let change = Self { repository, planned, before };
        if !change.is_allowed(client)? {
            bail!(
                "{}/{} is already published, with the digest {}; this release has {}. A version never changes: raise it, or publish elsewhere",
                client.host(),
                change.name(),
                change.before.map(|digest| digest.to_string()).unwrap_or_default(),
                repository.root.digest
            );
        }
        Ok(change)
    }

    /// The repository, if the tag is not set yet.
    pub(super) fn pending_repository(&self) -> Option<&'a Repository> {
        (!self.is_done()).then_some(&self.repository.name)
    }

    fn name(&self) -> String {
        format!("{}:{}", self.repository.name, self.planned.tag)
    }

    fn selector(&self) -> Selector {
        Selector::from(self.planned.tag.clone())
    }

    fn is_done(&self) -> bool {
        self.before.as_ref() == Some(&self.repository.root.digest)
    }

    fn is_allowed(&self, client: &Client) -> Result<bool> {
        if self.before.is_none() || self.is_done() {
            return Ok(true);
        }
        let repository = &self.repository.name;
        match (&self.planned.rule, &self.before) {
            (TagRule::SameRelease(record), Some(before)) => {
                let selector = Selector::from(before.clone());
                let published = client
                    .manifest(repository, &selector)
                    .context("cannot read what is published under the same version")?;
                let published: ImageManifest = serde_json::from_slice(&published.bytes)
                    .with_context(|| format!("{repository}@{before}: not a release"))?;
                let record = record.to_string();
                Ok(published.layers().iter().any(|layer| layer.digest().as_ref() == record))
            }
            (rule, _) => Ok(*rule == TagRule::Moves),
        }
    }

    fn apply(&self, client: &Client) -> Result<()> {
        let RepositoryPlan { name, root, .. } = self.repository;
        let Document { media_type, bytes, .. } = root;
        client.put_manifest(name, &self.selector(), media_type, bytes)?;
        Ok(())
    }

    /// Restores the old target, unless the tag points to something else than this run's: it was not
    /// set, or somebody else moved it.
    fn take_back(&self, client: &Client) -> Result<()> {
        let RepositoryPlan { name, root, .. } = self.repository;
        let selector = self.selector();
        if client.head_manifest(name, &selector)?.as_ref() != Some(&root.digest) {
            return Ok(());
        }
        match &self.before {
            Some(before) => {
                let old = client.manifest(name, &Selector::from(before.clone()))?;
                let media_type = old.descriptor.media_type().to_string();
                client.put_manifest(name, &selector, &media_type, &old.bytes)?;
            }
            None => {
                client.delete_manifest(name, &selector)?;
            }
        }
        Ok(())
    }
}
