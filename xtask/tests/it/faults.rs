// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Invalid environments: a clear error, the right exit code, no panic.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::common::{Answer, Fixture, need};

/// Asserts the exit code, and that standard error contains each of `parts`.
#[track_caller]
fn expect(answer: &Answer, code: i32, parts: &[&str]) {
    let err = answer.err();
    assert_eq!(answer.code(), code, "{err}");
    assert!(!err.contains("panicked"), "{err}");
    for part in parts {
        assert!(err.contains(part), "{part:?} is not in: {err}");
    }
}

#[test]
fn without_a_git_repository() {
    let fixture = Fixture::new();
    fs::remove_dir_all(fixture.root().join(".git")).unwrap();
    expect(&fixture.xtask(&["validate"]), 2, &["cannot read the commit", "git init"]);
}

#[test]
fn in_a_repository_without_a_commit() {
    let fixture = Fixture::new();
    fs::remove_dir_all(fixture.root().join(".git")).unwrap();
    fixture.git(&["init", "--quiet"]);
    expect(&fixture.xtask(&["validate"]), 2, &["cannot read the commit", "with a commit"]);
}

#[test]
fn outside_a_workspace() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.root().join("release.toml")).unwrap();
    expect(&fixture.xtask(&["validate"]), 2, &["no release.toml in", "inside the repository"]);
}

#[test]
fn a_malformed_release_toml_is_reported_by_line_and_column() {
    let fixture = Fixture::new();
    fixture.append("release.toml", "\n[engines]\nimages = 7\n");
    let lines = fs::read_to_string(fixture.root().join("release.toml")).unwrap().lines().count();
    let place = format!("line {lines}, column 10");
    expect(
        &fixture.xtask(&["fmt"]),
        2,
        &["release.toml is malformed", &place, "expected a string"],
    );
}

#[test]
fn an_unknown_field_in_release_toml_is_refused_with_those_there_are() {
    let fixture = Fixture::new();
    fixture.append("release.toml", "delivers = []\n");
    expect(&fixture.xtask(&["fmt"]), 2, &["unknown field `delivers`", "`deliver`"]);
}

#[test]
fn a_malformed_list_of_exceptions_is_reported_by_line_with_the_form() {
    for (entry, line, parts) in [
        (
            "[[gates.secrets.allow]]\nfile = \"x\"\n",
            2,
            ["missing field `reason`", "release.toml is malformed"],
        ),
        (
            "[[gates.deadcode.allow]]\npath = \"x\"\nreason = \"r\"\n",
            3,
            ["unknown field `path`", "`file`"],
        ),
        (
            "[[gates.audit.mitigation]]\nid = \"RUSTSEC-1\"\nreason = \"r\"\nexpires = \"soon\"\n",
            5,
            ["\"soon\" is not a date", "YYYY-MM-DD"],
        ),
        (
            "[[gates.audit.mitigation]]\nid = \"RUSTSEC-1\"\nexpires = \"2030-01-01\"\n",
            2,
            ["missing field `reason`", "release.toml is malformed"],
        ),
    ] {
        let fixture = Fixture::new();
        let before = fs::read_to_string(fixture.root().join("release.toml")).unwrap();
        fixture.append("release.toml", &format!("\n{entry}"));
        let place = format!("line {}", before.lines().count() + line);
        expect(&fixture.xtask(&["validate"]), 2, &[parts[0], parts[1], &place]);
    }
}

#[test]
fn advisories_that_can_not_be_fetched_are_those_of_the_last_time_with_their_age() {
    need!(&["xz"]);
    let fixture = Fixture::new();
    let database = "\n[gates.audit]\ndatabase = \"file:///nowhere/at/all\"\n";
    fixture.append("release.toml", database);
    let fact = || {
        let answer = fixture.xtask(&["audit", "--json"]);
        assert_eq!(answer.code(), 0, "{}", answer.err());
        let report: serde_json::Value = serde_json::from_str(&answer.out()).unwrap();
        report["steps"][0]["verdict"]["fact"].as_str().unwrap().to_owned()
    };
    // First the copy in the repository, then an old download.
    assert!(fact().contains("advisories of 20"), "{}", fact());
    let old = "```toml\n[advisory]\nid = \"RUSTSEC-2020-0001\"\npackage = \"bad\"\n\
               date = \"2020-01-02\"\n```\n\n# It breaks\n";
    fixture.write("target/xtask/advisory-db/crates/bad/RUSTSEC-2020-0001.md", old);
    let folder = fs::File::open(fixture.root().join("target/xtask/advisory-db")).unwrap();
    folder.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    assert!(fact().contains("advisories of 2020-01-02"), "{}", fact());
}

#[test]
fn a_workspace_version_that_is_none() {
    let fixture = Fixture::new();
    let cargo = fs::read_to_string(fixture.root().join("Cargo.toml")).unwrap();
    fixture.write("Cargo.toml", &cargo.replace("1.2.3", "1.2"));
    expect(&fixture.xtask(&["fmt"]), 2, &["Cargo.toml", "\"1.2\" is not a version X.Y.Z"]);
}

#[test]
fn an_epoch_that_is_no_number() {
    let fixture = Fixture::new();
    let output = fixture.command(&["fmt"]).env("SOURCE_DATE_EPOCH", "today").output().unwrap();
    expect(&Answer(output), 2, &["SOURCE_DATE_EPOCH is today"]);
}

#[test]
fn a_missing_program_skips_its_gate_and_reports_it() {
    let fixture = Fixture::new();
    let path = tempfile::tempdir().unwrap();
    for program in ["cargo", "git"] {
        let place = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join(program))
            .find(|place| place.is_file())
            .unwrap();
        symlink(place, path.path().join(program)).unwrap();
    }
    let run =
        |args: &[&str]| Answer(fixture.command(args).env("PATH", path.path()).output().unwrap());
    let answer = run(&["fmt"]);
    expect(
        &answer,
        3,
        &["rustfmt is not installed", "rustup component add rustfmt", "taplo is not"],
    );
    assert!(answer.out().contains("1 gate did not run"), "{}", answer.out());
    // Steps that are not gates cannot be skipped.
    expect(&run(&["ci", "pr"]), 1, &["rustfmt is not installed", "nothing was started"]);
    // Coverage needs the programs that read the counters.
    fixture.append("release.toml", "\n[gates.coverage]\nwhole = 1.0\n");
    expect(&run(&["coverage"]), 3, &["llvm-cov is not", "rustup component add llvm-tools"]);
    let doctor = run(&["doctor"]);
    assert_eq!(doctor.code(), 1);
    assert!(doctor.out().contains("fix: rustup component add rustfmt"), "{}", doctor.out());
}

#[test]
fn a_dry_run_changes_nothing() {
    let fixture = Fixture::new();
    let short = fixture.xtask(&["validate", "--dry-run"]).out();
    assert!(short.contains("fmt") && !short.contains("cargo fmt"), "{short}");
    let answer = fixture.xtask(&["validate", "--dry-run", "--verbose"]);
    assert_eq!(answer.code(), 0, "{}", answer.err());
    assert!(answer.out().contains("cargo fmt --all --check"), "{}", answer.out());
    let answer = fixture.xtask(&["validate", "--plan", "json"]);
    let plan: serde_json::Value = serde_json::from_str(&answer.out()).unwrap();
    assert_eq!(plan["steps"][0]["name"], "fmt");
    assert_eq!(plan["steps"][0]["plan"]["actions"][0]["command"]["args"][0], "fmt");
    assert!(!Path::new(&fixture.root().join("target")).exists());
}

#[test]
fn a_dirty_tree_is_in_the_version() {
    let fixture = Fixture::new();
    let version = |answer: Answer| {
        let plan: serde_json::Value = serde_json::from_str(&answer.out()).unwrap();
        plan["version"].as_str().unwrap().to_owned()
    };
    let clean = version(fixture.xtask(&["fmt", "--plan", "json"]));
    assert!(clean.starts_with("1.2.3-snapshot.") && !clean.ends_with("-dirty"), "{clean}");
    fixture.write("new", "");
    let dirty = version(fixture.xtask(&["fmt", "--plan", "json"]));
    assert_eq!(dirty, format!("{clean}-dirty"));
}
