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

/// Description of a step, independent of a run.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// Command name, such as `lint`.
    name: &'static str,
    /// One line for `--help` and `--dry-run`.
    about: &'static str,
    /// Arguments of the example in `--help`.
    example: &'static str,
    /// Shared options of its command beyond the global ones.
    arguments: &'static [Argument],
    is_gate: bool,
    is_cached: bool,
}

impl Description {
    /// A step that makes something. With a missing program it stops the run.
    pub fn step(name: &'static str, about: &'static str) -> Self {
        Self { name, about, example: "", arguments: &[], is_gate: false, is_cached: false }
    }

    /// A step that only checks the source and reads nothing but the inputs of its plan. It is
    /// skipped while they are unchanged after it passed, or when a program is missing.
    pub fn gate(name: &'static str, about: &'static str) -> Self {
        Self { is_gate: true, ..Self::step(name, about) }
    }

    /// Adds the arguments of the example in `--help`.
    #[must_use]
    pub fn example(self, example: &'static str) -> Self {
        Self { example, ..self }
    }

    /// Adds shared options beyond the global ones; any other option is an error.
    #[must_use]
    pub fn arguments(self, arguments: &'static [Argument]) -> Self {
        Self { arguments, ..self }
    }

    /// Lets the engine skip the step when all its inputs are as in an earlier successful run and
    /// its outputs are unchanged.
    #[must_use]
    pub fn with_cache(self) -> Self {
        Self { is_cached: true, ..self }
    }
}

/// A step of a pipeline, and a command of the same name.
pub trait Step: Sync {
    /// Name, help texts, options and kind.
    fn describe(&self) -> Description;

    /// See [`Description`].
    fn name(&self) -> &'static str {
        self.describe().name
    }

    /// See [`Description`].
    fn about(&self) -> &'static str {
        self.describe().about
    }

    /// See [`Description`].
    fn example(&self) -> &'static str {
        self.describe().example
    }

    /// See [`Description`].
    fn arguments(&self) -> &'static [Argument] {
        self.describe().arguments
    }

    /// Whether it is a [`Description::gate`].
    fn is_gate(&self) -> bool {
        self.describe().is_gate
    }

    /// Whether it may be skipped as up to date; see [`Description::with_cache`].
    fn can_be_up_to_date(&self, _run: &Run) -> bool {
        self.describe().is_cached
    }

    /// Adds the command's own arguments. The step reads them with
    /// [`Options::step_arguments`](crate::Options::step_arguments).
    fn own_arguments(&self, command: clap::Command) -> clap::Command {
        command
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
