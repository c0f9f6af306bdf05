// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks calls and flags of our programs in the documentation.
//!
//! The gate `docs` checks calls of `cargo xtask`. It does not build the other programs, so their
//! calls are checked here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rules::markdown::{self, PROGRAMS};

/// Flags of third-party programs in the documentation, with the program.
const FOREIGN: &[(&str, &str)] = &[
    ("--insecure-ignore-tlog", "cosign"),
    ("--pipable", "wimlib-imagex"),
    ("--privileged", "podman"),
    ("--volume", "podman"),
];

/// Programs that are built beside xtask, by name.
fn programs() -> Option<BTreeMap<&'static str, PathBuf>> {
    let xtask = PathBuf::from(env!("CARGO_BIN_EXE_xtask"));
    let mut programs = BTreeMap::new();
    for name in PROGRAMS {
        let path = xtask.with_file_name(name);
        if !test_support::machine_gives(&format!("a built {name}"), path.exists()) {
            return None;
        }
        programs.insert(*name, path);
    }
    Some(programs)
}

/// All Markdown pages of the repository, by path.
fn pages() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let git = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"];
    let output = Command::new("git").args(git).current_dir(&root).output().unwrap();
    let paths = String::from_utf8(output.stdout).unwrap();
    let paths = paths.split('\0').filter(|path| !path.is_empty() && root.join(path).is_file());
    paths.map(|path| (path.to_owned(), fs::read_to_string(root.join(path)).unwrap())).collect()
}

/// The error of `program` for a call, if it rejects it.
fn refused(program: &Path, words: &[String]) -> Option<String> {
    // With `--help` the parser checks the arguments before it, and nothing runs.
    let output = Command::new(program).args(words).arg("--help").output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Headings of commands in help texts: clap's, and the groups of xtask.
const GROUPS: [&str; 6] = ["Commands:", "Check:", "Build:", "Publish:", "Try:", "Set up:"];

/// Collects the flags in the help of `program` and its subcommands.
fn flags(program: &Path, command: &[&str], found: &mut BTreeSet<String>) {
    let output = Command::new(program).args(command).arg("--help").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    found.extend(words.filter(|word| word.starts_with("--")).map(str::to_owned));
    for section in text.split("\n\n") {
        let mut lines = section.lines();
        if !lines.next().is_some_and(|heading| GROUPS.contains(&heading)) {
            continue;
        }
        // More deeply indented lines continue the previous text.
        for line in lines.filter(|line| !line.starts_with("   ")) {
            if let Some(name) = line.split_whitespace().next().filter(|name| *name != "help") {
                flags(program, &[command, &[name]].concat(), found);
            }
        }
    }
}

#[test]
fn programs_take_the_calls_of_the_documentation() {
    let Some(programs) = programs() else { return };
    let mut faults = Vec::new();
    let mut count = 0;
    for (path, text) in pages() {
        for call in markdown::read(&text).commands {
            let Some(program) = programs.get(call.program.as_str()) else { continue };
            count += 1;
            if let Some(answer) = refused(program, &call.words) {
                let words = call.words.join(" ");
                faults.push(format!("{path}:{}: {} {words}\n{answer}", call.line, call.program));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 10, "only {count} calls were found");
    let unknown = ["serve", "--no-such-flag"].map(str::to_owned);
    assert!(refused(&programs["controller"], &unknown).is_some(), "an unknown flag passes");
}

#[test]
fn flags_in_the_documentation_exist() {
    let Some(programs) = programs() else { return };
    let mut known: BTreeSet<_> = FOREIGN.iter().map(|(flag, _)| (*flag).to_owned()).collect();
    let xtask = PathBuf::from(env!("CARGO_BIN_EXE_xtask"));
    // The dispatcher parses its command line itself and has no subcommands.
    let dispatcher = xtask.with_file_name("dispatcher");
    for program in programs.values().chain([&xtask, &dispatcher]) {
        flags(program, &[], &mut known);
    }
    let mut unknown = Vec::new();
    let mut named = BTreeSet::new();
    for (path, text) in pages() {
        for (line, flag) in markdown::read(&text).flags {
            if !known.contains(&flag) {
                unknown.push(format!("{path}:{line}: no program has {flag}"));
            }
            named.insert(flag);
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    let stale: Vec<_> = FOREIGN.iter().filter(|(flag, _)| !named.contains(*flag)).collect();
    assert!(stale.is_empty(), "no page names {stale:?} any more");
}
