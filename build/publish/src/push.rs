// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Publishes the release: to the local registry, which is the controller that was just built, or to the one
//! that `--to` names.

use anyhow::Result;
use clap::Args as _;
use engine::{Argument, Description, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use programs::notary;
use programs::registry::{self, Registry};
use programs::target::{self, Target, TargetArguments};

use crate::pages::{self, PagesArguments};

/// `cargo xtask publish`.
pub struct Publish;

impl Step for Publish {
    fn describe(&self) -> Description {
        Description::step("publish", "push images, signatures and files to a registry")
            .example("--to registry.example/provisioner")
            .arguments(&[Argument::Release])
    }

    fn own_arguments(&self, command: clap::Command) -> clap::Command {
        PagesArguments::augment_args(TargetArguments::augment_args(command))
    }

    fn can_be_up_to_date(&self, run: &Run) -> bool {
        // Another registry may have lost the content.
        target::is_local(run) && matches!(pages::find_assets(run), Ok(None))
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        notary::needs()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = notary::plan(run);
        let plan = match target::find_target(run)? {
            Some(target) => plan.command(publish_to(run, &target)),
            None => plan
                .command(registry::plan_registry(run))
                .command(publish(run, "127.0.0.1:PORT"))
                // Without the controller's database, which each start changes.
                .writes("target/registry/registry"),
        };
        let pages = pages::find_assets(run)?;
        Ok(pages.iter().fold(plan, |plan, it| plan.command(pages::command(run, it))))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        run.exec(log, &notary::build(run))?;
        let images = run.manifest()?.images.len();
        // A mistake in a name is reported before anything is sent.
        let pages = pages::find_assets(run)?;
        let place = if let Some(target) = target::find_target(run)? {
            run.exec(log, &publish_to(run, &target))?;
            format!("to {}", target.namespace)
        } else {
            let registry = Registry::start(run, log, self.name(), &registry::plan_registry(run))?;
            run.exec(log, &publish(run, &registry.host))?;
            "in target/registry".to_owned()
        };
        let mut fact = format!("{images} images and the release, {place}");
        if let Some(assets) = pages {
            fact.push_str("; files in ");
            fact.push_str(&pages::publish(run, log, &assets)?);
        }
        Ok(Outcome::Done(fact))
    }
}

/// `notary publish` to the local registry, which is at `host`. A snapshot of the same commit may be there,
/// built for other architectures.
pub fn publish(run: &Run, host: &str) -> Command {
    call(run, &format!("{host}/{}", run.workspace.product().product.name)).arg("--replace-snapshot")
}

fn publish_to(run: &Run, target: &Target) -> Command {
    target.add_access(call(run, &target.namespace.with_scheme()))
}

fn call(run: &Run, to: &str) -> Command {
    notary::call(run, "publish").arg("--release").arg(run.dist()).arg("--to").arg(to)
}
