// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tags: checked before anything is pushed, and set last.

use anyhow::{Context as _, Result, bail};
use oci::client::Client;
use oci::spec::ImageManifest;
use oci::{Digest, Repository, Selector};

use super::plan::Plan;
use super::planned::{Document, TagRule};

/// A planned tag with its current target.
pub(super) struct Change<'a> {
    repository: &'a Repository,
    selector: Selector,
    before: Option<Digest>,
    after: &'a Document,
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
            let selector = Selector::from(planned.tag.clone());
            let before = client
                .head_manifest(&repository.name, &selector)
                .context("cannot read what the tag points to")?;
            let change =
                Change { repository: &repository.name, selector, before, after: &repository.root };
            if !change.is_allowed(client, &planned.rule)? {
                bail!(
                    "{}/{}:{} is already published, with the digest {}; this release has {}. A version never changes: raise it, or publish elsewhere",
                    client.host(),
                    repository.name,
                    planned.tag,
                    change.before.map(|digest| digest.to_string()).unwrap_or_default(),
                    repository.root.digest
                );
            }
            changes.push(change);
        }
    }
    Ok(changes)
}

/// Sets the tags that differ, those of the release artifact last. If one fails, those set before
/// are rolled back.
pub(super) fn set(client: &Client, changes: &[Change<'_>]) -> Result<TagCounts> {
    let mut counts = TagCounts::default();
    for (n, change) in changes.iter().enumerate() {
        if change.is_done() {
            counts.present += 1;
            continue;
        }
        let name = format!("{}/{}:{}", client.host(), change.repository, change.selector);
        if let Err(error) = change.apply(client) {
            let standing: Vec<String> = changes
                .iter()
                .take(n)
                .rev()
                .filter(|change| !change.is_done() && change.take_back(client).is_err())
                .map(|change| format!("{}:{}", change.repository, change.selector))
                .collect();
            let outcome = if standing.is_empty() {
                "no tag has moved".to_owned()
            } else {
                format!("these tags have moved and could not be restored: {}", standing.join(", "))
            };
            return Err(error).with_context(|| {
                format!("cannot set the tag {name}; {outcome}. Publish again to finish")
            });
        }
        counts.set += 1;
    }
    Ok(counts)
}

impl<'a> Change<'a> {
    /// The repository, if the tag is not set yet.
    pub(super) fn pending_repository(&self) -> Option<&'a Repository> {
        (!self.is_done()).then_some(self.repository)
    }

    fn is_done(&self) -> bool {
        self.before.as_ref() == Some(&self.after.digest)
    }

    fn is_allowed(&self, client: &Client, rule: &TagRule) -> Result<bool> {
        if self.before.is_none() || self.is_done() {
            return Ok(true);
        }
        match (rule, &self.before) {
            (TagRule::SameRelease(record), Some(before)) => {
                let selector = Selector::from(before.clone());
                let published = client
                    .manifest(self.repository, &selector)
                    .context("cannot read what is published under the same version")?;
                let published: ImageManifest = serde_json::from_slice(&published.bytes)
                    .with_context(|| format!("{}@{before}: not a release", self.repository))?;
                let record = record.to_string();
                Ok(published.layers().iter().any(|layer| layer.digest().as_ref() == record))
            }
            (rule, _) => Ok(*rule == TagRule::Moves),
        }
    }

    fn apply(&self, client: &Client) -> Result<()> {
        let Document { media_type, bytes, .. } = self.after;
        client.put_manifest(self.repository, &self.selector, media_type, bytes)?;
        Ok(())
    }

    fn take_back(&self, client: &Client) -> Result<()> {
        match &self.before {
            Some(before) => {
                let old = client.manifest(self.repository, &Selector::from(before.clone()))?;
                let media_type = old.descriptor.media_type().to_string();
                client.put_manifest(self.repository, &self.selector, &media_type, &old.bytes)?;
            }
            None => {
                client.delete_manifest(self.repository, &self.selector)?;
            }
        }
        Ok(())
    }
}
