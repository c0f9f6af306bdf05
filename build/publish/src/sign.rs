// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Signs every file and image of the release, and attests what it was built from, as signed SLSA provenance.

use anyhow::{Context as _, Result};
use engine::workspace::Job;
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use programs::notary::{self, Key};
use release::layout;

/// `cargo xtask sign`.
pub struct Sign;

impl Step for Sign {
    fn describe(&self) -> Description {
        describe("sign", "sign every file and image that release.json names")
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        notary::needs_for_signing(run)
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let key = Key::from_run(run)?;
        let plan = key.plan_prepare(run).into_iter().fold(notary::plan(run), Plan::command);
        let plan = plan
            .native("note in release.json what signs")
            .command(key.call(run, run.engines().signatures()?, "sign"))
            .writes(run.dist_in_plan().join(layout::MANIFEST))
            .writes(run.dist_in_plan().join(layout::SIGNATURES));
        let plan = read_key(plan, &key);
        Ok(match key {
            Key::Keyless => plan,
            _ => plan.writes(run.dist_in_plan().join(layout::PUBLIC_KEY)),
        })
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let key = Key::from_run(run)?;
        let engine = run.engines().signatures()?;
        let manifest = run.manifest()?;
        run.exec(log, &notary::build(run))?;
        key.prepare(run, log)?;
        notary::record_engine(engine, run)?;
        run.exec(log, &key.call(run, engine, "sign"))?;
        let signed = manifest.artifacts.len() + manifest.images.len() + 1;
        let how = match key {
            Key::Environment => String::new(),
            Key::ThrowAway(_) => ", with a throw-away key: this is not a release".to_owned(),
            Key::Keyless => {
                let signer = run.manifest()?.signer.context("release.json names no signer")?;
                format!(", as {} of {}", signer.identity, signer.issuer)
            }
        };
        Ok(Outcome::Done(format!("{signed} signatures{how}")))
    }
}

/// `cargo xtask attest`.
pub struct Attest;

impl Step for Attest {
    fn describe(&self) -> Description {
        describe("attest", "write and sign SLSA provenance of every file and image")
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        notary::needs_for_signing(run)
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let key = Key::from_run(run)?;
        let plan = notary::plan(run)
            .command(attest(run, &key)?)
            .writes(run.dist_in_plan().join(layout::PROVENANCE));
        Ok(read_key(plan, &key))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let manifest = run.manifest()?;
        run.execute(log, &self.plan(run)?)?;
        // Nothing signs after this step.
        Key::from_run(run)?.discard()?;
        Ok(Outcome::Done(format!(
            "{} statements",
            manifest.artifacts.len() + manifest.images.len()
        )))
    }
}

/// A step that signs.
fn describe(name: &'static str, help: &'static str) -> Description {
    Description::step(name, help)
        .example("--engine signatures=cosign")
        .arguments(&[Argument::Engine(Job::Signatures), Argument::Release])
        .with_cache()
}

/// `notary attest`, with the pipeline and the builder that provenance names.
fn attest(run: &Run, key: &Key) -> Result<Command> {
    let call = key.call(run, run.engines().signatures()?, "attest");
    let pipeline = run.options.environment.map(engine::Environment::pipeline);
    let call = pipeline.iter().fold(call, |call, it| call.args(["--pipeline", it]));
    Ok(notary::add_builder(call))
}

fn read_key(plan: Plan, key: &Key) -> Plan {
    key.inputs().iter().fold(plan, |plan, name| plan.reads(Input::Env(name)))
}
