// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reachability of manifests, as a pure graph algorithm.

use std::collections::{BTreeMap, BTreeSet};

/// References of a manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Node<D> {
    /// Manifests that an index lists. May be absent from the store.
    pub(super) children: Vec<D>,
    /// Subject of the manifest. May be absent from the store.
    pub(super) subject: Option<D>,
}

/// Returns the manifests that are roots, are listed by a reachable manifest, or have a reachable
/// subject.
pub(super) fn find_reachable<D: Ord + Clone>(
    nodes: &BTreeMap<D, Node<D>>,
    roots: impl IntoIterator<Item = D>,
) -> BTreeSet<D> {
    let mut about: BTreeMap<&D, Vec<&D>> = BTreeMap::new();
    for (digest, node) in nodes {
        if let Some(subject) = &node.subject {
            about.entry(subject).or_default().push(digest);
        }
    }
    let mut found = BTreeSet::new();
    let mut todo: Vec<D> = roots.into_iter().collect();
    while let Some(digest) = todo.pop() {
        let Some(node) = nodes.get(&digest) else { continue };
        if !found.insert(digest.clone()) {
            continue;
        }
        todo.extend(node.children.iter().cloned());
        todo.extend(about.get(&digest).into_iter().flatten().map(|referrer| (*referrer).clone()));
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, btree_set, vec};
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn graph() -> impl Strategy<Value = BTreeMap<u8, Node<u8>>> {
        let node = (vec(0_u8..24, 0..4), option::of(0_u8..24))
            .prop_map(|(children, subject)| Node { children, subject });
        btree_map(0_u8..24, node, 0..24)
    }

    proptest! {
        /// Closure: no needed manifest refers to a removed one.
        #[test]
        fn nothing_needed_is_lost(nodes in graph(), roots in btree_set(0_u8..24, 0..4)) {
            let found = find_reachable(&nodes, roots.iter().copied());
            for root in roots.iter().filter(|root| nodes.contains_key(root)) {
                prop_assert!(found.contains(root));
            }
            for (digest, node) in &nodes {
                if found.contains(digest) {
                    for child in node.children.iter().filter(|child| nodes.contains_key(child)) {
                        prop_assert!(found.contains(child));
                    }
                }
                if node.subject.is_some_and(|subject| found.contains(&subject)) {
                    prop_assert!(found.contains(digest));
                }
            }
        }

        /// Minimality: each needed manifest is a root or is needed by another.
        #[test]
        fn nothing_is_kept_without_a_reason(nodes in graph(), roots in btree_set(0_u8..24, 0..4)) {
            let found = find_reachable(&nodes, roots.iter().copied());
            let mut explained: BTreeSet<u8> =
                roots.iter().copied().filter(|root| nodes.contains_key(root)).collect();
            loop {
                let before = explained.len();
                for (digest, node) in &nodes {
                    let asked = explained.iter().any(|by| nodes[by].children.contains(digest))
                        || node.subject.is_some_and(|subject| explained.contains(&subject));
                    if asked {
                        explained.insert(*digest);
                    }
                }
                if explained.len() == before {
                    break;
                }
            }
            prop_assert_eq!(found, explained);
        }
    }
}
