// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Violations for the checks of the gates `docs` and `commits`: each gate passes a workspace with a style, a book and
//! recorded help texts, and fails at the right place after each violation.

use std::process::Command;

use crate::common::{Fixture, expect_only, need};

const HEADER: &str = "<!-- SPDX-License-Identifier: AGPL-3.0-or-later -->\n\
    <!-- Copyright (C) 2026 The Provisioner Authors -->\n\n";

const GATE: &str = r#"
[gates.docs]
style = "docs/styles/House"
book = "docs"
commands = "docs/commands.md"
timeline = "docs/job.json"
"#;

const STYLE: &str = r"
extends: substitution
message: use '%s' instead of '%s'
level: error
ignorecase: true
swap:
  'utilise(?:s|d)?': use
";

const HELP: &str = "---\nsource: x\n---\n$ step --help\nCommands:\n  run  Run\n\n$ step run --help\nRun it\n\n\
    Options:\n      --dry-run  Plan only\n";

const JOB: &str = r#"{"events": [
    {"at": "2026-01-01T00:00:01Z", "kind": "state.queued", "message": "created"},
    {"at": "2026-01-01T00:00:02Z", "kind": "state.complete", "message": "done"}
]}"#;

fn create_documented() -> Fixture {
    let fixture = Fixture::new();
    fixture.append("release.toml", GATE);
    fixture.write_with_header("docs/styles/House/Terms.yml", STYLE);
    fixture.write_with_header(
        "docs/book.toml",
        "\n[book]\ntitle = \"A thing\"\nsrc = \".\"\n\n[build]\nbuild-dir = \"../target/book\"\n",
    );
    fixture.write_with_header("typos.toml", "\n[default]\n");
    fixture.write("docs/SUMMARY.md", &format!("{HEADER}# Summary\n\n- [Commands](commands.md)\n"));
    fixture.write(
        "docs/commands.md",
        &format!("{HEADER}# Commands\n\nCall `step run --dry-run`.\n\n## step\n\n```text\n{INCLUDE}\n```\n"),
    );
    fixture.write("one/src/snapshots/one__help.snap", HELP);
    fixture.write("docs/job.json", JOB);
    assert_eq!(fixture.xtask(&["docs", "--fix"]).code(), 0, "the drawing is made");
    fixture.commit();
    fixture
}

const INCLUDE: &str = "{{#include ../one/src/snapshots/one__help.snap:4:}}";

/// A violation: applied to the fixture; returns file, line and rule of the expected finding.
type Violation = fn(&Fixture) -> (&'static str, Option<u64>, &'static str);

const DOCS: &[Violation] = &[
    // Terms, in a comment of Rust, in a page over two lines, in another kind of comment, and in a help text.
    |fixture| {
        let line = fixture.replace("one/src/lib.rs", "/// The sum.", "/// The utilised sum.");
        ("one/src/lib.rs", Some(line), "House.Terms")
    },
    |fixture| {
        fixture.append("docs/commands.md", "\nIt\nUtilises. `utilise` is code.\n");
        ("docs/commands.md", Some(15), "House.Terms")
    },
    |fixture| {
        fixture.append("release.toml", "# It utilises.\n");
        let lines = std::fs::read_to_string(fixture.root().join("release.toml")).unwrap();
        ("release.toml", Some(lines.lines().count() as u64), "House.Terms")
    },
    |fixture| {
        let line = fixture.replace("one/src/snapshots/one__help.snap", "Plan only", "Utilise only");
        ("one/src/snapshots/one__help.snap", Some(line), "House.Terms")
    },
    // Spelling. The word is split, so that this file has no such word.
    |fixture| {
        fixture.append("docs/commands.md", concat!("\nIt is ava", "ilible.\n"));
        ("docs/commands.md", Some(14), "typo")
    },
    // The book.
    |fixture| {
        fixture.write("docs/lost.md", &format!("{HEADER}# Lost\n"));
        ("docs/lost.md", None, "not-in-book")
    },
    |fixture| {
        fixture.append("docs/commands.md", "\nSee the [licence](../LICENSE).\n");
        ("docs/commands.md", None, "book-link")
    },
    |fixture| {
        fixture.append("docs/commands.md", "\n{{#include lost.md}}\n");
        ("docs/book.toml", None, "book")
    },
    // Calls, flags and the reference.
    |fixture| {
        fixture.append("docs/commands.md", "\nNever call `step walk`.\n");
        ("docs/commands.md", Some(14), "unknown-command")
    },
    |fixture| {
        fixture.append("docs/commands.md", "\nNever give `--wet-run`.\n");
        ("docs/commands.md", Some(14), "unknown-flag")
    },
    |fixture| {
        fixture.append("docs/commands.md", "\nNever call `packager --all`.\n");
        ("docs/commands.md", Some(14), "unknown-command")
    },
    |fixture| {
        fixture.replace("docs/commands.md", INCLUDE, "An old help text.");
        ("docs/commands.md", None, "not-in-reference")
    },
    |fixture| {
        fixture.replace("docs/job.json", "done", "clean-up done");
        ("docs/job.json", None, "stale-drawing")
    },
    |fixture| {
        let allow = "\n[[gates.docs.allow]]\nfile = \"x\"\nreason = \"y\"\n";
        fixture.append("release.toml", allow);
        ("release.toml", None, "stale-allowance")
    },
];

#[test]
fn each_violation_of_the_documentation_is_found_alone() {
    need!(&["typos", "mdbook"]);
    let fixture = create_documented();
    let answer = fixture.xtask(&["docs", "--json"]);
    assert_eq!(answer.code(), 0, "{}", answer.err());
    for violation in DOCS {
        let (file, line, rule) = violation(&fixture);
        expect_only(&fixture.xtask(&["docs", "--json"]), "docs", file, line, rule);
        fixture.git(&["reset", "--quiet", "--hard"]);
        fixture.git(&["clean", "--quiet", "--force", "-d"]);
    }
}

#[test]
fn suggestions_are_reported_when_asked_for() {
    need!(&["typos", "mdbook"]);
    let fixture = create_documented();
    fixture.replace("docs/styles/House/Terms.yml", "level: error", "level: suggestion");
    fixture.append("docs/commands.md", "\nIt utilises.\n");
    assert_eq!(fixture.xtask(&["docs"]).code(), 0);
    let answer = fixture.xtask(&["docs", "--suggestions", "--json"]);
    expect_only(&answer, "docs", "docs/commands.md", Some(14), "House.Terms");
}

/// The id of `HEAD`, in full (`--verify`) or shortened (`--short=12`).
fn head(fixture: &Fixture, format: &str) -> String {
    let mut git = Command::new("git");
    let output = git.args(["rev-parse", format, "HEAD"]).current_dir(fixture.root()).output();
    String::from_utf8(output.unwrap().stdout).unwrap().trim().to_owned()
}

/// Expects one unconventional message, of `commit`.
fn expect_unconventional(fixture: &Fixture, commit: &str) {
    let answer = fixture.xtask(&["commits", "--json"]);
    expect_only(&answer, "commits", &format!("commit {commit}"), None, "not-conventional");
}

#[test]
fn a_commit_message_that_is_not_conventional_is_found() {
    let fixture = Fixture::new();
    fixture.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    assert_eq!(fixture.xtask(&["commits"]).code(), 0);
    fixture.commit_as("x");
    expect_unconventional(&fixture, &head(&fixture, "--short=12"));
}

#[test]
fn a_commit_message_on_the_main_branch_itself_is_checked() {
    let fixture = Fixture::new();
    let commit = |message: &str| fixture.commit_as(message);
    fixture.git(&["branch", "--move", "main"]);
    assert_eq!(fixture.xtask(&["commits"]).code(), 0, "the first commit");
    commit("Add x");
    let (full, bad) = (head(&fixture, "--verify"), head(&fixture, "--short=12"));
    expect_unconventional(&fixture, &bad);

    // A release tag on the commit itself does not hide it, only one in the history does.
    fixture.git(&["tag", "v0.1.0"]);
    expect_unconventional(&fixture, &bad);
    commit("feat: add y");
    let answer = fixture.xtask(&["commits"]);
    assert!(
        answer.code() == 0 && answer.err().contains("1 commit since v0.1.0"),
        "{}",
        answer.err()
    );
    fixture.git(&["tag", "--delete", "v0.1.0"]);
    expect_unconventional(&fixture, &bad);

    // An accepted commit.
    let allow = format!("\n[[gates.commits.allow]]\ncommit = \"{full}\"\nreason = \"merged\"\n");
    fixture.append("release.toml", &allow);
    assert_eq!(fixture.xtask(&["commits"]).code(), 0, "allowed");
    fixture.git(&["reset", "--quiet", "--hard"]);

    // Without a release, the newest 50 commits are checked.
    for number in 0..48 {
        commit(&format!("feat: add {number}"));
    }
    expect_unconventional(&fixture, &bad);
    commit("feat: add the last one");
    assert_eq!(fixture.xtask(&["commits"]).code(), 0, "an old commit");
}
