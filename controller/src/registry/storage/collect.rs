// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Garbage collection: moves unreferenced contents to quarantine, and later deletes them.
//!
//! Runs in a process of its own beside the service. Operations that add or remove links hold the
//! collection lock shared; the collection holds it exclusively while it checks one repository or
//! one content. Pulls never wait.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use oci::digest::Algorithm;
use oci::{Digest, Repository, Tag};

use super::Storage;
use super::error::StorageError;
use super::survey::{DamagedManifest, Protected};
use super::tags::subject_of;
use crate::durable::{self, WithPath as _, absent_is_none};
use crate::registry::pattern::TagPattern;

/// Digest algorithms with folders in the store.
pub(super) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

/// Policy of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Minimum age of anything that is collected: a push in progress links its contents only at its
    /// end.
    pub grace: Duration,
    /// How long contents stay in quarantine.
    pub quarantine: Duration,
    /// Whether to collect manifests that no tag reaches, or only blobs that no manifest refers to.
    pub untagged: bool,
    /// Retention rules for tags.
    pub retention: Vec<Retention>,
}

/// In each repository, keeps the matching tags that were set last and removes the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Matching tags.
    pub tags: TagPattern,
    /// Number of tags to keep.
    pub keep: usize,
}

/// Planned or completed removals of a collection.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Collection {
    /// Tags removed by retention rules.
    pub tags: Vec<(Repository, Tag)>,
    /// Manifests that no root reaches.
    pub manifests: Vec<(Repository, Digest)>,
    /// Blobs that no manifest of their repository refers to.
    pub blobs: Vec<(Repository, Digest)>,
    /// Contents without a link, with their sizes in bytes: moved to quarantine.
    pub contents: Vec<(Digest, u64)>,
    /// Contents whose time in quarantine is over, with their sizes in bytes: deleted.
    pub expired: Vec<(Digest, u64)>,
    /// Unreadable manifests. Their references are unknown, so nothing in their repositories is
    /// collected.
    pub damaged: Vec<DamagedManifest>,
}

/// Links of a repository that are not needed.
#[derive(Default)]
struct UnneededLinks {
    damaged: Vec<DamagedManifest>,
    tags: Vec<Tag>,
    manifests: Vec<Digest>,
    blobs: Vec<Digest>,
}

impl Storage {
    /// Plans a collection without changing anything.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn plan_collection(
        &self,
        policy: &Policy,
        protected: Protected<'_>,
    ) -> Result<Collection, StorageError> {
        let now = SystemTime::now();
        let mut plan = Collection::default();
        let mut held = BTreeSet::new();
        for repository in self.all_repositories()? {
            let unneeded = self.find_unneeded(&repository, policy, protected, now)?;
            let gone: BTreeSet<&Digest> =
                unneeded.manifests.iter().chain(&unneeded.blobs).collect();
            let links = self.links(&repository)?;
            held.extend(links.into_iter().filter(|digest| !gone.contains(digest)));
            let with = |digest| (repository.clone(), digest);
            plan.damaged.extend(unneeded.damaged);
            plan.tags.extend(unneeded.tags.into_iter().map(|tag| (repository.clone(), tag)));
            plan.manifests.extend(unneeded.manifests.into_iter().map(with));
            plan.blobs.extend(unneeded.blobs.into_iter().map(with));
        }
        plan.contents = self.old_contents(policy, now)?;
        plan.contents.retain(|(digest, _)| !held.contains(digest));
        plan.expired = self.find_expired(policy, now)?;
        Ok(plan)
    }

    /// Collects garbage. Returns the removals.
    ///
    /// # Errors
    /// If the disk fails. Removals until then are consistent.
    pub fn collect(
        &self,
        policy: &Policy,
        protected: Protected<'_>,
    ) -> Result<Collection, StorageError> {
        let now = SystemTime::now();
        let mut done = Collection::default();
        for repository in self.all_repositories()? {
            let _alone = self.lock_collection_exclusive()?;
            let unneeded = self.find_unneeded(&repository, policy, protected, now)?;
            done.damaged.extend(unneeded.damaged);
            // Tags first, so that a crash in between leaves no dangling tag.
            for tag in unneeded.tags {
                durable::remove(&self.layout.tag(&repository, &tag))?;
                done.tags.push((repository.clone(), tag));
            }
            for digest in unneeded.manifests {
                self.unlink_manifest(&repository, &digest)?;
                done.manifests.push((repository.clone(), digest));
            }
            for digest in unneeded.blobs {
                durable::remove(&self.layout.blob(&repository, &digest))?;
                done.blobs.push((repository.clone(), digest));
            }
        }
        let repositories = self.all_repositories()?;
        let mut held = BTreeSet::new();
        for repository in &repositories {
            held.extend(self.links(repository)?);
        }
        for (digest, size) in self.old_contents(policy, now)? {
            if held.contains(&digest) {
                continue;
            }
            let _alone = self.lock_collection_exclusive()?;
            // Check again under the exclusive lock, which blocks new links.
            if !self.is_held(&digest)? {
                let path = self.layout.quarantined_blob(&digest);
                durable::rename(&self.layout.content(&digest), &path)?;
                // The time in quarantine starts now.
                let file = File::options().append(true).open(&path).at("open", &path)?;
                file.set_modified(now).at("write", &path)?;
                done.contents.push((digest, size));
            }
        }
        for (digest, size) in self.find_expired(policy, now)? {
            durable::remove(&self.layout.quarantined_blob(&digest))?;
            done.expired.push((digest, size));
        }
        self.remove_temporary_files(policy, now)?;
        Ok(done)
    }

    fn find_unneeded(
        &self,
        repository: &Repository,
        policy: &Policy,
        protected: Protected<'_>,
        now: SystemTime,
    ) -> Result<UnneededLinks, StorageError> {
        let young = |path: &Path| is_young(path, policy.grace, now);
        let survey = self.survey(repository)?;
        if !survey.damaged.is_empty() {
            return Ok(UnneededLinks { damaged: survey.damaged, ..UnneededLinks::default() });
        }
        let mut roots = BTreeSet::new();
        for digest in survey.nodes.keys() {
            if !policy.untagged || young(&self.layout.manifest(repository, digest))? {
                roots.insert(digest.clone());
            }
        }
        let all_tags = self.all_tags(repository)?;
        let mut tags = self.outdated_tags(repository, &all_tags, policy, protected, now)?;
        // A tag that follows a manifest of this repository is no root: it is removed with that
        // manifest.
        let (mut followers, mut following) = (Vec::new(), BTreeSet::new());
        for follower in self.followers(repository, &all_tags)? {
            let tag = &follower.tag;
            if survey.nodes.contains_key(&follower.subject)
                && !protected(repository, tag)
                && !young(&self.layout.tag(repository, tag))?
            {
                following.insert(tag.clone());
                followers.push(follower);
            }
        }
        for tag in all_tags.iter().filter(|tag| !tags.contains(tag) && !following.contains(tag)) {
            roots.extend(self.resolve_tag(repository, tag)?);
        }
        let needed = survey.find_needed(roots, &followers);
        let lost = followers.into_iter().filter(|follower| !needed.contains(&follower.subject));
        tags.extend(lost.map(|follower| follower.tag));
        let named: BTreeSet<&Digest> = survey.list_named(&needed).collect();
        let manifests = survey.nodes.keys().filter(|digest| !needed.contains(digest));
        let mut unneeded = UnneededLinks {
            tags,
            manifests: manifests.cloned().collect(),
            ..UnneededLinks::default()
        };
        for digest in self.list_links(repository, "_blobs")? {
            if !named.contains(&digest) && !young(&self.layout.blob(repository, &digest))? {
                unneeded.blobs.push(digest);
            }
        }
        Ok(unneeded)
    }

    /// Returns the tags among `all` that no retention rule keeps. Follower tags are exempt.
    fn outdated_tags(
        &self,
        repository: &Repository,
        all: &[Tag],
        policy: &Policy,
        protected: Protected<'_>,
        now: SystemTime,
    ) -> Result<Vec<Tag>, StorageError> {
        let mut dated = Vec::new();
        for tag in all.iter().filter(|tag| subject_of(tag).is_none()) {
            let path = self.layout.tag(repository, tag);
            let set = absent_is_none(fs::metadata(&path).and_then(|m| m.modified()));
            dated.extend(set.at("read", &path)?.map(|set| (set, tag)));
        }
        // Newest first; ties by name.
        dated.sort_unstable_by(|a, b| b.cmp(a));
        let mut outdated = BTreeSet::new();
        for rule in &policy.retention {
            let matching = dated.iter().filter(|(_, tag)| rule.tags.matches(repository, tag));
            outdated.extend(matching.skip(rule.keep).map(|(_, tag)| tag));
        }
        let mut tags = Vec::new();
        for tag in outdated {
            let tag: &Tag = tag;
            let young = is_young(&self.layout.tag(repository, tag), policy.grace, now)?;
            if !young && !protected(repository, tag) {
                tags.push(tag.clone());
            }
        }
        Ok(tags)
    }

    /// Returns the digests of all links of a repository.
    fn links(&self, repository: &Repository) -> Result<Vec<Digest>, StorageError> {
        let mut links = self.list_links(repository, "_blobs")?;
        links.extend(self.list_links(repository, "_manifests")?);
        Ok(links)
    }

    pub(super) fn list_links(
        &self,
        repository: &Repository,
        kind: &str,
    ) -> Result<Vec<Digest>, StorageError> {
        let folder = self.layout.repository(repository).join(kind);
        let mut digests = Vec::new();
        for algorithm in ALGORITHMS {
            digests.extend(digests_in(&folder.join(algorithm.name()), algorithm)?);
        }
        Ok(digests)
    }

    fn is_held(&self, digest: &Digest) -> Result<bool, StorageError> {
        for repository in self.all_repositories()? {
            for link in
                [self.layout.blob(&repository, digest), self.layout.manifest(&repository, digest)]
            {
                if link.try_exists().at("read", &link)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn old_contents(
        &self,
        policy: &Policy,
        now: SystemTime,
    ) -> Result<Vec<(Digest, u64)>, StorageError> {
        let mut old = Vec::new();
        for digest in self.all_contents()? {
            let path = self.layout.content(&digest);
            if !is_young(&path, policy.grace, now)?
                && let Some(size) = self.content_size(&digest)?
            {
                old.push((digest, size));
            }
        }
        Ok(old)
    }

    /// Returns the digests of all contents in the store.
    pub(super) fn all_contents(&self) -> Result<Vec<Digest>, StorageError> {
        let mut contents = Vec::new();
        for algorithm in ALGORITHMS {
            let folder = self.layout.contents(algorithm);
            for shard in durable::names(&folder)? {
                contents.extend(digests_in(&folder.join(shard), algorithm)?);
            }
        }
        Ok(contents)
    }

    fn find_expired(
        &self,
        policy: &Policy,
        now: SystemTime,
    ) -> Result<Vec<(Digest, u64)>, StorageError> {
        let mut expired = Vec::new();
        for algorithm in ALGORITHMS {
            for digest in digests_in(&self.layout.quarantine(algorithm), algorithm)? {
                let path = self.layout.quarantined_blob(&digest);
                let metadata = absent_is_none(fs::metadata(&path)).at("read", &path)?;
                if let Some(metadata) = metadata
                    && !is_young(&path, policy.quarantine, now)?
                {
                    expired.push((digest, metadata.len()));
                }
            }
        }
        Ok(expired)
    }

    /// Removes temporary files that a crash left.
    fn remove_temporary_files(&self, policy: &Policy, now: SystemTime) -> Result<(), StorageError> {
        let mut todo = vec![self.layout.root().to_owned()];
        while let Some(folder) = todo.pop() {
            let Some(entries) = absent_is_none(fs::read_dir(&folder)).at("list", &folder)? else {
                continue;
            };
            for entry in entries {
                let path = entry.at("list", &folder)?.path();
                let temporary = path.file_name().is_some_and(|name| {
                    name.as_encoded_bytes().starts_with(durable::TEMPORARY.as_bytes())
                });
                if path.is_dir() {
                    todo.push(path);
                } else if temporary && !is_young(&path, policy.grace, now)? {
                    durable::remove(&path)?;
                }
            }
        }
        Ok(())
    }
}

fn digests_in(folder: &Path, algorithm: Algorithm) -> Result<Vec<Digest>, StorageError> {
    let names = durable::names(folder)?;
    let digest = |hex: &String| format!("{}:{hex}", algorithm.name()).parse().ok();
    Ok(names.iter().filter_map(digest).collect())
}

/// Returns whether a file was written or used less than `age` ago. Missing files and modification
/// times in the future (the clock was set back) count as young.
fn is_young(path: &Path, age: Duration, now: SystemTime) -> Result<bool, StorageError> {
    let metadata = absent_is_none(fs::metadata(path)).at("read", path)?;
    let Some(metadata) = metadata else { return Ok(true) };
    let modified = metadata.modified().at("read", path)?;
    Ok(now.duration_since(modified).map_or(true, |since| since < age))
}
