// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verifies the release from what the registry serves and the public key alone.

use anyhow::Result;
use release::layout;

use super::registry::{self, Registry};
use super::{Need, Outcome, Plan, Step, StepLog, notary};
use crate::ops::command::Command;
use crate::run::Run;

/// `cargo xtask verify`.
pub(crate) struct Verify;

impl Step for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn about(&self) -> &'static str {
        "verify the release from what the registry serves and the public key"
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        notary::needs()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        Ok(notary::plan(run).command(registry::planned(run)).command(verify(run, "127.0.0.1:PORT")))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        run.exec(log, &notary::build(run))?;
        let registry = Registry::start(run, log, self.name())?;
        run.exec(log, &verify(run, &registry.host))?;
        Ok(Outcome::Done("VERIFIED".to_owned()))
    }
}

fn verify(run: &Run, host: &str) -> Command {
    let product = &run.workspace.product().product.name;
    notary::call(run, "verify")
        .arg("--registry")
        .arg(format!("{host}/{product}:{}", run.version().text()))
        .arg("--key")
        .arg(run.dist().join(layout::PUBLIC_KEY))
}
