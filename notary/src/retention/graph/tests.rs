// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

use proptest::prelude::*;

use super::*;

fn digest(number: usize) -> String {
    format!("sha256:{number:064}")
}

fn attached_tag(number: usize, ending: &str) -> String {
    format!("sha256-{number:064}{ending}")
}

/// A repository, by numbers: tags, indexes with their manifests, referrers with their subjects.
fn contents(
    tags: &[(&str, usize)],
    indexes: &[(usize, &[usize])],
    subjects: &[(usize, usize)],
) -> Contents {
    let mut contents = Contents::default();
    for (tag, to) in tags {
        contents.tags.insert((*tag).to_owned(), digest(*to));
        contents.nodes.entry(digest(*to)).or_default();
    }
    for (parent, children) in indexes {
        for child in *children {
            contents.nodes.entry(digest(*child)).or_default();
        }
        let node = contents.nodes.entry(digest(*parent)).or_default();
        node.children = children.iter().copied().map(digest).collect();
    }
    for (referrer, subject) in subjects {
        contents.nodes.entry(digest(*referrer)).or_default().subject = Some(digest(*subject));
        contents.referrers.entry(digest(*subject)).or_default().push(digest(*referrer));
    }
    contents
}

fn list_expired(tags: &[&str]) -> BTreeSet<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

#[test]
fn signatures_go_with_their_image_after_it() {
    let (sig, child_sig) = (attached_tag(1, ".sig"), attached_tag(2, ".sig"));
    let tags = [("v1.0.0", 1), ("v2.0.0", 5), (sig.as_str(), 3), (child_sig.as_str(), 4)];
    // 1 is an index with the image 2; 6 refers to 1; 7 refers to 5.
    let contents = contents(&tags, &[(1, &[2])], &[(6, 1), (7, 5)]);
    let removal = contents.removal(&list_expired(&["v1.0.0"]));
    assert_eq!(removal.manifests, [1, 2, 6, 3, 4].map(digest));
    assert_eq!(removal.tags.len(), 3, "{:?}", removal.tags);
    assert!(removal.untag.is_empty());
    assert!(contents.removal(&list_expired(&[])).is_empty());
}

#[test]
fn what_another_tag_needs_stays() {
    // Both releases have the image 2; v1.0.0 and v1.0.1 are the same index.
    let tags = [("v1.0.0", 1), ("v1.0.1", 1), ("v0.9.0", 3)];
    let contents = contents(&tags, &[(1, &[2]), (3, &[2, 4])], &[]);
    let removal = contents.removal(&list_expired(&["v1.0.0", "v0.9.0"]));
    assert_eq!(removal.manifests, [3, 4].map(digest));
    assert_eq!(removal.untag, list_expired(&["v1.0.0"]));
    assert_eq!(removal.tags, list_expired(&["v1.0.0", "v0.9.0"]));
}

#[test]
fn an_interrupted_run_is_finished_and_a_publication_is_left_alone() {
    // The subject 1 is gone; 3 is its signature and 6 refers to it.
    let sig = attached_tag(1, ".sig");
    let mut gone = contents(&[("v2.0.0", 5), (sig.as_str(), 3)], &[], &[(6, 1)]);
    gone.nodes.remove(&digest(1));
    assert_eq!(gone.removal(&list_expired(&[])).manifests, [6, 3].map(digest));
    // The subject is there, and its tag is not yet.
    let early = contents(&[("v2.0.0", 5), (sig.as_str(), 3)], &[(1, &[2])], &[(6, 1)]);
    assert!(early.removal(&list_expired(&[])).is_empty());
}

#[test]
fn the_list_of_referrers_under_a_tag_goes_too() {
    let list = attached_tag(1, "");
    let contents = contents(&[("v1.0.0", 1), (list.as_str(), 3)], &[(3, &[4])], &[(4, 1)]);
    assert_eq!(contents.removal(&list_expired(&["v1.0.0"])).manifests, [1, 4, 3].map(digest));
}

/// A repository of a few manifests that lead to each other at random.
fn any_contents() -> impl Strategy<Value = (Contents, BTreeSet<String>)> {
    const NODES: usize = 12;
    let indexes =
        prop::collection::btree_map(0..NODES, prop::collection::vec(0..NODES, 0..4), 0..5);
    let subjects = prop::collection::btree_map(0..NODES, 0..NODES, 0..5);
    let versions = prop::collection::btree_map(0_usize..6, (0..NODES, any::<bool>()), 0..6);
    let channels = prop::collection::btree_map(0_usize..2, 0..NODES, 0..2);
    let signatures = prop::collection::btree_map(0..NODES, 0..NODES, 0..4);
    let gone = prop::collection::btree_set(0..NODES, 0..3);
    (indexes, subjects, versions, channels, signatures, gone).prop_map(
        |(indexes, subjects, versions, channels, signatures, gone)| {
            let mut tags: Vec<(String, usize)> = Vec::new();
            let mut expired = BTreeSet::new();
            for (version, (to, drop)) in versions {
                let tag = format!("v1.{version}.0");
                if drop {
                    expired.insert(tag.clone());
                }
                tags.push((tag, to));
            }
            let names = ["stable", "mine"];
            tags.extend(channels.iter().map(|(n, to)| (names[*n].to_owned(), *to)));
            tags.extend(
                signatures.iter().map(|(subject, to)| (attached_tag(*subject, ".sig"), *to)),
            );
            let tags: Vec<_> = tags.iter().map(|(tag, to)| (tag.as_str(), *to)).collect();
            let indexes: Vec<_> = indexes.iter().map(|(n, it)| (*n, it.as_slice())).collect();
            let subjects: Vec<_> = subjects.into_iter().collect();
            let mut contents = contents(&tags, &indexes, &subjects);
            for number in gone {
                let is_tagged = contents.tags.values().any(|it| *it == digest(number));
                if !is_tagged {
                    contents.nodes.remove(&digest(number));
                }
            }
            (contents, expired)
        },
    )
}

/// Whether `digest` is needed, by the definition and without what [`Contents::removal`] is made of: it grows a
/// set until nothing changes.
fn find_needed(contents: &Contents, expired: &BTreeSet<String>) -> BTreeSet<String> {
    let is_attached = |tag: &str| tag.starts_with("sha256-");
    let mut needed: BTreeSet<String> = contents
        .tags
        .iter()
        .filter(|(tag, _)| !expired.contains(*tag) && !is_attached(tag))
        .map(|(_, digest)| digest.clone())
        .collect();
    loop {
        let before = needed.len();
        for (digest, node) in &contents.nodes {
            if needed.contains(digest) {
                needed.extend(node.children.iter().cloned());
                needed.extend(node.subject.clone());
            }
            if node.subject.as_ref().is_some_and(|it| needed.contains(it)) {
                needed.insert(digest.clone());
            }
        }
        for (tag, digest) in contents.tags.iter().filter(|(tag, _)| is_attached(tag)) {
            let subject = tag.replace("sha256-", "sha256:").replace(".sig", "");
            if needed.contains(&subject) {
                needed.insert(digest.clone());
            }
        }
        if needed.len() == before {
            return needed;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_that_is_needed_is_deleted((contents, expired) in any_contents()) {
        let removal = contents.removal(&expired);
        let needed = find_needed(&contents, &expired);
        for digest in &removal.manifests {
            prop_assert!(!needed.contains(digest), "{digest} is needed: {removal:?}");
        }
        for (tag, digest) in &contents.tags {
            let goes = removal.manifests.contains(digest) || removal.untag.contains(tag);
            prop_assert_eq!(goes, removal.tags.contains(tag));
            // A tag that has not expired, and is no signature, stays.
            if !expired.contains(tag) && !tag.starts_with("sha256-") {
                prop_assert!(!goes, "{tag} goes");
            }
            if expired.contains(tag) {
                prop_assert!(goes, "{tag} stays");
            }
        }
    }

    /// Wherever a run ends, nothing needed is gone, and the next run leaves what one run would have left of tags.
    #[test]
    fn an_interrupted_run_is_finished_by_the_next((contents, expired) in any_contents(), at in 0_usize..12) {
        let whole = contents.removal(&expired);
        let mut cut = contents.clone();
        for digest in whole.manifests.iter().take(at) {
            cut.nodes.remove(digest);
            cut.tags.retain(|_, to| to != digest);
            for referrers in cut.referrers.values_mut() {
                referrers.retain(|it| it != digest);
            }
        }
        let left: BTreeSet<_> = expired.iter().filter(|it| cut.tags.contains_key(*it)).cloned().collect();
        let rest = cut.removal(&left);
        let needed = find_needed(&contents, &expired);
        prop_assert!(rest.manifests.iter().all(|it| !needed.contains(it)));
        let tags = |removals: &[&Removal]| -> BTreeSet<String> {
            let gone = |digest: &String| removals.iter().any(|it| it.manifests.contains(digest));
            contents.tags.iter().filter(|(tag, digest)| {
                !gone(digest) && !removals.iter().any(|it| it.untag.contains(*tag))
            }).map(|(tag, _)| tag.clone()).filter(|it| !it.starts_with("sha256-")).collect()
        };
        let first = Removal { manifests: whole.manifests.iter().take(at).cloned().collect(), ..Removal::default() };
        prop_assert_eq!(tags(&[&first, &rest]), tags(&[&whole]));
    }
}
