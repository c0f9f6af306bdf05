// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Expired tags, and the manifests to delete with them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};

use oci::Namespace;
use release::layout;
use semver::Version;
use serde::Serialize;

use super::graph::Removal;
use super::rules::Rules;
use super::survey::{RepositoryContents, Survey};
use super::tags::{Class, TagKind};

/// Deletions by repository.
#[derive(Debug, Serialize)]
pub(super) struct Plan {
    /// Releases that are kept because of a channel.
    protected: BTreeSet<Version>,
    /// Only repositories with deletions.
    pub(super) repositories: BTreeMap<String, Removal>,
}

impl Plan {
    /// The deletions by `rules` at `now`, in seconds since 1970.
    pub(super) fn new(survey: &Survey, rules: &Rules, now: u64) -> Self {
        let times = survey.repositories.get(layout::REPOSITORY).map(release_times);
        let times = times.unwrap_or_default();
        let removals = survey.repositories.iter().map(|(name, surveyed)| {
            let expired = list_expired(name, surveyed, &times, &survey.protected, rules, now);
            (name.clone(), surveyed.contents.removal(&expired))
        });
        let repositories = removals.filter(|(_, removal)| !removal.is_empty()).collect();
        Self { protected: survey.protected.clone(), repositories }
    }

    /// Writes the plan to standard output.
    pub(super) fn print(&self, registry: &Namespace, as_json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if as_json {
            serde_json::to_writer_pretty(&mut out, self)?;
            return writeln!(out);
        }
        for (name, removal) in &self.repositories {
            let of_releases =
                removal.tags.iter().filter(|tag| !matches!(TagKind::of(tag), TagKind::Attached(_)));
            let tags: Vec<_> = of_releases.map(String::as_str).collect();
            let manifests = removal.manifests.len();
            writeln!(out, "{registry}/{name}: {manifests} manifests; tags {}", tags.join(", "))?;
        }
        let manifests: usize = self.repositories.values().map(|it| it.manifests.len()).sum();
        writeln!(out, "{manifests} manifests of {} repositories", self.repositories.len())
    }
}

/// When each release was made, by the artifact with its files.
fn release_times(releases: &RepositoryContents) -> BTreeMap<Version, u64> {
    let times = releases.contents.tags.iter().filter_map(|(tag, digest)| {
        let TagKind::Version(version) = TagKind::of(tag) else { return None };
        Some((version, *releases.created.get(digest)?))
    });
    times.collect()
}

/// The expired tags of a repository.
fn list_expired(
    name: &str,
    surveyed: &RepositoryContents,
    times: &BTreeMap<Version, u64>,
    protected: &BTreeSet<Version>,
    rules: &Rules,
    now: u64,
) -> BTreeSet<String> {
    let class = Class::of(name);
    let tags = &surveyed.contents.tags;
    let created = |digest: &str| surveyed.created.get(digest).copied();
    let versions: BTreeMap<_, _> = tags
        .iter()
        .filter_map(|(tag, digest)| {
            let TagKind::Version(version) = TagKind::of(tag) else { return None };
            let time = times.get(&version).copied().or_else(|| created(digest));
            Some((version, time))
        })
        .collect();
    let kept = rules.select_kept(class, &versions, now);
    let is_kept = |version: &Version| kept.contains(version) || protected.contains(version);
    let mut expired = BTreeSet::new();
    // Digests that a version has, and whether one of these versions is kept.
    let mut versioned = BTreeMap::<&str, bool>::new();
    for (tag, digest) in tags {
        if let TagKind::Version(version) = TagKind::of(tag) {
            let keep = is_kept(&version);
            *versioned.entry(digest).or_default() |= keep;
            if !keep {
                expired.insert(tag.clone());
            }
        }
    }
    for (tag, digest) in tags {
        if TagKind::of(tag) == TagKind::Commit {
            let keep = versioned
                .get(digest.as_str())
                .copied()
                .unwrap_or_else(|| rules.is_young(class, created(digest), now));
            if !keep {
                expired.insert(tag.clone());
            }
        }
    }
    expired
}

#[cfg(test)]
mod tests;
