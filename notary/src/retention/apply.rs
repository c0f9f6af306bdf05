// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Carries out the plan. After an interruption, run it again.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use oci::client::{Client, ClientError};
use oci::{Digest, Namespace, Repository, Selector, Tag};

use super::graph::Removal;
use super::plan::Plan;
use super::survey::{Survey, record_digests};

/// Deletes the manifests and tags of the plan.
///
/// # Errors
/// When a channel moved since the survey (nothing was deleted), or when the registry refuses.
pub(super) fn run(
    client: &Client,
    registry: &Namespace,
    survey: &Survey,
    plan: &Plan,
) -> Result<()> {
    if plan.repositories.is_empty() {
        return Ok(());
    }
    let records = record_digests(client, registry).context("cannot read the channels again")?;
    ensure!(
        records == survey.records,
        "the channels changed since the registry was read; nothing was deleted. Run this again"
    );
    let mut refused = Vec::new();
    for (name, removal) in &plan.repositories {
        let repository = registry.repository(name)?;
        let tags = survey.repositories.get(name).map(|it| &it.contents.tags);
        match delete(client, &repository, removal, tags) {
            Ok(deleted) => eprintln!("{repository}: {deleted} deleted"),
            // Another repository may allow it.
            Err(e) if e.status().is_some_and(|it| (400..500).contains(&it) && it != 429) => {
                refused.push(format!("\n  {e}"));
            }
            Err(e) => return Err(e).context("cannot delete; run this again to continue"),
        }
    }
    if refused.is_empty() {
        return Ok(());
    }
    bail!(
        "the registry refuses to delete: the tags may be immutable, the user may lack the right, or deletion is \
         off (docker-registry: REGISTRY_STORAGE_DELETE_ENABLED=true){}",
        refused.concat()
    )
}

/// Deletes from one repository. Stops at the first refusal: later manifests are parts of the refused one.
fn delete(
    client: &Client,
    repository: &Repository,
    removal: &Removal,
    tags: Option<&BTreeMap<String, String>>,
) -> Result<usize, ClientError> {
    let mut deleted = 0;
    for text in &removal.manifests {
        // The registry returned only well-formed digests.
        let Ok(digest) = text.parse::<Digest>() else { continue };
        let selector = Selector::Digest(digest.clone());
        deleted += usize::from(client.delete_manifest(repository, &selector)?);
        // Most registries delete its tags too; go-containerregistry does not.
        for (tag, _) in tags.into_iter().flatten().filter(|(_, of)| *of == text) {
            let Ok(tag) = tag.parse::<Tag>() else { continue };
            let selector = Selector::Tag(tag);
            if client.head_manifest(repository, &selector)?.as_ref() == Some(&digest) {
                client.delete_manifest(repository, &selector)?;
            }
        }
    }
    for tag in &removal.untag {
        let Ok(tag) = tag.parse::<Tag>() else { continue };
        match client.delete_manifest(repository, &Selector::Tag(tag.clone())) {
            Ok(there) => deleted += usize::from(there),
            // docker-registry deletes a tag only with its manifest, which another tag needs.
            Err(e) if matches!(e.status(), Some(400 | 405)) => {
                eprintln!("warning: {repository}:{tag} stays: the registry deletes no single tags");
            }
            Err(e) => return Err(e),
        }
    }
    Ok(deleted)
}
