// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What the manifests of a repository name, as they are on the disk, and what an immutable tag needs.

use std::collections::{BTreeMap, BTreeSet};

use oci::{Digest, Repository, Selector, Tag};

use super::Storage;
use super::document::Document;
use super::error::StorageError;
use super::graph::{Node, reachable};
use super::tags::subject_of;

/// Says which tags are immutable.
pub type Protected<'a> = &'a dyn Fn(&Repository, &Tag) -> bool;

/// A manifest of which nobody knows what it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The repository that holds it.
    pub repository: Repository,
    /// Its digest.
    pub digest: Digest,
    /// What is wrong with its content.
    pub reason: String,
}

/// The manifests of a repository.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Those that can be read.
    pub(super) nodes: BTreeMap<Digest, Node<Digest>>,
    /// The others.
    pub(super) damaged: Vec<Damaged>,
}

/// A tag by which clients without the referrers API find what is about a manifest, such as a signature:
/// it lives and dies with that manifest.
#[derive(Debug)]
pub(super) struct Follower {
    pub(super) tag: Tag,
    pub(super) subject: Digest,
    pub(super) target: Digest,
}

impl Survey {
    /// The manifests that are needed if `roots` are.
    pub(super) fn needed(
        &self,
        roots: impl IntoIterator<Item = Digest>,
        followers: &[Follower],
    ) -> BTreeSet<Digest> {
        let mut roots: BTreeSet<Digest> = roots.into_iter().collect();
        loop {
            let needed = reachable(&self.nodes, roots.iter().cloned());
            let before = roots.len();
            let led = followers.iter().filter(|follower| needed.contains(&follower.subject));
            roots.extend(led.map(|follower| follower.target.clone()));
            if roots.len() == before {
                return needed;
            }
        }
    }

    /// Every content that one of `manifests` names.
    pub(super) fn named<'a>(
        &'a self,
        manifests: &'a BTreeSet<Digest>,
    ) -> impl Iterator<Item = &'a Digest> {
        manifests.iter().filter_map(|digest| self.nodes.get(digest)).flat_map(|n| &n.children)
    }
}

impl Storage {
    /// Reads every manifest of a repository from the disk, and checks it against its digest.
    pub(super) fn survey(&self, repository: &Repository) -> Result<Survey, StorageError> {
        let mut survey = Survey::default();
        for digest in self.linked(repository, "_manifests")? {
            match self.stored_document(repository, &digest) {
                Ok(document) => {
                    let children = document.contents().cloned().collect();
                    let node = Node { children, subject: document.subject().cloned() };
                    survey.nodes.insert(digest, node);
                }
                Err(error) => {
                    let reason = damage(error)?;
                    tracing::warn!(%repository, %digest, reason, "damaged manifest");
                    survey.damaged.push(Damaged { repository: repository.clone(), digest, reason });
                }
            }
        }
        Ok(survey)
    }

    /// The document of a manifest, from the disk and never from memory.
    pub(super) fn stored_document(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Document, StorageError> {
        let unknown = || StorageError::ManifestUnknown(Selector::Digest(digest.clone()));
        let manifest = self.read_manifest(repository, digest)?.ok_or_else(unknown)?;
        Ok(Document::parse(&manifest.content, Some(&manifest.media_type))?.0)
    }

    /// Checks that no immutable tag needs a content of the repository: the manifest that it points to,
    /// what that lists and names, and what is about it.
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
            let needed = survey.needed([target.clone()], &followers);
            let contents: BTreeSet<&Digest> =
                survey.named(&needed).chain(&needed).chain([&target]).collect();
            // What a damaged manifest names may be anything.
            let unknown = survey.damaged.iter().any(|damaged| contents.contains(&damaged.digest));
            if unknown || contents.contains(digest) {
                return Err(StorageError::Protected { digest: digest.clone(), tag: tag.clone() });
            }
        }
        Ok(())
    }

    /// The tags among `tags` that follow a manifest.
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

/// What is wrong with a manifest; an error where the disk failed instead.
fn damage(error: StorageError) -> Result<String, StorageError> {
    match error {
        StorageError::ManifestUnknown(_) => Ok("its content is missing".to_owned()),
        StorageError::Damaged(_) => Ok("its content is no longer what was pushed".to_owned()),
        StorageError::ManifestInvalid(reason) => Ok(reason),
        error => Err(error),
    }
}
