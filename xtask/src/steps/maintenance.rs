// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The maintenance OS: an image like those of the tools, with a kernel and systemd in it.

use anyhow::Result;

use super::images::{self, Kind};
use super::{Need, Outcome, Plan, Step, StepLog};
use crate::run::Run;

/// `cargo xtask maintenance`.
pub(crate) struct Maintenance;

impl Step for Maintenance {
    fn name(&self) -> &'static str {
        "maintenance"
    }

    fn about(&self) -> &'static str {
        "build the maintenance OS as an OCI layout"
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        images::needs(run)
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        images::plan(run, Kind::Maintenance)
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        images::build(run, log, Kind::Maintenance)
    }
}
