// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares a first `validate` with its critical path, and with the same tools run one after
//! another by hand. Takes half an hour on two CPUs:
//!
//! ```console
//! $ cargo xtask setup && cargo bench --package xtask --bench cold
//! ```
//!
//! Each run uses a fresh clone of the commit without build output, with Cargo's downloads and the
//! tools of `setup`. The run by hand consists of all commands of `validate --plan json`, in order;
//! it excludes the gates' own code and the build of `xtask`.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a measurement that can't go on has failed")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Limit for `validate`, as a multiple of its critical path.
const LIMIT: f64 = 1.15;

/// The rustc wrapper with coverage counters, which the gate `test` writes before it calls Cargo.
const WRAPPER: &str = "target/xtask/coverage/rustc";

fn main() {
    // `cargo test --all-targets` runs this binary too.
    if !std::env::args().any(|it| it == "--bench") {
        return;
    }
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let folder = tempfile::tempdir().unwrap();

    let first = clone(&ours, &folder.path().join("validate"));
    let (validate, code) = time(command("cargo", &first).args(["xtask", "validate"]));
    println!("{:>6} s  cargo xtask validate, which ended with {code:?}", validate.as_secs());
    let report = fs::read(first.join("target/xtask/report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    let milliseconds = |name: &str| Duration::from_millis(report[name].as_u64().unwrap());
    let (path, run) = (milliseconds("critical_path_milliseconds"), milliseconds("milliseconds"));
    let times = run.as_secs_f64() / path.as_secs_f64();
    println!("{:>6} s  of that the gates", run.as_secs());
    println!("{:>6} s  critical path: {times:.2} times, {LIMIT} are allowed", path.as_secs());

    let second = clone(&ours, &folder.path().join("by-hand"));
    let xtask = first.join("target/debug/xtask");
    let plan = command(xtask.to_str().unwrap(), &second)
        .args(["validate", "--plan", "json"])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    if first.join(WRAPPER).is_file() {
        fs::create_dir_all(second.join(WRAPPER).parent().unwrap()).unwrap();
        fs::copy(first.join(WRAPPER), second.join(WRAPPER)).unwrap();
    }
    let mut by_hand = Duration::ZERO;
    for step in plan["steps"].as_array().unwrap() {
        let mut of_step = Duration::ZERO;
        let actions = step["plan"]["actions"].as_array().unwrap();
        for planned in actions.iter().filter_map(|action| action.get("command")) {
            of_step += time(&mut by_plan(planned, &second)).0;
        }
        println!("{:>6.1} s  {} by hand", of_step.as_secs_f64(), step["name"].as_str().unwrap());
        by_hand += of_step;
    }
    let times = validate.as_secs_f64() / by_hand.as_secs_f64();
    println!("{:>6} s  all by hand: validate takes {times:.2} times as long", by_hand.as_secs());
}

/// Clones the commit, with the tools that `setup` installed.
fn clone(ours: &Path, to: &Path) -> PathBuf {
    let (_, code) =
        time(command("git", ours).args(["clone", "--quiet", "--no-hardlinks", "."]).arg(to));
    assert_eq!(code, Some(0));
    fs::create_dir(to.join("target")).unwrap();
    symlink(ours.join("target/tools"), to.join("target/tools")).unwrap();
    to.to_owned()
}

/// A command in `folder`, without the variables that Cargo set for this program.
fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_remove("CARGO_TARGET_DIR").env("PATH", path(folder));
    command
}

fn by_plan(planned: &Value, folder: &Path) -> Command {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut command = command(&text(&planned["program"]), folder);
    command.args(planned["args"].as_array().unwrap().iter().map(text));
    command.current_dir(text(&planned["folder"]));
    for pair in planned["env"].as_array().unwrap() {
        command.env(text(&pair[0]), text(&pair[1]));
    }
    command
}

fn path(folder: &Path) -> OsString {
    let rest = std::env::var_os("PATH").unwrap();
    let tools = folder.join("target/tools/bin");
    std::env::join_paths([tools].into_iter().chain(std::env::split_paths(&rest))).unwrap()
}

/// Duration of a command without output, and its exit code.
fn time(command: &mut Command) -> (Duration, Option<i32>) {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = Instant::now();
    let code = command.status().ok().and_then(|status| status.code());
    (started.elapsed(), code)
}
