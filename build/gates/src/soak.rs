// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs the tests that are too slow for every change: long random fault injection, jobs with many
//! random BMCs, and tests that are ignored with a reason.
//!
//! Each night uses new seeds, unless `FAULTS_SEED` and `PERSONALITIES_SEED` are set. The tests print
//! them, so that a run can be reproduced.

use std::path::PathBuf;

use anyhow::{Result, bail};
use engine::{Description, Input, Judgement, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;

use super::test::skips::{self, Skips};

/// Length of the random test in hundreds of steps: about ten minutes.
const ROUNDS: &str = "300";
/// BMCs with random quirks, one job each.
const PERSONALITIES: &str = "1000";

/// Test programs of the controller and of the notary.
const PROGRAMS: [(&str, &str); 2] = [("controller", "service"), ("notary", "it")];

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
            .command(personalities(run))
            .command(skips::set(run, plan_ignored_tests(run)))
            .reads(Input::Source(PathBuf::new()))
            .reads(Input::Tool("cargo"))
            .reads(Input::Env("FAULTS_SEED"))
            .reads(Input::Env("PERSONALITIES_SEED")))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let seed = run_seeded(run, log, &faults(run), "FAULTS_SEED")?;
        let first = run_seeded(run, log, &personalities(run), "PERSONALITIES_SEED")?;
        run.exec(log, &skips::record(run, plan_ignored_tests(run))?)?;
        Ok(Outcome::Judged(Judgement {
            fact: format!(
                "{ROUNDS} rounds of fault injection with seed {seed}, {PERSONALITIES} random BMCs \
                 from seed {first}, and large contents"
            ),
            gaps: Skips::read(run)?.gaps(),
            ..Judgement::default()
        }))
    }
}

/// Runs a test that prints `variable` with the seed that repeats it. Returns the seed.
fn run_seeded(run: &Run, log: &StepLog, test: &Command, variable: &str) -> Result<String> {
    let finished = run.attempt(log, test)?;
    let output = String::from_utf8_lossy(finished.stdout()).into_owned();
    let printed = |line: &str| Some(line.split_once(variable)?.1.strip_prefix('=')?.to_owned());
    let Some(seed) = output.lines().find_map(printed) else {
        finished.success()?;
        bail!("the test printed no {variable}");
    };
    log.note(&format!("repeat: {variable}={seed} {}", test.line(run.workspace.root())));
    finished.success()?;
    Ok(seed)
}

fn faults(run: &Run) -> Command {
    one_of_service(
        run,
        "jobs::random::whatever_happens_every_job_ends_and_no_machine_is_reset_twice",
    )
    .env("FAULTS_ROUNDS", ROUNDS)
}

fn personalities(run: &Run) -> Command {
    one_of_service(run, "jobs::personalities::a_job_succeeds_with_every_bmc")
        .env("PERSONALITIES", PERSONALITIES)
}

fn one_of_service(run: &Run, test: &str) -> Command {
    let [(package, program), _] = PROGRAMS;
    run.command("cargo").args(["test", "--locked", "--package", package, "--test", program]).args([
        "--",
        "--nocapture",
        "--exact",
        test,
    ])
}

fn plan_ignored_tests(run: &Run) -> Command {
    let command = run.command("cargo").args(["test", "--locked"]);
    PROGRAMS
        .iter()
        .fold(command, |command, (package, program)| {
            command.args(["--package", package, "--test", program])
        })
        .args(["--", "--ignored"])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cargo reports a test program that does not exist only when it runs, at night.
    #[test]
    fn the_test_programs_exist() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for (package, program) in PROGRAMS {
            let main = root.join(package).join("tests").join(program).join("main.rs");
            assert!(main.is_file(), "{}", main.display());
        }
    }
}
