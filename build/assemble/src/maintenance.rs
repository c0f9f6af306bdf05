// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds the maintenance OS: an image like the tool images, with kernel and systemd.

use anyhow::Result;
use clap::{Args as _, Command};
use engine::workspace::{Image, Job};
use engine::{Argument, Description, Need, Outcome, Plan, Run, Skip, Step, StepLog};

use super::images;

/// `cargo xtask maintenance`.
pub struct Maintenance;

impl Step for Maintenance {
    fn describe(&self) -> Description {
        Description::step("maintenance", "build the maintenance OS as an OCI layout")
            .example("--bind-tools")
            .arguments(&[Argument::Engine(Job::Images), Argument::Target])
            .with_cache()
    }

    fn own_arguments(&self, command: Command) -> Command {
        images::BindArguments::augment_args(command)
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        if run.workspace.product().iso.is_some() { images::needs(run) } else { Vec::new() }
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        match find_image(run)? {
            Some(image) => images::plan(run, &[image]),
            None => Ok(Plan::new()),
        }
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        match find_image(run)? {
            Some(image) => images::build(run, log, &[image]),
            None => Ok(Outcome::Skipped(skip_undeclared())),
        }
    }
}

/// The image of the live ISO.
fn find_image(run: &Run) -> Result<Option<&Image>> {
    let product = run.workspace.product();
    product.iso.as_ref().map(|iso| product.image(&iso.image)).transpose()
}

/// Reason to skip where the product has no live ISO.
pub(crate) fn skip_undeclared() -> Skip {
    Skip::NotApplicable { why: "release.toml declares no [iso]".to_owned() }
}
