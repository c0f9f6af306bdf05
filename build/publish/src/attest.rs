// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Attests what every file and image was built from, as signed SLSA provenance.

use anyhow::Result;
use engine::workspace::Job;
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use programs::notary::{self, Key};
use release::layout;

/// `cargo xtask attest`.
pub struct Attest;

impl Step for Attest {
    fn describe(&self) -> Description {
        Description::step("attest", "write and sign SLSA provenance of every file and image")
            .example("--engine signatures=cosign")
            .arguments(&[Argument::Engine(Job::Signatures), Argument::Release])
            .with_cache()
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        notary::needs_for_signing(run)
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let key = Key::of(run)?;
        let plan = notary::plan(run)
            .command(attest(run, &key)?)
            .writes(run.dist_in_plan().join(layout::PROVENANCE));
        Ok(key.inputs().iter().fold(plan, |plan, name| plan.reads(Input::Env(name))))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let manifest = run.manifest()?;
        run.execute(log, &self.plan(run)?)?;
        // Nothing signs after this step.
        Key::of(run)?.discard()?;
        Ok(Outcome::Done(format!(
            "{} statements",
            manifest.artifacts.len() + manifest.images.len()
        )))
    }
}

/// `notary attest`, with the pipeline and the builder that provenance names.
fn attest(run: &Run, key: &Key) -> Result<Command> {
    let call = key.call(run, run.engines().signatures()?, "attest");
    let pipeline = run.options.environment.map(engine::Environment::pipeline);
    let call = pipeline.iter().fold(call, |call, it| call.args(["--pipeline", it]));
    Ok(notary::add_builder(call))
}
