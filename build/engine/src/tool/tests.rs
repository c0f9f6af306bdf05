// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tests that run real programs through the toolbox.

use std::fs;
use std::time::{Duration, Instant};

use super::*;

const SECRET: &str = "not-a-real-key-but-long";

/// A toolbox with its own folder.
struct Bench {
    folder: tempfile::TempDir,
    tools: Toolbox,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut tools = Toolbox::new(folder.path(), Stop::default()).unwrap();
        tools.redactor = Redactor::new([SECRET.to_owned(), "first-line-x\nsecond-line".to_owned()]);
        Self { folder, tools }
    }

    fn log(&self) -> StepLog {
        self.tools.log(self.folder.path(), "step").unwrap()
    }

    fn shell(&self, script: &str) -> Command {
        Command::new("sh", self.folder.path()).args(["-c", script])
    }

    fn read_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("step.log")).unwrap()
    }
}

#[test]
fn an_empty_argument_stays_an_argument() {
    let bench = Bench::new();
    let command = Command::new("printf", bench.folder.path()).args(["<%s>", "", "a b", ""]);
    let finished = bench.tools.capture(&bench.log(), &command).unwrap();
    assert_eq!(finished.stdout(), b"<><a b><>");
}

#[test]
fn a_failure_shows_command_code_end_of_output_and_log() {
    let bench = Bench::new();
    let script = "for i in $(seq 30); do echo line $i; done; echo last >&2; exit 7";
    let error = bench.tools.run(&bench.log(), &bench.shell(script)).unwrap().success().unwrap_err();
    let text = error.to_string();
    let folder = bench.folder.path().display();
    assert!(text.starts_with(&format!("`cd {folder} && sh -c 'for i in")), "{text}");
    assert!(text.contains("exited with code 7"), "{text}");
    assert!(text.contains("| line 30") && text.contains("| last"), "{text}");
    assert!(!text.contains("| line 10\n"), "no more than the end: {text}");
    assert!(text.contains(&format!("log: {folder}/step.log")), "{text}");
    assert!(bench.read_log().contains("line 1\nline 2\n"));
}

#[test]
fn much_output_does_not_push_the_error_out() {
    let bench = Bench::new();
    let script = "echo reason >&2; seq 100; exit 1";
    let finished = bench.tools.capture(&bench.log(), &bench.shell(script)).unwrap();
    let tail = finished.tail();
    assert_eq!((tail.len(), tail[0].as_str(), tail[19].as_str()), (20, "82", "reason"));
}

#[test]
fn a_signal_is_reported_by_its_number() {
    let bench = Bench::new();
    let finished = bench.tools.run(&bench.log(), &bench.shell("kill -9 $$")).unwrap();
    assert_eq!(finished.code(), None);
    assert!(finished.success().unwrap_err().to_string().contains("was killed by signal 9"));
}

#[test]
fn a_missing_program_comes_with_its_fix() {
    let bench = Bench::new();
    let command = Command::new("no-such-program", bench.folder.path());
    let error = bench.tools.run(&bench.log(), &command).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("no-such-program is not installed"), "{text}");
    assert!(text.contains("add its folder to PATH"), "{text}");
}

#[test]
fn secrets_reach_neither_log_nor_error() {
    let bench = Bench::new();
    let script =
        format!("printf {SECRET}; echo; echo first-line-x >&2; echo second-line >&2; exit 1");
    let log = bench.log();
    let error = bench.tools.run(&log, &bench.shell(&script)).unwrap().success().unwrap_err();
    log.note(&format!("note of {SECRET}"));
    for text in [error.to_string(), bench.read_log()] {
        for secret in [SECRET, "first-line-x", "second-line"] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        assert!(text.contains("[secret]"), "{text}");
    }
}

#[test]
fn a_secret_across_the_cut_of_a_long_line_is_masked() {
    let bench = Bench::new();
    // Without newlines the reader splits the line, and a secret may cross the split.
    let script = format!("for i in $(seq 9000); do printf x%s $i; printf {SECRET}; done");
    bench.tools.run(&bench.log(), &bench.shell(&script)).unwrap().success().unwrap();
    let output: String = bench.read_log().lines().skip(1).collect();
    assert!(!output.contains(SECRET));
    assert_eq!(output.matches("[secret]").count(), 9000);
}

#[test]
fn a_child_has_no_input_and_few_variables() {
    let bench = Bench::new();
    let command = bench.shell("cat; env | cut -d= -f1 | sort").env("SET_FOR_IT", "1");
    let output = bench.tools.capture(&bench.log(), &command).unwrap().success().unwrap();
    let names = String::from_utf8(output).unwrap();
    assert!(names.contains("SET_FOR_IT\n") && names.contains("PATH\n"), "{names}");
    assert!(!names.contains("CARGO_MANIFEST_DIR"), "{names}");
    let command = bench.shell("env").without_env("PATH");
    let output = bench.tools.capture(&bench.log(), &command).unwrap().success().unwrap();
    assert!(!String::from_utf8(output).unwrap().contains("\nPATH="));
}

#[test]
fn what_is_for_programs_alone_is_not_logged() {
    let bench = Bench::new();
    let command = bench.shell("echo '{\"json\": 1}'; echo for people >&2");
    let finished = bench.tools.machine(&bench.log(), &command).unwrap();
    assert_eq!(finished.stdout(), b"{\"json\": 1}\n");
    let output: String = bench.read_log().lines().skip(1).collect();
    assert_eq!(output, "for people");
}

#[test]
fn nothing_of_the_group_outlives_the_child() {
    let bench = Bench::new();
    let started = Instant::now();
    let command = bench.shell("sleep 600 & echo $!");
    let output = bench.tools.capture(&bench.log(), &command).unwrap().success().unwrap();
    let pid = String::from_utf8(output).unwrap();
    // If the group were not killed, the open stream would block.
    assert!(started.elapsed() < Duration::from_mins(5));
    assert!(!is_alive(pid.trim()));
}

#[test]
fn a_stop_ends_a_child_that_does_not_want_to() {
    let bench = Bench::new();
    let stop = bench.tools.stop().clone();
    let marker = bench.folder.path().join("here");
    let watcher = std::thread::spawn(move || {
        while !marker.exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        stop.request();
    });
    let script = "trap '' TERM; echo $$ > here.part; mv here.part here; while :; do sleep 1; done";
    let error = bench.tools.run(&bench.log(), &bench.shell(script)).unwrap_err();
    watcher.join().unwrap();
    assert!(error.to_string().starts_with("the run was stopped while"), "{error}");
    let pid = fs::read_to_string(bench.folder.path().join("here")).unwrap();
    assert!(!is_alive(pid.trim()));
    let error = bench.tools.run(&bench.log(), &bench.shell("true")).unwrap_err();
    assert_eq!(error.to_string(), "the run was stopped");
}

/// A zombie has no memory any more.
fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/status")).is_ok_and(|it| it.contains("VmSize"))
}
