// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! References between the manifests of a repository, and contents that immutable tags need.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Digest, Repository, Selector, Tag};

use super::Storage;
use super::document::Document;
use super::error::StorageError;
use super::graph::{Node, find_reachable};
use super::tags::subject_of;

/// Predicate for immutable tags.
pub type Protected<'a> = &'a dyn Fn(&Repository, &Tag) -> bool;

/// A manifest whose references cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedManifest {
    /// Repository.
    pub repository: Repository,
    /// Digest.
    pub digest: Digest,
    /// Why it cannot be read.
    pub reason: String,
}

/// Manifests of a repository.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Readable manifests.
    pub(super) nodes: BTreeMap<Digest, Node<Digest>>,
    /// Unreadable manifests.
    pub(super) damaged: Vec<DamagedManifest>,
}

/// A tag that links an artifact, such as a signature, to its subject for clients without the
/// referrers API. It has the lifetime of the subject.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) tag: Tag,
    pub(super) subject: Digest,
    pub(super) target: Digest,
}

impl Survey {
    /// Returns the manifests that are needed if `roots` are.
    pub(super) fn find_needed(
        &self,
        roots: impl IntoIterator<Item = Digest>,
        followers: &[Follower],
    ) -> BTreeSet<Digest> {
        let mut roots: BTreeSet<Digest> = roots.into_iter().collect();
        loop {
            let needed = find_reachable(&self.nodes, roots.iter().cloned());
            let before = roots.len();
            let led = followers.iter().filter(|follower| needed.contains(&follower.subject));
            roots.extend(led.map(|follower| follower.target.clone()));
            if roots.len() == before {
                return needed;
            }
        }
    }

    /// Returns every content that `manifests` refer to.
    pub(super) fn list_named<'a>(
        &'a self,
        manifests: &'a BTreeSet<Digest>,
    ) -> impl Iterator<Item = &'a Digest> {
        manifests.iter().filter_map(|digest| self.nodes.get(digest)).flat_map(|n| &n.children)
    }
}

impl Storage {
    /// Reads every manifest of a repository from the disk and verifies its digest.
    pub(super) fn survey(&self, repository: &Repository) -> Result<Survey, StorageError> {
        let mut survey = Survey::default();
        for digest in self.list_links(repository, "_manifests")? {
            match self.read_document(repository, &digest) {
                Ok(document) => {
                    let children = document.contents().cloned().collect();
                    let node = Node { children, subject: document.subject().cloned() };
                    survey.nodes.insert(digest, node);
                }
                Err(error) => {
                    let reason = describe_damage(error)?;
                    tracing::warn!(%repository, %digest, reason, "damaged manifest");
                    survey.damaged.push(DamagedManifest {
                        repository: repository.clone(),
                        digest,
                        reason,
                    });
                }
            }
        }
        Ok(survey)
    }

    /// Reads the document of a manifest from the disk, bypassing the cache.
    pub(super) fn read_document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Document, StorageError> {
        let unknown = || StorageError::ManifestUnknown(Selector::Digest(digest.clone()));
        let manifest = self.read_manifest(repository, digest)?.ok_or_else(unknown)?;
        Ok(Document::parse(&manifest.content, Some(&manifest.media_type))?.0)
    }

    /// Checks that no immutable tag needs any of `contents`: as the tagged manifest, its children,
    /// blobs or referrers.
    pub(super) fn check_unprotected(
        &self,
        repository: &Repository,
        digest: &Digest,
        protected: Protected<'_>,
    ) -> Result<(), StorageError> {
        let tags = self.all_tags(repository)?;
        let mut immutable = Vec::new();
        for tag in tags.iter().filter(|tag| protected(repository, tag)) {
            immutable.extend(self.resolve_tag(repository, tag)?.map(|target| (tag, target)));
        }
        if immutable.is_empty() {
            return Ok(());
        }
        let survey = self.survey(repository)?;
        let followers = self.followers(repository, &tags)?;
        for (tag, target) in immutable {
            let needed = survey.find_needed([target.clone()], &followers);
            let contents: BTreeSet<&Digest> =
                survey.list_named(&needed).chain(&needed).chain([&target]).collect();
            // A corrupt manifest may refer to anything.
            let unknown = survey.damaged.iter().any(|damaged| contents.contains(&damaged.digest));
            if unknown || contents.contains(digest) {
                return Err(StorageError::Protected { digest: digest.clone(), tag: tag.clone() });
            }
        }
        Ok(())
    }

    /// Returns the follower tags among `tags`.
    pub(super) fn followers(
        &self,
        repository: &Repository,
        tags: &[Tag],
    ) -> Result<Vec<Follower>, StorageError> {
        let mut followers = Vec::new();
        for tag in tags {
            if let Some(subject) = subject_of(tag)
                && let Some(target) = self.resolve_tag(repository, tag)?
            {
                followers.push(Follower { tag: tag.clone(), subject, target });
            }
        }
        Ok(followers)
    }
}

/// Describes the damage of a manifest. Disk failures stay errors.
fn describe_damage(error: StorageError) -> Result<String, StorageError> {
    match error {
        StorageError::ManifestUnknown(_) => Ok("its content is missing".to_owned()),
        StorageError::Damaged(_) => Ok("its content does not match its digest".to_owned()),
        StorageError::ManifestInvalid(reason) => Ok(reason),
        error => Err(error),
    }
}
