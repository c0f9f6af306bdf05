// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tool images.

use anyhow::Result;

use super::{Outcome, Plan, Skip, Step, StepLog};
use crate::run::Run;

/// `cargo xtask images`.
pub(crate) struct Images;

impl Step for Images {
    fn name(&self) -> &'static str {
        "images"
    }

    fn about(&self) -> &'static str {
        "build the tool images"
    }

    fn plan(&self, _run: &Run) -> Result<Plan> {
        Ok(Plan::new())
    }

    fn run(&self, _run: &Run, _log: &StepLog) -> Result<Outcome> {
        Ok(Outcome::Skipped(Skip::NotApplicable { why: "not written yet".to_owned() }))
    }
}
