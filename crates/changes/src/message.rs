// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The changes in one commit message: one, or several of a squashed pull request.

use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

use crate::commit::Commit;

/// The kind of a change, in the order of the notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `feat`
    Feature,
    /// `fix`
    Fix,
    /// `perf`
    Performance,
    /// `revert`, of a commit that an earlier release has.
    Revert,
    /// `docs`, `refactor`, `test`, `build`, `ci`, `chore`, `style`: not visible to users.
    Internal,
    /// A commit that does not follow Conventional Commits.
    Other,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Kind of change.
    pub kind: Kind,
    /// Scope, if the commit has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Summary, one line.
    pub summary: String,
    /// What users must do about a breaking change. Empty if the commit does not state it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaking: Option<String>,
    /// Steps of an upgrade, from footers `Upgrade:` and `Migration:`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upgrade: Vec<String>,
    /// The pull request, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<u64>,
    /// The full id of the commit.
    pub commit: String,
}

/// Start of a footer (Conventional Commits 1.0.0, items 8 to 10 and 16).
static FOOTER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"^(BREAKING CHANGE|BREAKING-CHANGE|[A-Za-z][A-Za-z0-9-]*)(: | #)").ok()
});
/// A line in the body of a squashed pull request that starts the message of one of its commits.
static SQUASHED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[*-] +([a-z]+(\([^()]*\))?!?: .+)$").ok());
/// Pull request number at the end of a subject.
static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r" \(#([0-9]+)\)$").ok());

/// Parses the changes of a commit message, at least one.
pub fn changes(commit: &Commit) -> Vec<Change> {
    let message = commit.message.trim().replace("\r\n", "\n");
    let (subject, body) = message.split_once('\n').unwrap_or((&message, ""));
    let (subject, pull_request) = without_number(subject.trim());
    let mut parts = vec![(subject.to_owned(), String::new())];
    for line in body.lines() {
        let squashed = SQUASHED.as_ref().and_then(|it| it.captures(line));
        match (squashed.and_then(|it| it.get(1)), parts.last_mut()) {
            (Some(header), _) => {
                parts.push((without_number(header.as_str()).0.to_owned(), String::new()));
            }
            (None, Some((_, body))) => {
                body.push_str(line);
                body.push('\n');
            }
            (None, None) => {}
        }
    }
    let several = parts.len() > 1;
    let mut found: Vec<Change> = Vec::new();
    for (index, (header, body)) in parts.iter().enumerate() {
        let change = change(header, body, pull_request, &commit.id);
        // The title of a squashed pull request repeats or summarises its commits.
        let repeated = found.iter_mut().find(|it| it.summary == change.summary);
        match repeated {
            Some(earlier) => {
                earlier.breaking = earlier.breaking.take().or(change.breaking);
                earlier.upgrade.extend(change.upgrade);
            }
            None if several && index == 0 && change.kind == Kind::Other => {}
            None => found.push(change),
        }
    }
    found
}

fn change(header: &str, body: &str, pull_request: Option<u64>, commit: &str) -> Change {
    let commit = commit.to_owned();
    let footers = footers(body);
    let text = format!("{header}\n\n{footers}");
    let Ok(parsed) = git_conventional::Commit::parse(text.trim_end()) else {
        let kind = if header.starts_with("Revert \"") { Kind::Revert } else { Kind::Other };
        let summary = header.to_owned();
        let upgrade = Vec::new();
        return Change {
            kind,
            scope: None,
            summary,
            breaking: None,
            upgrade,
            pull_request,
            commit,
        };
    };
    let kind = match parsed.type_().as_str().to_ascii_lowercase().as_str() {
        "feat" => Kind::Feature,
        "fix" => Kind::Fix,
        "perf" => Kind::Performance,
        "revert" => Kind::Revert,
        "docs" | "refactor" | "test" | "build" | "ci" | "chore" | "style" => Kind::Internal,
        _ => Kind::Other,
    };
    let values = |wanted: fn(&str) -> bool| -> Vec<String> {
        let footers = parsed.footers().iter().filter(|footer| wanted(footer.token().as_str()));
        footers
            .map(|footer| footer.value().split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    };
    let description = values(is_breaking);
    Change {
        kind,
        scope: parsed.scope().map(|scope| scope.to_string()),
        summary: parsed.description().trim().to_owned(),
        breaking: parsed.breaking().then(|| description.join(" ")),
        upgrade: values(is_upgrade),
        pull_request,
        commit,
    }
}

fn is_breaking(token: &str) -> bool {
    ["BREAKING CHANGE", "BREAKING-CHANGE"].iter().any(|it| token.eq_ignore_ascii_case(it))
}

/// Whether the footers `token` have steps of an upgrade.
fn is_upgrade(token: &str) -> bool {
    ["upgrade", "migration"].iter().any(|it| token.eq_ignore_ascii_case(it))
}

/// Returns the footers at the end of a body. They start after a blank line; prose, quotations,
/// indented lines and code blocks are not footers.
fn footers(body: &str) -> String {
    let is_footer = |line: &str| FOOTER.as_ref().is_some_and(|it| it.is_match(line));
    let lines: Vec<&str> = body.lines().collect();
    let mut fenced = false;
    let mut after_blank = true;
    let mut start = None;
    for (index, line) in lines.iter().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if after_blank && !fenced && is_footer(line) && is_footer_block(lines.get(index..)) {
            start = Some(index);
            break;
        }
        after_blank = line.trim().is_empty();
    }
    let lines = start.and_then(|start| lines.get(start..)).unwrap_or_default();
    // A wrapped line of prose may look like a footer: `retried: their …`. Git's own footers are
    // capitalised.
    let is_prose = |line: &str| is_footer(line) && line.starts_with(|c: char| c.is_lowercase());
    let lines = lines.iter().enumerate().map(|(index, line)| {
        if index > 0 && is_prose(line) { format!(" {line}") } else { (*line).to_owned() }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns true if all paragraphs in `lines` are footers, or continue the footer of a breaking
/// change or of an upgrade.
fn is_footer_block(lines: Option<&[&str]>) -> bool {
    let mut after_blank = true;
    let mut is_long = false;
    for line in lines.unwrap_or_default() {
        let footer = FOOTER.as_ref().and_then(|it| it.captures(line));
        if let Some(footer) = &footer {
            let token = footer.get(1).map_or("", |it| it.as_str());
            is_long = is_breaking(token) || is_upgrade(token);
        } else if after_blank && !line.trim().is_empty() && !is_long {
            return false;
        }
        after_blank = line.trim().is_empty();
    }
    true
}

/// Splits a number such as ` (#12)` off the end of a subject.
pub(crate) fn without_number(subject: &str) -> (&str, Option<u64>) {
    let found = NUMBER.as_ref().and_then(|it| it.captures(subject));
    let number = found.as_ref().and_then(|it| it.get(1)?.as_str().parse().ok());
    let whole = found.as_ref().and_then(|it| it.get(0)).map_or(subject.len(), |it| it.start());
    (subject.get(..whole).unwrap_or(subject), number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn commit(message: &str) -> Commit {
        Commit {
            id: "0".repeat(40),
            parents: 1,
            author: "A".to_owned(),
            address: "a@example.org".to_owned(),
            message: message.to_owned(),
        }
    }

    fn read(message: &str) -> Vec<(Kind, String, Option<String>)> {
        changes(&commit(message)).into_iter().map(|it| (it.kind, it.summary, it.breaking)).collect()
    }

    fn one_entry(
        kind: Kind,
        summary: &str,
        breaking: Option<&str>,
    ) -> Vec<(Kind, String, Option<String>)> {
        vec![(kind, summary.to_owned(), breaking.map(str::to_owned))]
    }

    #[test]
    fn headers_are_read() {
        assert_eq!(read("feat(api): add x (#12)"), one_entry(Kind::Feature, "add x", None));
        assert_eq!(read(" feat!: drop y"), one_entry(Kind::Feature, "drop y", Some("")));
        assert_eq!(
            read("fix: `a` & <b> isn't 🎉"),
            one_entry(Kind::Fix, "`a` & <b> isn't 🎉", None)
        );
        assert_eq!(
            read("Print what is missing"),
            one_entry(Kind::Other, "Print what is missing", None)
        );
        assert_eq!(read("Feat: capital"), one_entry(Kind::Feature, "capital", None));
        assert_eq!(read(""), one_entry(Kind::Other, "", None));
    }

    #[test]
    fn a_breaking_footer_counts_and_a_quoted_one_does_not() {
        let footer = "fix: a\n\nbody\n\nBREAKING CHANGE: rename\nthe key\n\nmore of it\n\nRefs: #3";
        assert_eq!(read(footer), one_entry(Kind::Fix, "a", Some("rename the key more of it")));
        let footers = "fix: a\n\nReviewed-by: Z\nBREAKING-CHANGE: b\nRefs #133";
        assert_eq!(read(footers), one_entry(Kind::Fix, "a", Some("b")));
        let wrapped = "fix: a\n\nBREAKING CHANGE: jobs must be\nretried: they are old";
        assert_eq!(
            read(wrapped),
            one_entry(Kind::Fix, "a", Some("jobs must be retried: they are old"))
        );
        for quoted in [
            "fix: a\n\nThe parser took\nBREAKING CHANGE: in prose for a footer.",
            "fix: a\n\n> BREAKING CHANGE: b",
            "fix: a\n\n    BREAKING CHANGE: b",
            "fix: a\n\n```\n\nBREAKING CHANGE: b\n```",
            "fix: a\n\nNote: this is prose, not a footer\n\nand so is this.",
        ] {
            assert_eq!(read(quoted), one_entry(Kind::Fix, "a", None), "{quoted}");
        }
    }

    #[test]
    fn steps_of_an_upgrade_are_read_from_footers() {
        let message = "feat: a (#3)\n\n* feat: a\n\nUpgrade: run\n`x`\n\nthen `y`\n\n* fix: b\n\n\
                       Migration: edit the key\nBREAKING CHANGE: c\nupgrade: it is prose";
        let found = changes(&commit(message));
        assert_eq!(found[0].upgrade, ["run `x` then `y`"]);
        assert_eq!(found[1].upgrade, ["edit the key"]);
        assert_eq!(found[1].breaking.as_deref(), Some("c upgrade: it is prose"));
        assert!(
            changes(&commit("fix: a\n\n> Upgrade: quoted")).iter().all(|it| it.upgrade.is_empty())
        );
    }

    #[test]
    fn a_squashed_pull_request_has_the_changes_of_its_commits() {
        let squashed = "feat: a (#3)\n\n* feat: a\n\nReviewed-by: Z\n\n* fix(x): b\n\nBREAKING CHANGE: c\n\
                        \n* wip\n";
        let found = read(squashed);
        assert_eq!(found[0], (Kind::Feature, "a".to_owned(), None));
        assert_eq!(found[1].0, Kind::Fix);
        assert!(found[1].2.as_deref().is_some_and(|it| it.starts_with('c')), "{found:?}");
        assert_eq!(found.len(), 2);
        let summed = read("Improve things (#4)\n\n* fix: a\n* docs: b\n");
        assert_eq!(summed.len(), 2, "{summed:?}");
    }

    proptest! {
        #[test]
        fn every_message_has_a_change(message in "\\PC{0,60}(\n\\PC{0,40}){0,6}") {
            prop_assert!(!read(&message).is_empty());
        }
    }
}
