// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A passed gate does not run again until an input changes.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::common::{Answer, Fixture, path};

/// The gates of a run that were not skipped as unchanged.
fn list_ran(answer: &Answer) -> BTreeSet<String> {
    let outcomes = answer.outcomes().into_iter();
    outcomes.filter(|(_, outcome)| outcome != "unchanged").map(|(step, _)| step).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// A workspace with one new file, which affects all gates that read all files, and the command that
/// runs these gates.
struct Hooked(Fixture);

/// Gates of the commit hook that need no external program.
const PLAIN: &[&str] = &["deadcode", "docs", "headers", "layers", "secrets"];

impl Hooked {
    fn new() -> Self {
        let fixture = Fixture::new();
        fixture.write_with_header("new.toml", "[new]\n");
        Self(fixture)
    }

    fn command(&self) -> Command {
        self.0.command(&["validate", "--changed", "--json"])
    }
}

/// The gates among [`PLAIN`] that ran.
fn plain(command: &mut Command) -> BTreeSet<String> {
    let answer = Answer(command.output().unwrap());
    assert!([0, 3].contains(&answer.code()), "{}", answer.err());
    list_ran(&answer).intersection(&set(PLAIN)).cloned().collect()
}

#[test]
fn each_input_that_changes_makes_its_gates_run() {
    let hooked = Hooked::new();
    let all = set(PLAIN);
    assert_eq!(plain(&mut hooked.command()), all, "nothing is known at first");
    assert_eq!(plain(&mut hooked.command()), set(&[]), "nothing changed");

    // Content, with the same length, and back again.
    hooked.0.replace("new.toml", "[new]", "[old]");
    assert_eq!(plain(&mut hooked.command()), all, "the content of a file");
    assert_eq!(plain(&mut hooked.command()), set(&[]));

    // Executable bit, rename, addition, removal.
    let file = hooked.0.root().join("new.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(plain(&mut hooked.command()), all, "the mode of a file");
    fs::rename(&file, hooked.0.root().join("other.toml")).unwrap();
    assert_eq!(plain(&mut hooked.command()), all, "the name of a file");
    hooked.0.write_with_header("third.toml", "");
    assert_eq!(plain(&mut hooked.command()), all, "a file more");
    fs::remove_file(hooked.0.root().join("third.toml")).unwrap();
    assert_eq!(plain(&mut hooked.command()), all, "a file less");
    assert_eq!(plain(&mut hooked.command()), set(&[]));

    // Configuration.
    hooked.0.append("release.toml", "# A remark.\n");
    assert_eq!(plain(&mut hooked.command()), all, "release.toml");

    // Inherited variables, and one that is not inherited.
    assert_eq!(plain(hooked.command().env("EDITOR", "ed")), set(&[]));
    assert_eq!(plain(hooked.command().env("RUSTFLAGS", "-g")), all, "the environment");
    assert_eq!(plain(&mut hooked.command()), all, "and back");

    // Another commit with the same files.
    hooked.0.git(&[
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "commit",
        "--quiet",
        "--allow-empty",
        "-m",
        "x",
    ]);
    assert_eq!(plain(&mut hooked.command()), set(&[]), "a commit");

    // xtask itself.
    let other = hooked.0.root().join("target/other-xtask");
    fs::copy(env!("CARGO_BIN_EXE_xtask"), &other).unwrap();
    fs::File::options().append(true).open(&other).unwrap().write_all(b"x").unwrap();
    let mut command = Command::new(&other);
    command.args(["validate", "--changed", "--json"]).current_dir(hooked.0.root());
    command.env("PATH", path()).env_remove("CI");
    for (name, value) in hooked.command().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    assert_eq!(plain(&mut command), all, "xtask itself");
}

#[test]
fn a_tool_that_was_replaced_makes_its_gate_run() {
    let hooked = Hooked::new();
    let fixture = &hooked.0;
    // Fake programs that print a version and find nothing.
    let bin = fixture.root().join("target/tools/bin");
    fs::create_dir_all(&bin).unwrap();
    for name in ["rustfmt", "shfmt", "taplo"] {
        let script = bin.join(name);
        fs::write(&script, "#!/bin/sh\necho v9.9.9\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let fmt = || {
        let answer = Answer(hooked.command().output().unwrap());
        let outcomes = answer.outcomes();
        outcomes.into_iter().find(|(step, _)| step == "fmt").unwrap().1
    };
    assert_eq!((fmt().as_str(), fmt().as_str()), ("done", "unchanged"));
    let other = bin.join("other");
    fs::write(&other, "#!/bin/sh\necho v9.9.8\n").unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&other, bin.join("taplo")).unwrap();
    assert_eq!((fmt().as_str(), fmt().as_str()), ("done", "unchanged"));
}

#[test]
fn a_manifest_that_changes_makes_the_gates_of_crates_run() {
    let fixture = Fixture::new();
    let licenses = || {
        let answer = fixture.xtask(&["validate", "--changed", "--json"]);
        let outcomes = answer.outcomes();
        outcomes.into_iter().find(|(step, _)| step == "licenses").map(|(_, outcome)| outcome)
    };
    assert_eq!(licenses(), None, "nothing differs from the commit");
    // A target-specific dependency leaves the lock unchanged, but has a licence.
    for remark in ["# One.\n", "# Two.\n"] {
        fixture.append("one/Cargo.toml", remark);
        assert_eq!(licenses().as_deref(), Some("done"));
        assert_eq!(licenses().as_deref(), Some("unchanged"));
    }
}

#[test]
fn a_gate_that_found_something_runs_until_it_does_not() {
    let hooked = Hooked::new();
    hooked.0.write("bare.sh", "exit 0\n");
    for _ in 0..2 {
        let answer = Answer(hooked.command().output().unwrap());
        assert_eq!(answer.code(), 1);
        assert!(list_ran(&answer).contains("headers"), "{}", answer.err());
    }
}

#[test]
fn what_a_gate_wrote_belongs_to_it() {
    let fixture = Fixture::new();
    let validate = || list_ran(&fixture.xtask(&["validate", "--json"]));
    assert!(validate().contains("test"));
    assert!(!validate().contains("test"));
    let report = fixture.root().join("target/xtask/nextest/xtask/junit.xml");
    if report.is_file() {
        fs::remove_file(&report).unwrap();
        let again = validate();
        assert!(again.contains("test") && !again.contains("docs"), "{again:?}");
    }
    // A gate that is run by name always runs.
    assert_eq!(list_ran(&fixture.xtask(&["headers", "--json"])), set(&["headers"]));
}
