// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Engines that build the live ISO.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use engine::{Plan, Run, StepLog};

use super::{Work, image_builder, native};

pub(super) use engine::workspace::IsoEngine as Engine;

/// An engine for the live ISO.
pub(super) trait MakeIso: Copy {
    /// Required programs.
    fn tools(self) -> &'static [&'static str];

    /// Working directory, below the scratch folder.
    fn folder(self) -> &'static str;

    /// Adds its actions for `work` to `plan`.
    fn plan(self, run: &Run, work: &Work<'_>, plan: Plan) -> Plan;

    /// Builds the ISO, unless it is cached.
    fn make(self, run: &Run, log: &StepLog, work: &Work<'_>) -> Result<PathBuf>;

    /// Name and version for the manifest.
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
            Self::Native => native::plan(run, work, plan),
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
                    version.context("image-builder does not report its version")?,
                )
            }
        };
        Ok(release::Engine { name: name.to_owned(), version })
    }
}
