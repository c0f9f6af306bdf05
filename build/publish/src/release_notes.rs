// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writes the release notes of the tag before anything is built, so that a fault in them stops the release.

use anyhow::Result;
use engine::{Description, Outcome, Plan, Run, Step, StepLog};
use programs::target;

use crate::pages;

/// The first step of the build of `ci release`.
pub struct ReleaseNotes;

impl Step for ReleaseNotes {
    fn describe(&self) -> Description {
        Description::step("release-notes", "write the release notes of the tag")
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let path = pages::notes_file(run);
        let path = path.strip_prefix(run.workspace.root()).unwrap_or(&path);
        Ok(Plan::new().native("write the release notes from commits, schema and API").writes(path))
    }

    fn run(&self, run: &Run, _log: &StepLog) -> Result<Outcome> {
        // Report what publishing lacks before the build, which takes an hour.
        target::find_name(run)?;
        pages::find_assets(run)?;
        let path = pages::write_notes(run)?;
        Ok(Outcome::Done(path.display().to_string()))
    }
}
