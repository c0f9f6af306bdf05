// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks commit messages: Conventional Commits 1.0.0, with a limited subject length.

use crate::commit::Commit;
use crate::message::{Kind, changes};

/// Maximum length of a subject, in characters.
const SUBJECT: usize = 72;

/// A violated rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Name of the rule.
    pub rule: &'static str,
    /// Description of the violation.
    pub message: String,
    /// How to fix it.
    pub fix: &'static str,
}

/// Checks a commit message. Merges and Git's own revert messages are accepted.
pub fn lint(commit: &Commit) -> Vec<Violation> {
    let subject = commit.subject();
    if commit.parents > 1 || subject.starts_with("Revert \"") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut add = |rule, message, fix| found.push(Violation { rule, message, fix });
    let length = subject.chars().count();
    if length > SUBJECT {
        let message = format!("the subject has {length} characters, more than {SUBJECT}");
        add("subject-length", message, "shorten it; the body has the details");
    }
    if subject.ends_with('.') {
        add("full-stop", "the subject ends with a full stop".to_owned(), "remove the full stop");
    }
    if commit.message.trim().lines().nth(1).is_some_and(|line| !line.trim().is_empty()) {
        let message = "no empty line is between subject and body".to_owned();
        add("no-blank-line", message, "add an empty line after the subject");
    }
    let changes = changes(commit);
    let is_lower = |subject: &str| subject.starts_with(|first: char| first.is_ascii_lowercase());
    if !is_lower(subject) || changes.iter().any(|change| change.kind == Kind::Other) {
        add(
            "not-conventional",
            format!("'{subject}' is no Conventional Commit"),
            "write TYPE(SCOPE): SUBJECT, with one of feat, fix, perf, refactor, docs, test, build, ci, chore, revert",
        );
    }
    if changes.iter().any(|change| change.breaking.as_deref() == Some("")) {
        let message = "a breaking change has no footer BREAKING CHANGE".to_owned();
        add("no-breaking-footer", message, "add `BREAKING CHANGE: ` with what users must do");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(parents: usize, message: &str) -> Vec<&'static str> {
        let commit = Commit {
            id: "0".repeat(40),
            parents,
            author: "A".to_owned(),
            address: "a@example.org".to_owned(),
            message: message.to_owned(),
        };
        lint(&commit).into_iter().map(|it| it.rule).collect()
    }

    #[test]
    fn a_message_that_breaks_a_rule_is_reported_with_it() {
        let long = format!("feat: {}", "x".repeat(66));
        for (message, expected) in [
            ("feat(api): add x", &[][..]),
            ("feat(api): add x (#12)\n\nBody.\n", &[]),
            (&long, &[]),
            (&format!("{long}y"), &["subject-length"]),
            ("fix: add x.", &["full-stop"]),
            ("fix: add x\nbody", &["no-blank-line"]),
            ("Add x", &["not-conventional"]),
            ("Feat: add x", &["not-conventional"]),
            ("feet: add x", &["not-conventional"]),
            ("feat(api) add x", &["not-conventional"]),
            ("feat!: add x", &["no-breaking-footer"]),
            ("feat!: add x\n\nBREAKING CHANGE: rename y\n", &[]),
            ("Revert \"feat: x\"\n\nThis reverts commit 0123456.\n", &[]),
        ] {
            assert_eq!(rules(1, message), expected, "{message}");
        }
        assert_eq!(rules(2, "Merge branch 'x'"), [""; 0]);
    }
}
