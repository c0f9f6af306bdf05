// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds once more, elsewhere and otherwise, and compares every byte.

use anyhow::Result;

use super::{Outcome, Plan, Skip, Step, StepLog};
use crate::run::Run;

/// `cargo xtask determinism`.
pub(crate) struct Determinism;

impl Step for Determinism {
    fn name(&self) -> &'static str {
        "determinism"
    }

    fn about(&self) -> &'static str {
        "build again, elsewhere and otherwise, and compare every byte"
    }

    fn plan(&self, _run: &Run) -> Result<Plan> {
        Ok(Plan::new())
    }

    fn run(&self, _run: &Run, _log: &StepLog) -> Result<Outcome> {
        Ok(Outcome::Skipped(Skip::NotApplicable { why: "not written yet".to_owned() }))
    }
}
