// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Each gate is seen to fail, alone and with the right place, after a violation was put in.

use crate::common::{Answer, Fixture};

const LIB: &str = "one/src/lib.rs";

/// Asserts that `gate` alone failed, with one finding at `file` and `line`.
#[track_caller]
fn only(answer: &Answer, gate: &str, file: &str, line: Option<u64>, rule: &str) {
    assert_eq!(answer.code(), 1, "{}", answer.err());
    for (step, outcome) in answer.outcomes() {
        // A gate whose program this machine lacks is skipped.
        let expected: &[_] = if step == gate { &["found"] } else { &["done", "skipped"] };
        assert!(expected.contains(&outcome.as_str()), "{step} {outcome}: {}", answer.err());
    }
    let findings = answer.findings(gate);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0]["file"], file);
    assert_eq!(findings[0]["line"].as_u64(), line, "{findings:?}");
    assert_eq!(findings[0]["rule"], rule);
    assert!(!findings[0]["mend"].as_str().unwrap().is_empty());
    assert!(answer.err().contains(file), "people are not told the file: {}", answer.err());
}

/// The gates that need no program but those of Rust.
const GATES: &[&str] = &["fmt", "lint", "test", "headers"];

fn validate(fixture: &Fixture) -> Answer {
    fixture.xtask(&["validate", "--json"])
}

#[test]
fn a_good_workspace_passes_every_gate() {
    let fixture = Fixture::new();
    let answer = validate(&fixture);
    assert!([0, 3].contains(&answer.code()), "{}", answer.err());
    let outcomes = answer.outcomes();
    for gate in GATES {
        assert!(outcomes.contains(&((*gate).to_owned(), "done".to_owned())), "{outcomes:?}");
    }
    assert!(fixture.root().join("target/xtask/report.json").is_file());
    assert!(fixture.root().join("target/xtask/logs/lint.log").is_file());
}

#[test]
fn fmt_fails_on_a_badly_formatted_file() {
    let fixture = Fixture::new();
    let line = fixture.replace(LIB, "pub fn add(", "pub fn  add(");
    only(&validate(&fixture), "fmt", LIB, Some(line), "rustfmt");
}

#[test]
fn lint_fails_on_a_clippy_warning() {
    let fixture = Fixture::new();
    let line = fixture.replace(LIB, "a + b", "return a + b;");
    only(&validate(&fixture), "lint", LIB, Some(line), "clippy::needless_return");
}

#[test]
fn lint_fails_on_a_rustdoc_warning() {
    let fixture = Fixture::new();
    let line = fixture.replace(LIB, "/// The sum.", "/// The sum, see [`Missing`].");
    only(&validate(&fixture), "lint", LIB, Some(line), "rustdoc::broken_intra_doc_links");
}

#[test]
fn test_fails_on_a_failing_test() {
    let fixture = Fixture::new();
    let line = fixture.replace(LIB, "super::add(2, 2), 4", "super::add(2, 2), 5");
    only(&validate(&fixture), "test", LIB, Some(line), "test");
}

#[test]
fn test_fails_without_nextest_too() {
    let fixture = Fixture::new();
    std::fs::remove_dir_all(fixture.root().join(".config")).unwrap();
    let line = fixture.replace(LIB, "super::add(2, 2), 4", "super::add(2, 2), 5");
    only(&fixture.xtask(&["test", "--json"]), "test", LIB, Some(line), "test");
}

#[test]
fn test_fails_on_a_failing_example_in_the_documentation() {
    let fixture = Fixture::new();
    let line = fixture.replace(LIB, "one::add(1, 2), 3", "one::add(1, 2), 4") - 1;
    only(&validate(&fixture), "test", LIB, Some(line), "test");
}

#[test]
fn headers_fails_on_a_file_without_its_licence() {
    let fixture = Fixture::new();
    fixture.write("tools/run.sh", "#!/bin/sh\nexit 0\n");
    only(&validate(&fixture), "headers", "tools/run.sh", Some(1), "spdx");
}

#[test]
fn code_that_does_not_compile_fails_with_its_place() {
    let fixture = Fixture::new();
    let line = fixture.replace(LIB, "    a + b", "    \"a\"");
    let answer = fixture.xtask(&["lint", "--json"]);
    assert_eq!(answer.code(), 1);
    let findings = answer.findings("lint");
    assert!(findings.iter().any(|it| it["line"] == line && it["rule"] == "E0308"), "{findings:?}");
}
