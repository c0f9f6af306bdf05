// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The engines that make the live ISO.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use super::{Work, image_builder, native};
use crate::run::Run;
use crate::steps::{Plan, StepLog};

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// Our own code.
    Native,
    /// The program `image-builder` of the osbuild project.
    ImageBuilder,
}

impl Engine {
    /// The engine of this run.
    ///
    /// # Errors
    /// When there is no engine of that name, or it would make an installer.
    pub(super) fn of(run: &Run) -> Result<Self> {
        match run.engine("iso")? {
            "native" => Ok(Self::Native),
            "image-builder" => Ok(Self::ImageBuilder),
            other => match other.strip_prefix("image-builder:") {
                Some(kind) => {
                    image_builder::accept(kind)?;
                    Ok(Self::ImageBuilder)
                }
                None => bail!(
                    "there is no engine {other:?} for the ISO: expected native or image-builder"
                ),
            },
        }
    }

    /// The programs that it calls.
    pub(super) fn tools(self) -> &'static [&'static str] {
        match self {
            Self::Native => &native::TOOLS,
            Self::ImageBuilder => &image_builder::TOOLS,
        }
    }

    /// The folder, below the scratch folder, that ISOs are put together in.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Native => "iso",
            Self::ImageBuilder => "iso-image-builder",
        }
    }

    /// Adds to `plan` what it does for `work`.
    pub(super) fn plan(self, run: &Run, work: &Work<'_>, plan: Plan) -> Plan {
        match self {
            Self::Native => native::plan(work, plan),
            Self::ImageBuilder => image_builder::plan(run, work, plan),
        }
    }

    /// Makes the ISO, or takes it from the cache if nothing has changed.
    ///
    /// # Errors
    /// When there is no image of it, the image lacks what the engine wants, or a program fails.
    pub(super) fn make(self, run: &Run, log: &StepLog, work: &Work<'_>) -> Result<PathBuf> {
        match self {
            Self::Native => native::make(run, log, work),
            Self::ImageBuilder => image_builder::make(run, log, work),
        }
    }

    /// What stands in the manifest.
    ///
    /// # Errors
    /// When the program does not tell its version.
    pub(super) fn record(self, run: &Run) -> Result<release::Engine> {
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
