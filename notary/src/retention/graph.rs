// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What leads to what in a repository, and what can be deleted when tags are given up.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::tags::TagKind;

/// A manifest or index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node {
    /// The manifests that an index lists.
    pub(super) children: Vec<String>,
    /// Manifests and blobs that it refers to.
    pub(super) subject: Option<String>,
}

/// Manifests and tags of a repository. Digests are `sha256:…`.
#[derive(Debug, Clone, Default)]
pub(super) struct Contents {
    /// Every tag.
    pub(super) tags: BTreeMap<String, String>,
    /// Every manifest that a tag leads to, or that refers to one of them.
    pub(super) nodes: BTreeMap<String, Node>,
    /// The manifests that refer to a digest, which may be gone itself.
    pub(super) referrers: BTreeMap<String, Vec<String>>,
}

/// Deletions in a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Removal {
    /// Tags that go, among them those of what is in `manifests`.
    pub(super) tags: BTreeSet<String>,
    /// Manifests to delete by digest, in this order: first what tags of releases lead to, so that no release is
    /// ever seen with a part missing; then the manifests of its index, its referrers and its signatures.
    pub(super) manifests: Vec<String>,
    /// Tags to delete alone: their manifest is needed.
    pub(super) untag: BTreeSet<String>,
}

impl Removal {
    /// Whether there is nothing to do.
    pub(super) fn is_empty(&self) -> bool {
        let Self { tags, manifests, untag } = self;
        tags.is_empty() && manifests.is_empty() && untag.is_empty()
    }
}

impl Contents {
    /// What can be deleted when the tags `given_up`, none of which is [`TagKind::Attached`], go.
    ///
    /// Needed is what another tag leads to: the manifest, those that it lists or refers to, and what refers to
    /// any of these. A signature goes with its subject, also where an interrupted run left it behind.
    pub(super) fn removal(&self, given_up: &BTreeSet<String>) -> Removal {
        let attached = self.attached_tags();
        let roots = self.tags.iter().filter(|(tag, _)| {
            !given_up.contains(*tag) && !matches!(TagKind::of(tag), TagKind::Attached(_))
        });
        let needed = self.reach(roots.map(|(_, digest)| digest.clone()), &attached, true);
        let first: Vec<_> = given_up.iter().filter_map(|tag| self.tags.get(tag)).cloned().collect();
        let orphaned = attached.iter().filter(|(subject, _)| !self.nodes.contains_key(*subject));
        let orphans = orphaned.flat_map(|(subject, tags)| {
            let tagged = tags.iter().map(|(_, digest)| digest.clone());
            self.referrers.get(subject).into_iter().flatten().cloned().chain(tagged)
        });
        let orphans: Vec<_> = orphans.collect();
        let going = self.reach(first.iter().cloned().chain(orphans), &attached, false);
        let going: BTreeSet<_> = going.difference(&needed).cloned().collect();
        let manifests = self.order(&first, &going, &attached);
        let of_going = self.tags.iter().filter(|(_, digest)| going.contains(*digest));
        let untag: BTreeSet<_> = given_up
            .iter()
            .filter(|tag| self.tags.get(*tag).is_some_and(|digest| needed.contains(digest)))
            .cloned()
            .collect();
        let tags = of_going.map(|(tag, _)| tag.clone()).chain(untag.iter().cloned()).collect();
        Removal { tags, manifests, untag }
    }

    /// Tags of what belongs to a digest, with their own digests.
    fn attached_tags(&self) -> BTreeMap<String, Vec<(String, String)>> {
        let mut attached = BTreeMap::<_, Vec<_>>::new();
        for (tag, digest) in &self.tags {
            if let TagKind::Attached(subject) = TagKind::of(tag) {
                attached.entry(subject).or_default().push((tag.clone(), digest.clone()));
            }
        }
        attached
    }

    /// All that `roots` lead to. With `up`, what they refer to as well.
    fn reach(
        &self,
        roots: impl Iterator<Item = String>,
        attached: &BTreeMap<String, Vec<(String, String)>>,
        up: bool,
    ) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<_> = roots.collect();
        while let Some(digest) = open.pop() {
            if !reached.insert(digest.clone()) {
                continue;
            }
            if let Some(node) = self.nodes.get(&digest) {
                open.extend(node.children.iter().cloned());
                open.extend(node.subject.iter().filter(|_| up).cloned());
            }
            open.extend(self.referrers.get(&digest).into_iter().flatten().cloned());
            let tagged = attached.get(&digest).into_iter().flatten();
            open.extend(tagged.map(|(_, digest)| digest.clone()));
        }
        reached
    }

    /// `going` in the order of deletion. Signatures under tags come last: an interrupted run is continued from
    /// the digests in their names.
    fn order(
        &self,
        first: &[String],
        going: &BTreeSet<String>,
        attached: &BTreeMap<String, Vec<(String, String)>>,
    ) -> Vec<String> {
        let last: BTreeSet<_> = attached.values().flatten().map(|(_, digest)| digest).collect();
        let rank = |digest: &String| {
            let refers = self.nodes.get(digest).is_some_and(|node| node.subject.is_some());
            match (first.contains(digest), last.contains(digest), refers) {
                (true, ..) => 0,
                (false, false, false) => 1,
                (false, false, true) => 2,
                (false, true, _) => 3,
            }
        };
        let mut ordered: Vec<_> = going.iter().cloned().collect();
        ordered.sort_by_key(rank);
        ordered
    }
}

#[cfg(test)]
mod tests;
