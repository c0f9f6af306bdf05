// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Base images and the packages of each image on top of them. They contain none of our binaries, so
//! they are built while the compiler runs, and cached until a lock changes.

use anyhow::Result;
use engine::{Description, Need, Outcome, Plan, Run, Skip, Step, StepLog};

use super::images;

/// The pipeline step that builds the bases.
pub struct Bases;

impl Step for Bases {
    fn describe(&self) -> Description {
        Description::step("bases", "build the image bases and install their packages").with_cache()
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        if run.workspace.product().images.is_empty() { Vec::new() } else { images::needs(run) }
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        images::plan_bases(run)
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        match images::make_bases(run, log)? {
            0 => {
                let why = "release.toml declares no image".to_owned();
                Ok(Outcome::Skipped(Skip::NotApplicable { why }))
            }
            count => Ok(Outcome::Done(format!("packages of {count} images"))),
        }
    }
}
