// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What `validate` costs when nothing changed, beside what any tool has to ask first: `cargo metadata`
//! and `git status`. Run it in a workspace that passes:
//!
//! ```console
//! $ cargo xtask validate && cargo bench --package xtask --bench validate
//! ```
//!
//! The two take turns, so that whatever else the machine does meets both. `xtask` is the program that
//! `cargo xtask` starts, not a build with other options.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a measurement that can't go on has failed")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often each is measured.
const ROUNDS: usize = 15;

/// What `validate` may take, in times of the others together.
const LIMIT: f64 = 1.5;

fn main() {
    // `cargo test --all-targets` starts this too, inside of a run that must not have another.
    if !std::env::args().any(|it| it == "--bench") {
        return;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let run = |program: &str, args: &[&str]| {
        let mut command = Command::new(program);
        command.args(args).current_dir(&root).stdout(Stdio::null()).stderr(Stdio::null());
        let started = Instant::now();
        let status = command.status().unwrap();
        (started.elapsed(), status.code())
    };
    let xtask = root.join("target/debug/xtask").to_str().unwrap().to_owned();
    let metadata = ["metadata", "--format-version", "1", "--locked", "--offline"];
    let (_, code) = run(&xtask, &["validate"]);
    assert!(matches!(code, Some(0 | 3)), "validate does not pass here: fix that first");

    let [mut baseline, mut direct, mut by_cargo] = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        baseline.push(run("cargo", &metadata).0 + run("git", &["status"]).0);
        direct.push(run(&xtask, &["validate"]).0);
        by_cargo.push(run("cargo", &["xtask", "validate"]).0);
    }
    let baseline = median(baseline);
    println!("median of {ROUNDS} rounds, in milliseconds");
    println!("{:>8}  cargo metadata and git status", baseline.as_millis());
    for (name, times) in [("xtask validate", direct), ("cargo xtask validate", by_cargo)] {
        let time = median(times);
        let times = time.as_secs_f64() / baseline.as_secs_f64();
        println!("{:>8}  {name}: {times:.2} times, {LIMIT} are allowed", time.as_millis());
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
