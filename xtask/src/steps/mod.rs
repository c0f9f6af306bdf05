// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verbs, one file each: a step says what it needs, reads and writes, and runs.
//!
//! To add one: write `steps/NAME.rs` with a unit struct that implements [`Step`], and name it in
//! `pipelines.rs`. It is a command of its own from then on.

mod allowed;
mod argument;
pub(crate) mod attest;
pub(crate) mod audit;
pub(crate) mod bases;
pub(crate) mod build;
pub(crate) mod checksums;
pub(crate) mod clean;
pub(crate) mod completions;
pub(crate) mod containers;
pub(crate) mod coverage;
pub(crate) mod deadcode;
pub(crate) mod docs;
pub(crate) mod doctor;
pub(crate) mod fmt;
pub(crate) mod fuzz;
pub(crate) mod headers;
mod history;
pub(crate) mod hooks;
pub(crate) mod images;
pub(crate) mod iso;
pub(crate) mod licenses;
pub(crate) mod lint;
pub(crate) mod maintenance;
pub(crate) mod merge;
pub(crate) mod notary;
pub(crate) mod notes;
mod outcome;
pub(crate) mod package;
mod plan;
pub(crate) mod programs;
pub(crate) mod publish;
pub(crate) mod rebuild;
mod registry;
pub(crate) mod sbom;
pub(crate) mod schema;
pub(crate) mod secrets;
pub(crate) mod setup;
pub(crate) mod sign;
pub(crate) mod smoke_faults;
pub(crate) mod smoke_fresh;
pub(crate) mod smoke_hostile;
pub(crate) mod smoke_images;
pub(crate) mod smoke_iso;
pub(crate) mod smoke_provision;
pub(crate) mod smoke_registry;
pub(crate) mod smoke_sbom;
pub(crate) mod smoke_test_artifacts;
pub(crate) mod soak;
pub(crate) mod test;
pub(crate) mod test_artifacts;
pub(crate) mod verify;
pub(crate) mod version;
pub(crate) mod workflows;

use anyhow::Result;

pub(crate) use self::argument::Argument;
pub(crate) use self::outcome::{Gap, Judgement, Outcome, Skip};
pub(crate) use self::plan::{Action, Input, Need, Plan};
pub(crate) use crate::finding::Finding;
pub(crate) use crate::tool::StepLog;

use crate::run::Run;

/// One verb of the pipeline.
pub(crate) trait Step: Sync {
    /// The command's name, such as `lint`.
    fn name(&self) -> &'static str;

    /// One line for `--help` and `--dry-run`.
    fn about(&self) -> &'static str;

    /// What follows its name in the example of `--help`.
    fn example(&self) -> &'static str {
        ""
    }

    /// What its command takes beside the options of every run; anything else is an error.
    fn arguments(&self) -> &'static [Argument] {
        &[]
    }

    /// Whether it does nothing but judge the source, from nothing but what its plan reads. A gate
    /// that ended well does not run again while that is unchanged, and one whose program is missing
    /// is skipped where another step would stop the run.
    fn is_gate(&self) -> bool {
        false
    }

    /// Whether a run may leave it out when everything that decides its result is as it was in an earlier run
    /// that ended well, and what it wrote is still there and the same.
    fn can_be_up_to_date(&self) -> bool {
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
