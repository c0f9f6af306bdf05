// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: clippy, rustdoc, shellcheck, Quadlet and systemd report no warnings, and the locks of
//! nested workspaces match their manifests.

use std::path::PathBuf;

use anyhow::Result;
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};

mod locks;
mod rust;
mod shell;
mod units;

/// `cargo xtask lint`.
pub struct Lint;

impl Step for Lint {
    fn describe(&self) -> Description {
        Description::gate(
            "lint",
            "run clippy, rustdoc, shellcheck, and the checkers of Quadlet and systemd",
        )
        .example("--fix")
        .arguments(&[Argument::Fix])
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        let quadlet = units::has_containers(run).then_some(units::QUADLET);
        let always = ["cargo", "cargo-clippy", "shellcheck", "systemd-analyze"];
        always.into_iter().chain(quadlet).map(Need::Tool).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let commands = rust::commands(run).into_iter().chain(locks::commands(run)?);
        let commands = commands.chain(shell::command(run)?);
        let plan = Plan::new().reads(Input::Source(PathBuf::new()));
        Ok(commands.chain(units::commands(run)?).fold(plan, Plan::command))
    }

    fn fix(&self, run: &Run, log: &StepLog) -> Result<()> {
        rust::fix(run, log)
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let mut findings = rust::check(run, log)?;
        findings.extend(locks::check(run, log)?);
        let (scripts, found) = shell::check(run, log)?;
        findings.extend(found);
        let (units, found) = units::check(run, log)?;
        findings.extend(found);
        let fact = format!("Rust, {scripts} scripts, {units} units");
        Ok(Outcome::of(findings.into_iter().collect(), fact))
    }
}
