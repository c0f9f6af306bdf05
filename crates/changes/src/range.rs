// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The commits of a range as one list of changes: without merges and reverted commits, and with a
//! commit and its cherry-pick counted once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

use crate::commit::Commit;
use crate::message::{Change, Kind, changes, without_number};

static REVERTS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?m)^This reverts commit ([0-9a-f]{7,40})").ok());
static PICKED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?m)^\(cherry picked from commit ([0-9a-f]{7,40})\)$").ok());
static MERGED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^Merge pull request #([0-9]+) from ").ok());

/// The changes of a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The changes, newest first.
    pub changes: Vec<Change>,
    /// Pull requests that were merged or squashed, in ascending order.
    pub pull_requests: Vec<PullRequest>,
    /// Authors by name, one for each address.
    pub authors: Vec<String>,
}

/// A merged pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PullRequest {
    /// Its number.
    pub number: u64,
    /// Its title; empty if the commit does not state it.
    pub title: String,
}

/// Reads `commits`, newest first.
pub fn collect(commits: &[Commit]) -> Range {
    let reverted = find_reverted(commits);
    let mut authors: BTreeMap<String, String> = BTreeMap::new();
    let mut pull_requests: BTreeMap<u64, String> = BTreeMap::new();
    let mut found = Vec::new();
    for commit in commits {
        authors.entry(commit.address.to_lowercase()).or_insert_with(|| commit.author.clone());
        if commit.parents > 1 {
            let number = capture(&MERGED, commit.subject()).and_then(|it| it.parse().ok());
            // The body of GitHub's merge commits starts with the title.
            pull_requests.extend(number.map(|it| (it, commit.body_start().to_owned())));
            continue;
        }
        let origin = capture(&PICKED, &commit.message);
        // A merge of a release line repeats the commits that were picked onto it.
        let is_copy = origin.is_some_and(|id| commits.iter().any(|it| it.id.starts_with(id)));
        if is_copy || reverted.contains(commit.id.as_str()) {
            continue;
        }
        let changes = changes(commit);
        let (title, number) = without_number(commit.subject());
        pull_requests.extend(number.map(|it| (it, title.to_owned())));
        found.extend(changes);
    }
    let authors: BTreeSet<String> = authors.into_values().collect();
    Range {
        changes: found,
        pull_requests: pull_requests
            .into_iter()
            .map(|(number, title)| PullRequest { number, title })
            .collect(),
        authors: authors.into_iter().collect(),
    }
}

/// The commits that another commit of the range reverts, and the reverts themselves. Reverting a
/// revert restores its commit.
fn find_reverted(commits: &[Commit]) -> BTreeSet<&str> {
    let mut gone: BTreeSet<&str> = BTreeSet::new();
    // Newest first, so that a reverted revert is known before its own target.
    for commit in commits {
        let is_revert = commit.subject().starts_with("Revert \"")
            || changes(commit).first().is_some_and(|it| it.kind == Kind::Revert);
        if gone.contains(commit.id.as_str()) || !is_revert {
            continue;
        }
        let target = capture(&REVERTS, &commit.message);
        let target = target.and_then(|id| commits.iter().find(|it| it.id.starts_with(id)));
        if let Some(target) = target {
            gone.extend([commit.id.as_str(), target.id.as_str()]);
        }
    }
    gone
}

fn capture<'a>(pattern: &LazyLock<Option<Regex>>, text: &'a str) -> Option<&'a str> {
    pattern.as_ref()?.captures(text)?.get(1).map(|it| it.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(number: u64, parents: usize, message: &str) -> Commit {
        Commit {
            id: format!("{number:040x}"),
            parents,
            author: format!("Author {}", number % 2),
            address: if number.is_multiple_of(3) { "A@example.org" } else { "a@example.org" }
                .to_owned(),
            message: message.to_owned(),
        }
    }

    fn summaries(range: &Range) -> Vec<&str> {
        range.changes.iter().map(|it| it.summary.as_str()).collect()
    }

    #[test]
    fn a_revert_and_its_commit_cancel_each_other() {
        let revert = |number, of: u64| {
            commit(number, 1, &format!("Revert \"x\"\n\nThis reverts commit {of:040x}."))
        };
        let add = commit(1, 1, "feat: x");
        assert!(collect(&[revert(2, 1), add.clone()]).changes.is_empty());
        // The revert is reverted, so the change counts.
        let again = collect(&[revert(3, 2), revert(2, 1), add]);
        assert_eq!(summaries(&again), ["x"]);
        // A revert of a commit in an earlier release.
        assert_eq!(collect(&[revert(2, 1)]).changes[0].kind, Kind::Revert);
    }

    #[test]
    fn a_commit_and_its_cherry_pick_are_one_change() {
        let picked = format!("fix: y\n\n(cherry picked from commit {:040x})", 7);
        let commits = [commit(8, 1, &picked), commit(9, 1, "fix: z"), commit(7, 1, "fix: y")];
        assert_eq!(summaries(&collect(&commits)), ["z", "y"]);
        // On the branch it was picked to, the cherry-pick counts.
        assert_eq!(summaries(&collect(commits.get(..2).unwrap())), ["y", "z"]);
    }

    #[test]
    fn merges_give_numbers_and_no_changes() {
        let commits = [
            commit(4, 2, "Merge pull request #12 from a/b\n\nAdd x"),
            commit(3, 2, "Merge branch 'main' into x"),
            commit(2, 1, "feat: x (#11)"),
        ];
        let range = collect(&commits);
        let requests = range.pull_requests.iter().map(|it| (it.number, it.title.as_str()));
        assert_eq!(requests.collect::<Vec<_>>(), [(11, "feat: x"), (12, "Add x")]);
        assert_eq!(summaries(&range), ["x"]);
        assert_eq!(range.authors, ["Author 0"], "one address is one author");
        assert!(collect(&[]).authors.is_empty());
    }
}
