// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Publishes the release to the local registry: the controller that was just built.

use anyhow::Result;
use engine::{Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use programs::notary;
use programs::registry::{self, Registry};

/// `cargo xtask publish`.
pub struct Publish;

impl Step for Publish {
    fn name(&self) -> &'static str {
        "publish"
    }

    fn about(&self) -> &'static str {
        "push images, signatures and files to the local registry"
    }

    fn can_be_up_to_date(&self) -> bool {
        true
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        notary::needs()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        Ok(notary::plan(run)
            .command(registry::own(run))
            .command(publish(run, "127.0.0.1:PORT"))
            .writes("target/registry"))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        run.exec(log, &notary::build(run))?;
        let registry = Registry::start(run, log, self.name(), &registry::own(run))?;
        run.exec(log, &publish(run, &registry.host))?;
        let images = run.manifest()?.images.len();
        Ok(Outcome::Done(format!("{images} images and the release, in target/registry")))
    }
}

/// `notary publish` to the registry at `host`.
pub fn publish(run: &Run, host: &str) -> Command {
    notary::call(run, "publish")
        .arg("--release")
        .arg(run.dist())
        .arg("--to")
        .arg(format!("{host}/{}", run.workspace.product().product.name))
}
