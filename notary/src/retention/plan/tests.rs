// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

use super::*;
use crate::retention::graph::{Contents, Node};

const DAY: u64 = 24 * 60 * 60;
const NOW: u64 = 1_000 * DAY;

fn digest(number: usize) -> String {
    format!("sha256:{number:064}")
}

/// A tag, the number of its digest, and how many days ago that was made.
type Tagged<'a> = (&'a str, usize, u64);

/// Repositories with these tags, and a signature beside each image.
fn survey(repositories: &[(&str, &[Tagged<'_>])], protected: &[&str]) -> Survey {
    let surveyed = |tags: &[Tagged<'_>]| {
        let mut contents = Contents::default();
        let mut created = BTreeMap::new();
        for (tag, number, days) in tags {
            contents.tags.insert((*tag).to_owned(), digest(*number));
            contents.nodes.insert(digest(*number), Node::default());
            created.insert(digest(*number), NOW - days * DAY);
            let signature = format!("sha256-{number:064}.sig");
            contents.tags.insert(signature, digest(number + 1_000));
            contents.nodes.insert(digest(number + 1_000), Node::default());
        }
        RepositoryContents { contents, created }
    };
    let repositories = repositories.iter().map(|(name, tags)| ((*name).to_owned(), surveyed(tags)));
    Survey {
        repositories: repositories.collect(),
        protected: protected.iter().map(|it| it.parse().unwrap()).collect(),
        records: [None, None],
    }
}

/// The tags that go from a repository, but those of signatures.
fn list_removed(survey: &Survey, name: &str) -> Vec<String> {
    let rules = Rules { tools: 2, maintenance: 1, candidates: 1, edge_days: 30, ci_days: 7 };
    let plan = Plan::new(survey, &rules, NOW);
    let Some(removal) = plan.repositories.get(name) else { return Vec::new() };
    let signatures = removal.tags.iter().filter(|it| it.starts_with("sha256-")).count();
    let tags: Vec<_> =
        removal.tags.iter().filter(|it| !it.starts_with("sha256-")).cloned().collect();
    // Each image has one, however many tags it has.
    let images = removal.manifests.len() - signatures;
    assert_eq!(images, signatures);
    tags
}

#[test]
fn releases_count_and_signatures_do_not() {
    let tags = [("v1.0.0", 1, 400), ("v1.1.0", 2, 300), ("v1.2.0", 3, 200), ("stable", 3, 200)];
    let survey = survey(&[("tools/a", &tags), ("maintenance-os", &tags), ("release", &tags)], &[]);
    assert_eq!(list_removed(&survey, "tools/a"), ["v1.0.0"]);
    assert!(list_removed(&survey, "maintenance-os").is_empty());
    assert!(list_removed(&survey, "release").is_empty());
}

#[test]
fn what_a_channel_needs_is_kept_in_every_repository() {
    let tags = [("v1.0.0", 1, 400), ("v1.1.0", 2, 300), ("v1.2.0", 3, 200)];
    let repositories = [("tools/a", &tags[..]), ("release", &tags[..])];
    assert_eq!(list_removed(&survey(&repositories, &["1.0.0"]), "tools/a"), Vec::<String>::new());
    // The tag of the channel alone keeps the content; the version's tag goes.
    let tags = [tags[0], tags[1], tags[2], ("1.0", 1, 400)];
    let survey = survey(&[("tools/a", &tags)], &[]);
    assert_eq!(list_removed(&survey, "tools/a"), ["v1.0.0"]);
    let rules = Rules { tools: 2, maintenance: 1, candidates: 1, edge_days: 30, ci_days: 7 };
    let plan = Plan::new(&survey, &rules, NOW);
    assert!(plan.repositories["tools/a"].manifests.is_empty());
}

#[test]
fn commits_go_with_their_release_and_age_alone() {
    let (old, new, own) = ("a".repeat(40), "b".repeat(40), "c".repeat(40));
    let tags = [
        ("v0.1.0-snapshot.a", 1, 31),
        (old.as_str(), 1, 31),
        ("v0.1.0-snapshot.b", 2, 29),
        (new.as_str(), 2, 29),
        (own.as_str(), 3, 31),
        ("mine", 4, 900),
    ];
    let survey = survey(&[("tools/a", &tags), ("ci/linux", &tags[2..4])], &[]);
    assert_eq!(list_removed(&survey, "tools/a"), [old.as_str(), own.as_str(), "v0.1.0-snapshot.a"]);
    assert_eq!(list_removed(&survey, "ci/linux"), [new.as_str(), "v0.1.0-snapshot.b"]);
}
