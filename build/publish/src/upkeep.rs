// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Scheduled work on the registries of `release.toml`: channel records that do not expire, and retention.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use engine::{
    Description, Environment, Gap, Judgement, Need, Outcome, Plan, Run, Skip, Step, StepLog,
};
use foundation::command::Command;
use programs::notary::{self, Key};
use programs::target::{self, Target};

use crate::promotion::BY;
use crate::retention;

/// Registries with records that a call without `--to` renews: it has one key, and staging another.
const REFRESHED: &[Environment] = &[Environment::Production];

/// The step of `ci nightly` that renews the signatures of channel records before they expire.
pub struct RefreshChannels;

impl Step for RefreshChannels {
    fn describe(&self) -> Description {
        Description::step(
            "refresh-channels",
            "renew the channel records of the registries before they expire",
        )
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        notary::needs_for_signing(run)
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new().command(notary::build(run));
        let targets = target::of_environments(run, REFRESHED)?;
        targets.iter().try_fold(plan, |plan, (_, it)| Ok(plan.command(refresh(run, it)?)))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let targets = target::of_environments(run, REFRESHED)?;
        if targets.is_empty() {
            return Ok(Outcome::Skipped(skip_undeclared(REFRESHED)));
        }
        if !matches!(Key::for_records(run)?.0, Key::Environment) {
            return Ok(Outcome::Judged(Judgement {
                gaps: vec![without_key(&registries(&targets))],
                ..Judgement::default()
            }));
        }
        run.execute(log, &self.plan(run)?)?;
        Ok(Outcome::Done(format!("records of {}", registries(&targets))))
    }
}

fn without_key(names: &str) -> Gap {
    Gap {
        problem: format!("the channel records of {names} are not refreshed: there is no key"),
        fix: "set XTASK_SIGNING_KEY, or run `cargo xtask channels --registry NAME --refresh WHO` with the identity \
              that signed them"
            .to_owned(),
    }
}

fn refresh(run: &Run, target: &Target) -> Result<Command> {
    let (key, engine) = Key::for_records(run)?;
    let call = key.sign(engine, notary::call(run, "refresh-channels"));
    let product = &run.workspace.product().product.name;
    let call = call.args(["--by", BY, "--product", product]);
    Ok(target.add_access(call.args(["--registry", &target.namespace.with_scheme()])))
}

/// The step of `ci retention`: writes the plan of each registry to a file and applies it.
pub struct ApplyRetention;

impl Step for ApplyRetention {
    fn describe(&self) -> Description {
        Description::step(
            "apply-retention",
            "write the list of expired releases to a file, and delete them from the registries",
        )
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        notary::needs()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new().command(notary::build(run));
        let targets = target::of_environments(run, &Environment::ALL)?;
        Ok(targets.iter().fold(plan, |plan, (name, target)| {
            plan.command(apply(run, name, target)).writes(plan_file(name))
        }))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let targets = target::of_environments(run, &Environment::ALL)?;
        if targets.is_empty() {
            return Ok(Outcome::Skipped(skip_undeclared(&Environment::ALL)));
        }
        let plans = run.workspace.root().join(PLANS);
        fs::create_dir_all(&plans).with_context(|| format!("cannot create {}", plans.display()))?;
        run.execute(log, &self.plan(run)?)?;
        Ok(Outcome::Done(format!("{}, plans in {PLANS}", registries(&targets))))
    }
}

/// Folder of the plans, relative to the root.
const PLANS: &str = "target/xtask/retention";

/// The plan of the registry `name`, a name of `release.toml` or an address.
fn plan_file(name: &str) -> PathBuf {
    Path::new(PLANS).join(format!("{}.json", name.replace(['/', ':'], "_")))
}

fn apply(run: &Run, name: &str, target: &Target) -> Command {
    let call = retention::call(run, true).arg("--output").arg(plan_file(name));
    target.add_access(call.args(["--registry", &target.namespace.with_scheme()]))
}

fn registries(targets: &[(String, Target)]) -> String {
    let names: Vec<_> = targets.iter().map(|it| it.0.as_str()).collect();
    names.join(", ")
}

fn skip_undeclared(environments: &[Environment]) -> Skip {
    let tables: Vec<_> =
        environments.iter().map(|it| format!("[registry.{}]", it.name())).collect();
    Skip::NotApplicable { why: format!("release.toml does not declare {}", tables.join(" or ")) }
}
