// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The engines that make the live ISO.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use engine::{Plan, Run, StepLog};

use super::{Work, image_builder, native};

pub(super) use engine::workspace::IsoEngine as Engine;

/// What each engine does.
pub(super) trait MakeIso: Copy {
    /// The programs that it calls.
    fn tools(self) -> &'static [&'static str];

    /// The folder, below the scratch folder, that ISOs are put together in.
    fn folder(self) -> &'static str;

    /// Adds to `plan` what it does for `work`.
    fn plan(self, run: &Run, work: &Work<'_>, plan: Plan) -> Plan;

    /// Makes the ISO, or takes it from the cache if nothing has changed.
    ///
    /// # Errors
    /// When there is no image of it, the image lacks what the engine wants, or a program fails.
    fn make(self, run: &Run, log: &StepLog, work: &Work<'_>) -> Result<PathBuf>;

    /// What stands in the manifest.
    ///
    /// # Errors
    /// When the program does not tell its version.
    fn record(self, run: &Run) -> Result<release::Engine>;
}

impl MakeIso for Engine {
    fn tools(self) -> &'static [&'static str] {
        match self {
            Self::Native => &native::TOOLS,
            Self::ImageBuilder => &image_builder::TOOLS,
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::Native => "iso",
            Self::ImageBuilder => "iso-image-builder",
        }
    }

    fn plan(self, run: &Run, work: &Work<'_>, plan: Plan) -> Plan {
        match self {
            Self::Native => native::plan(work, plan),
            Self::ImageBuilder => image_builder::plan(run, work, plan),
        }
    }

    fn make(self, run: &Run, log: &StepLog, work: &Work<'_>) -> Result<PathBuf> {
        match self {
            Self::Native => native::make(run, log, work),
            Self::ImageBuilder => image_builder::make(run, log, work),
        }
    }

    fn record(self, run: &Run) -> Result<release::Engine> {
        let (name, version) = match self {
            Self::Native => ("native", env!("CARGO_PKG_VERSION").to_owned()),
            Self::ImageBuilder => {
                let version = run.tools.version(image_builder::PROGRAM);
                (
                    image_builder::PROGRAM,
                    version.context("image-builder does not tell its version")?,
                )
            }
        };
        Ok(release::Engine { name: name.to_owned(), version })
    }
}
