// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! References between the manifests of a repository, and what can be deleted with expired tags.

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
    /// Every manifest that is reachable from a tag, and their referrers.
    pub(super) nodes: BTreeMap<String, Node>,
    /// Referrers by subject. The subject itself may be deleted already.
    pub(super) referrers: BTreeMap<String, Vec<String>>,
}

/// Deletions in a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Removal {
    /// Tags to delete, including those of `manifests`.
    pub(super) tags: BTreeSet<String>,
    /// Manifests to delete by digest, in this order: first the tagged ones, so that no client sees an incomplete
    /// release; then the manifests of an index, referrers and signatures.
    pub(super) manifests: Vec<String>,
    /// Tags to delete without their manifest, which is still needed.
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
    /// What can be deleted with the tags `expired`, none of which is [`TagKind::Attached`].
    ///
    /// A manifest is needed if another tag reaches it: the tagged manifest, the manifests that it lists or refers
    /// to, and the referrers of all of these. A signature is deleted with its subject, also when an interrupted
    /// run has deleted the subject already.
    pub(super) fn removal(&self, expired: &BTreeSet<String>) -> Removal {
        let attached = self.attached_tags();
        let roots = self.tags.iter().filter(|(tag, _)| {
            !expired.contains(*tag) && !matches!(TagKind::of(tag), TagKind::Attached(_))
        });
        let needed = self.reach(roots.map(|(_, digest)| digest.clone()), &attached, true);
        let first: Vec<_> = expired.iter().filter_map(|tag| self.tags.get(tag)).cloned().collect();
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
        let untag: BTreeSet<_> = expired
            .iter()
            .filter(|tag| self.tags.get(*tag).is_some_and(|digest| needed.contains(digest)))
            .cloned()
            .collect();
        let tags = of_going.map(|(tag, _)| tag.clone()).chain(untag.iter().cloned()).collect();
        Removal { tags, manifests, untag }
    }

    /// Tags and digests of signatures and referrer lists, by subject.
    fn attached_tags(&self) -> BTreeMap<String, Vec<(String, String)>> {
        let mut attached = BTreeMap::<_, Vec<_>>::new();
        for (tag, digest) in &self.tags {
            if let TagKind::Attached(subject) = TagKind::of(tag) {
                attached.entry(subject).or_default().push((tag.clone(), digest.clone()));
            }
        }
        attached
    }

    /// All manifests that are reachable from `roots`; with `up`, also their subjects.
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

    /// `going` in the order of deletion. Tagged signatures come last: the next run finds the rest of an
    /// interrupted deletion by the digests in their tags.
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
