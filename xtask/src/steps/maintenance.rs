// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The maintenance OS: an image like those of the tools, with a kernel and systemd in it.

use anyhow::{Context as _, Result};

use super::images;
use super::{Need, Outcome, Plan, Step, StepLog};
use crate::run::Run;
use crate::workspace::Image;

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
        images::plan(run, &[declared(run)?])
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        images::build(run, log, &[declared(run)?])
    }
}

/// The image that the live ISO is made of.
fn declared(run: &Run) -> Result<&Image> {
    let product = run.workspace.product();
    let iso = product.iso.as_ref().context("release.toml declares no [iso]")?;
    product.image(&iso.image)
}
