// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Attacks the controller over the network: stalled requests, floods, wrong lengths, password
//! guessing, aborted transfers, endless responses. Meanwhile it must answer health checks and
//! webhook reports in time, run jobs of other hosts and bound its memory; at the end it must shut
//! down cleanly.
//!
//! The clients are plain threads and sockets: no HTTP library would send these requests.

mod attacks;
mod client;
mod probe;
mod site;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use attacks::{ATTACKS, Attack};
use engine::{Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use probe::Probe;
use site::Site;

/// Memory limit of the controller, in MiB.
const MEMORY: u64 = 128;
/// Response time limit of a release build for health checks and reports.
const ANSWER: Duration = Duration::from_secs(1);
/// The same for an unoptimised build.
const ANSWER_UNOPTIMISED: Duration = Duration::from_secs(3);
/// Timeout for the jobs after the last attack.
const JOBS: Duration = Duration::from_mins(1);

/// `cargo xtask smoke hostile`.
pub struct SmokeHostile;

impl Step for SmokeHostile {
    fn describe(&self) -> Description {
        Description::step(
            "smoke-hostile",
            "attack the controller while it serves health, reports and jobs",
        )
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("cargo")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = site::builds(run).into_iter().fold(Plan::new(), Plan::command);
        let plan = ATTACKS.iter().fold(plan, |plan, attack| plan.native(attack.name));
        Ok(plan.reads(Input::Path(run.dist_in_plan())))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        for command in site::builds(run) {
            run.exec(log, &command)?;
        }
        let site = Site::start(run, log)?;
        let probe = Probe::start(&site);
        let mut jobs = vec![site.job(0)?];
        let started = Instant::now();
        for (number, Attack { name, attack }) in (1..).zip(ATTACKS) {
            attack(&site).with_context(|| format!("attack: {name}"))?;
            let worst = probe.worst().with_context(|| format!("during the attack: {name}"))?;
            let memory = site.peak_memory()?;
            log.note(&format!("{name}: slowest response {worst:?}, peak memory {memory} MiB"));
            ensure!(
                memory <= MEMORY,
                "after {name} the controller used {memory} MiB, limit {MEMORY} MiB"
            );
            if number < site::HOSTS {
                jobs.push(site.job(number)?);
            }
        }
        let count = jobs.len();
        site.await_jobs(&jobs, JOBS).context("jobs of other hosts during the attacks")?;
        let worst = probe.finish()?;
        let memory = site.peak_memory()?;
        let held = attacks::hold(&site)?;
        let stopped = site.stop()?;
        drop(held);
        let seconds = started.elapsed().as_secs();
        Ok(Outcome::Done(format!(
            "{} attacks in {seconds} s, slowest response {} ms, {memory} MiB, {count} jobs succeeded, \
             stopped in {} ms",
            ATTACKS.len(),
            worst.as_millis(),
            stopped.as_millis()
        )))
    }
}
