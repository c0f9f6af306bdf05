// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares an unchanged `validate` with the queries that any tool needs: `cargo metadata` and `git
//! status`. Run it in a workspace that passes:
//!
//! ```console
//! $ cargo xtask validate && cargo bench --package xtask --bench validate
//! ```
//!
//! The two alternate, so that other load affects both. `xtask` is the program that `cargo xtask`
//! starts, not a bench build.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a measurement that can't go on has failed")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Number of measurements.
const ROUNDS: usize = 15;

/// Limit for `validate`, as a multiple of the queries.
const LIMIT: f64 = 1.5;

fn main() {
    // `cargo test --all-targets` runs this binary too, inside of a run that holds the lock.
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
