// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs the tests that are too slow for every change: long random fault injection, and tests that
//! are ignored with a reason.
//!
//! Each night uses a new seed, unless `FAULTS_SEED` is set. The test prints it, so that a run can
//! be reproduced.

use std::path::PathBuf;

use anyhow::{Result, bail};
use engine::{Description, Input, Judgement, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;

use super::test::skips::{self, Skips};

/// Length of the random test in hundreds of steps: about ten minutes.
const ROUNDS: &str = "300";

/// `cargo xtask soak`.
pub struct Soak;

impl Step for Soak {
    fn describe(&self) -> Description {
        Description::step("soak", "run the long tests: fault injection and large contents")
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("cargo")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        Ok(Plan::new()
            .command(faults(run))
            .command(skips::set(run, ignored(run)))
            .reads(Input::Source(PathBuf::new()))
            .reads(Input::Tool("cargo"))
            .reads(Input::Env("FAULTS_SEED")))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let finished = run.attempt(log, &faults(run))?;
        let output = String::from_utf8_lossy(finished.stdout()).into_owned();
        let seed = output.lines().find_map(|line| line.split_once("FAULTS_SEED="));
        let Some((_, seed)) = seed else {
            finished.success()?;
            bail!("the fault injection test printed no seed");
        };
        log.note(&format!("FAULTS_SEED={seed} FAULTS_ROUNDS={ROUNDS} reproduces the faults"));
        finished.success()?;
        run.exec(log, &skips::record(run, ignored(run))?)?;
        Ok(Outcome::Judged(Judgement {
            fact: format!(
                "{ROUNDS} rounds of fault injection with seed {seed}, and large contents"
            ),
            gaps: Skips::read(run)?.gaps(),
            ..Judgement::default()
        }))
    }
}

fn faults(run: &Run) -> Command {
    run.command("cargo")
        .args(["test", "--locked", "--package", "controller", "--test", "jobs"])
        .args(["--", "--nocapture", "--exact"])
        .arg("random::whatever_happens_every_job_ends_and_no_machine_is_reset_twice")
        .env("FAULTS_ROUNDS", ROUNDS)
}

fn ignored(run: &Run) -> Command {
    run.command("cargo")
        .args(["test", "--locked", "--package", "controller", "--package", "notary"])
        .args(["--test", "service", "--test", "channel_faults", "--", "--ignored"])
}
