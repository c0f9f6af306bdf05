// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What a step is.

use anyhow::Result;

use crate::argument::Argument;
use crate::outcome::Outcome;
use crate::plan::{Need, Plan};
use crate::run::Run;
use crate::tool::StepLog;

/// One verb of the pipeline.
pub trait Step: Sync {
    /// The command's name, such as `lint`.
    fn name(&self) -> &'static str;

    /// One line for `--help` and `--dry-run`.
    fn about(&self) -> &'static str;

    /// What follows its name in the example of `--help`.
    fn example(&self) -> &'static str {
        ""
    }

    /// The shared options that its command takes beside those of every run; anything else is an error.
    fn arguments(&self) -> &'static [Argument] {
        &[]
    }

    /// Adds what its command alone takes. The step reads it with [`Options::own`](crate::Options::own).
    fn own_arguments(&self, command: clap::Command) -> clap::Command {
        command
    }

    /// Whether it does nothing but judge the source, from nothing but what its plan reads. A gate
    /// that ended well does not run again while that is unchanged, and one whose program is missing
    /// is skipped where another step would stop the run.
    fn is_gate(&self) -> bool {
        false
    }

    /// Whether a run may leave it out when everything that decides its result is as it was in an earlier run
    /// that ended well, and what it wrote is still there and the same.
    fn can_be_up_to_date(&self, _run: &Run) -> bool {
        false
    }

    /// What has to be there before the first step of a run starts.
    fn needs(&self, _run: &Run) -> Vec<Need> {
        Vec::new()
    }

    /// What running would do, without doing it. Reads the work tree and the manifest at most.
    fn plan(&self, run: &Run) -> Result<Plan>;

    /// Fixes what can be fixed without a person, for `--fix`; what is left, the step finds.
    ///
    /// # Errors
    /// When a program that fixes can't do its work.
    fn fix(&self, _run: &Run, _log: &StepLog) -> Result<()> {
        Ok(())
    }

    /// Does what [`Step::plan`] says.
    ///
    /// # Errors
    /// When the work could not be done. Faults that a gate found are an [`Outcome`], not an error.
    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome>;
}
