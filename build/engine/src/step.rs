// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The trait of steps.

use anyhow::Result;
use foundation::text::count;

use crate::argument::Argument;
use crate::outcome::Outcome;
use crate::plan::{Need, Plan};
use crate::run::Run;
use crate::tool::StepLog;

/// A step of a pipeline, and a command of the same name.
pub trait Step: Sync {
    /// Command name, such as `lint`.
    fn name(&self) -> &'static str;

    /// One line for `--help` and `--dry-run`.
    fn about(&self) -> &'static str;

    /// Arguments of the example in `--help`.
    fn example(&self) -> &'static str {
        ""
    }

    /// Shared options of its command beyond the global ones; any other option is an error.
    fn arguments(&self) -> &'static [Argument] {
        &[]
    }

    /// Adds the command's own arguments. The step reads them with
    /// [`Options::own`](crate::Options::own).
    fn own_arguments(&self, command: clap::Command) -> clap::Command {
        command
    }

    /// Whether it only checks the source and reads nothing but the inputs of its plan. A passed
    /// gate is skipped while they are unchanged. A gate with a missing program is skipped; any
    /// other step stops the run.
    fn is_gate(&self) -> bool {
        false
    }

    /// Whether it may be skipped when all its inputs are as in an earlier successful run and its
    /// outputs are unchanged.
    fn can_be_up_to_date(&self, _run: &Run) -> bool {
        false
    }

    /// Prerequisites, checked before the first step of a run starts.
    fn needs(&self, _run: &Run) -> Vec<Need> {
        Vec::new()
    }

    /// The step's plan, without side effects. Reads at most the work tree and the manifest.
    fn plan(&self, run: &Run) -> Result<Plan>;

    /// Applies automatic fixes, for `--fix`; the step then reports what is left.
    fn fix(&self, _run: &Run, _log: &StepLog) -> Result<()> {
        Ok(())
    }

    /// Executes the plan. A step whose plan has native actions implements this.
    ///
    /// # Errors
    /// When the work failed. Findings of a gate are an [`Outcome`], not an error.
    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let commands = run.execute(log, &self.plan(run)?)?;
        Ok(Outcome::Done(count(commands, "command")))
    }
}
