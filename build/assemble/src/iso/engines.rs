// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Engines that build the live ISO.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use engine::{Plan, Run, StepLog};

use super::{Work, image_builder, native};

/// Who builds the ISO.
pub(super) use engine::workspace::IsoEngine as Engine;

/// What an engine needs and does.
pub(super) struct IsoBuilder {
    /// Required programs.
    pub(super) tools: &'static [&'static str],
    /// Working directory, below the scratch folder.
    pub(super) folder: &'static str,
    /// Adds its actions for an ISO to a plan.
    pub(super) plan: fn(&Run, &Work<'_>, Plan) -> Plan,
    /// Builds the ISO, unless it is cached.
    pub(super) make: fn(&Run, &StepLog, &Work<'_>) -> Result<PathBuf>,
}

pub(super) fn maker(engine: Engine) -> IsoBuilder {
    match engine {
        Engine::Native => IsoBuilder {
            tools: &native::TOOLS,
            folder: "iso",
            plan: native::plan,
            make: native::make,
        },
        Engine::ImageBuilder => IsoBuilder {
            tools: &image_builder::TOOLS,
            folder: "iso-image-builder",
            plan: image_builder::plan,
            make: image_builder::make,
        },
    }
}

/// Name and version for the manifest.
pub(super) fn record(engine: Engine, run: &Run) -> Result<release::Engine> {
    let (name, version) = match engine {
        Engine::Native => ("native", Some(env!("CARGO_PKG_VERSION").to_owned())),
        Engine::ImageBuilder => (image_builder::PROGRAM, run.tools.version(image_builder::PROGRAM)),
    };
    let version = version.with_context(|| format!("{name} does not report its version"))?;
    Ok(release::Engine { name: name.to_owned(), version })
}
