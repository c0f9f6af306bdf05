// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A skipped test does not count as passed.

use std::fs;

use crate::common::{Answer, Fixture};

/// A test that records a skip for `PROGRAM`, as `test-support` does, and one that passes.
const TESTS: &str = r##"
#[cfg(test)]
mod tests {
    #[test]
    fn wants() {
        let record = r#"{
            "binary": "one",
            "test": "tests::wants",
            "requirement": { "kind": "program", "name": "PROGRAM" },
            "reason": "PROGRAM is not installed"
        }"#;
        let Some(folder) = std::env::var_os("TEST_SKIPS_DIR") else { return };
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(std::path::Path::new(&folder).join("1.json"), record).unwrap();
    }

    #[test]
    fn adds() {
        assert_eq!(super::add(2, 2), 4);
    }
}
"##;

fn fixture(program: &str) -> Fixture {
    let fixture = Fixture::new();
    let text = fs::read_to_string(fixture.root().join("one/src/lib.rs")).unwrap();
    let code = text.split("\n#[cfg(test)]").next().unwrap();
    let tests = TESTS.replace("PROGRAM", program);
    fixture.write("one/src/lib.rs", &format!("{code}{tests}"));
    fixture
}

fn verdict(answer: &Answer) -> serde_json::Value {
    let report: serde_json::Value = serde_json::from_slice(&answer.0.stdout).unwrap();
    report["steps"][0]["verdict"].clone()
}

#[test]
fn a_skipped_test_is_counted_listed_with_its_fix_and_marked_in_junit() {
    let fixture = fixture("xorriso");
    let answer = fixture.xtask(&["test", "--json"]);
    assert_eq!(answer.code(), 3, "{}", answer.err());
    let verdict = verdict(&answer);
    assert_eq!(verdict["outcome"], "incomplete");
    // The passing test, and the documentation example.
    assert!(
        verdict["fact"].as_str().unwrap().starts_with("2 passed, 0 failed, 1 skipped"),
        "{verdict}"
    );
    let [gap] = verdict["gaps"].as_array().unwrap().as_slice() else { panic!("{verdict}") };
    assert_eq!(gap["problem"], "xorriso is not installed: 1 test skipped (tests::wants)");
    assert!(gap["fix"].as_str().unwrap().contains("xorriso"), "{gap}");
    let table = fixture.xtask(&["test"]);
    assert_eq!(table.code(), 3);
    let table = table.out();
    assert!(table.contains("test  partly"), "{table}");
    assert!(table.contains("xorriso is not installed: 1 test skipped"), "{table}");
    let junit = fixture.root().join("target/xtask/nextest/xtask/junit.xml");
    // Without nextest there is no report.
    if let Ok(junit) = fs::read_to_string(junit) {
        assert_eq!(
            junit.matches("<skipped message=\"xorriso is not installed\"/>").count(),
            1,
            "{junit}"
        );
    }
}

#[test]
fn a_program_that_nothing_installs_is_a_fault() {
    let answer = fixture("no-such-program").xtask(&["test", "--json"]);
    assert_eq!(answer.code(), 1, "{}", answer.err());
    assert_eq!(answer.findings("test")[0]["rule"], "unlisted-program");
}

#[test]
fn gates_that_need_history_could_not_run_in_a_shallow_clone() {
    let fixture = Fixture::new();
    fixture.append("release.toml", "\n[gates.coverage]\nchanged = 90.0\n");
    fixture
        .append("release.toml", "\n[gates.schema]\nfolder = \"schemas\"\nrecipes = \"recipes\"\n");
    fixture.write("schemas/thing-1.0.schema.json", "{}\n");
    fixture.write("recipes/good.json", "{}\n");
    fixture.commit();
    let clone = tempfile::tempdir().unwrap();
    let (from, to) = (format!("file://{}", fixture.root().display()), clone.path());
    fixture.git(&["clone", "--quiet", "--depth", "1", &from, to.to_str().unwrap()]);
    let run = |args: &[&str]| Answer(fixture.command(args).current_dir(to).output().unwrap());
    if test_support::have(&["check-jsonschema"]) {
        let schema = run(&["schema"]);
        assert_eq!(schema.code(), 3, "{}", schema.err());
        assert!(schema.out().contains("since the last release not checked"), "{}", schema.out());
    }
    let coverage = run(&["coverage", "--json"]);
    assert_eq!(coverage.code(), 3, "{}", coverage.err());
    match verdict(&coverage)["outcome"].as_str() {
        Some("incomplete") => {
            let problem = verdict(&coverage)["gaps"][0]["problem"].to_string();
            assert!(problem.contains("changed lines not checked"), "{problem}");
        }
        _ => test_support::skip(
            test_support::Requirement::Program("llvm-cov"),
            "the compiler's LLVM has no llvm-cov here",
        ),
    }
}
