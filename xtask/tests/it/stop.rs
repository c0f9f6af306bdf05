// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A run stopped by a signal or killed leaves a journal from which the next run resumes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::common::Fixture;
use rustix::process::{Pid, Signal, kill_process};

/// Test code that writes its process id and waits for the file `target/go`.
const WAIT: &str = r#"
        let target = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target"));
        std::fs::write(target.join("pid"), std::process::id().to_string()).unwrap();
        while !target.join("go").exists() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
"#;

/// Waits for `what`, with a timeout for slow hosts.
#[track_caller]
fn wait(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(2);
    while !what() {
        assert!(Instant::now() < deadline, "it did not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A run of `verb` with one job that waits in its step `test`, and the waiting process.
fn start_waiting(fixture: &Fixture, verb: &str) -> (Child, Pid) {
    fixture.replace("one/src/lib.rs", "assert_eq!(super::add(2, 2), 4);", WAIT.trim());
    fixture.commit();
    let child = fixture
        .command(&[verb, "--jobs", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pid = fixture.root().join("target/pid");
    let read = || fs::read_to_string(&pid).ok().and_then(|text| text.parse().ok());
    wait(|| read().is_some());
    let process = Pid::from_raw(read().unwrap()).unwrap();
    (child, process)
}

fn is_alive(process: Pid) -> bool {
    // A zombie still exists, but has no memory.
    let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero()));
    status.is_ok_and(|status| status.contains("VmSize"))
}

fn journal(root: &Path) -> PathBuf {
    let entries = fs::read_dir(root.join("target/xtask/journal")).unwrap();
    let files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "one run has one journal: {files:?}");
    files[0].clone()
}

/// Lets the test end, and checks that the next run repeats nothing that was finished.
fn goes_on(fixture: &Fixture) {
    for line in fs::read_to_string(journal(&fixture.root())).unwrap().lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    fixture.write("target/go", "");
    let answer = fixture.xtask(&["validate", "--jobs", "1", "--json"]);
    // Gates with missing programs are skipped.
    assert!([0, 3].contains(&answer.code()), "{}", answer.err());
    for (step, outcome) in answer.outcomes() {
        let kept = ["fmt", "lint"].contains(&step.as_str());
        let expected: &[_] = if kept { &["cached", "skipped"] } else { &["done", "skipped"] };
        assert!(expected.contains(&outcome.as_str()), "{step} {outcome}");
    }
    let again = fixture.xtask(&["validate", "--json"]);
    let kept = again.outcomes().into_iter().find(|(_, outcome)| outcome == "cached");
    assert_eq!(kept, None, "a good end is an end");
}

#[test]
fn after_a_kill_finished_steps_are_not_repeated() {
    let fixture = Fixture::new();
    let (mut child, process) = start_waiting(&fixture, "validate");
    child.kill().unwrap();
    child.wait().unwrap();
    fixture.write("target/go", "");
    wait(|| !is_alive(process));
    goes_on(&fixture);
}

/// Sends `signal` to a waiting run, and waits until it and its children end.
fn ends(fixture: &Fixture, verb: &str, signal: Signal) {
    let (mut child, process) = start_waiting(fixture, verb);
    kill_process(Pid::from_child(&child), signal).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(!is_alive(process), "a child outlived the run");
}

#[test]
fn an_interrupt_ends_the_children_and_leaves_the_journal_whole() {
    let fixture = Fixture::new();
    ends(&fixture, "validate", Signal::INT);
    goes_on(&fixture);
}

#[test]
fn a_request_to_end_ends_the_children() {
    ends(&Fixture::new(), "test", Signal::TERM);
}

#[test]
fn two_runs_at_a_time_are_refused() {
    let fixture = Fixture::new();
    let (mut child, _) = start_waiting(&fixture, "test");
    let answer = fixture.xtask(&["headers"]);
    assert_eq!(answer.code(), 1);
    assert!(answer.err().contains("another `cargo xtask` is running"), "{}", answer.err());
    fixture.write("target/go", "");
    assert!(child.wait().unwrap().success());
}
