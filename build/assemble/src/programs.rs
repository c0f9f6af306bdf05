// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds the programs that later steps run, while other steps wait for disk or network, so that
//! signing and packaging do not wait for the compiler.

use anyhow::Result;
use engine::{Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use programs::notary;

use super::package;

/// The pipeline step that builds `notary` and `packager`.
pub struct Programs;

impl Step for Programs {
    fn name(&self) -> &'static str {
        "programs"
    }

    fn about(&self) -> &'static str {
        "compile notary and packager"
    }

    fn can_be_up_to_date(&self, _run: &Run) -> bool {
        true
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        notary::needs()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        Ok(commands(run)?.into_iter().fold(Plan::new(), Plan::command))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let commands = commands(run)?;
        for command in &commands {
            run.exec(log, command)?;
        }
        Ok(Outcome::Done(format!("{} programs", commands.len())))
    }
}

/// The same commands as in the later steps, for which cargo then has nothing to do.
fn commands(run: &Run) -> Result<Vec<Command>> {
    Ok(package::build_packager(run)?.into_iter().chain([notary::build(run)]).collect())
}
