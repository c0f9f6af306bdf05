// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The programs of the build system that later steps call. They are compiled while something else waits for
//! the disk or the network, so that signing and packaging do not wait for a compiler.

use anyhow::Result;
use engine::{Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use programs::notary;

use super::package;

/// The step of pipelines that builds `notary` and `packager`.
pub struct Programs;

impl Step for Programs {
    fn name(&self) -> &'static str {
        "programs"
    }

    fn about(&self) -> &'static str {
        "compile notary and packager"
    }

    fn can_be_up_to_date(&self) -> bool {
        true
    }

    fn yields(&self) -> bool {
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

/// The very commands that the later steps start with, which find nothing left to do then.
fn commands(run: &Run) -> Result<Vec<Command>> {
    Ok(package::build_packager(run)?.into_iter().chain([notary::build(run)]).collect())
}
