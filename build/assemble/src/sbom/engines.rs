// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Engines that determine the components of a binary or an image. Documents are written by the same
//! code for all engines, so they have the same form, pass the same checks and are reproducible.

use anyhow::{Context as _, Result};
use engine::{Run, StepLog};
use foundation::checksum;
use foundation::command::Command;
use media::platforms::Platform;
use oci::Layout;
use rust::graph::Edges;
use sbom::bom::{Bom, Scanner};
use sbom::crates;

use super::native::CrateSources;
use super::scan;
use crate::build::{Output, cargo_tree};

pub(super) use engine::workspace::SbomEngine as Name;

/// The commands of `engine` for the executable `output`.
pub(super) fn commands(engine: Name, run: &Run, output: &Output<'_>) -> Vec<Command> {
    match engine {
        Name::Native => {
            [Edges::Linked, Edges::Built].map(|edges| cargo_tree(run, output, edges)).into()
        }
        Name::Syft => vec![scan::of_file(run, &run.workspace.root().join(output.path_in_plan()))],
    }
}

/// An engine with its data.
pub(super) enum Engine {
    /// Our own code, from the build's inputs.
    Native(Box<CrateSources>),
    /// syft of this version, from the built files.
    Syft(String),
}

impl Engine {
    /// The engine of this run.
    pub(super) fn open(run: &Run, log: &StepLog) -> Result<Self> {
        Ok(match run.engines().sbom()? {
            Name::Native => Self::Native(Box::new(CrateSources::read(run, log)?)),
            Name::Syft => {
                let version = run.tools.version("syft");
                Self::Syft(version.context("syft does not report its version")?)
            }
        })
    }

    /// Name and version for the manifest.
    pub(super) fn record(&self) -> release::Engine {
        let (name, version) = match self {
            Self::Native(_) => ("native", super::OWN_VERSION),
            Self::Syft(version) => ("syft", version.as_str()),
        };
        release::Engine { name: name.to_owned(), version: version.to_owned() }
    }

    /// Additional tool entry in the documents.
    pub(super) fn scanner(&self) -> Option<Scanner<'_>> {
        match self {
            Self::Native(_) => None,
            Self::Syft(version) => Some(Scanner { name: "syft", version }),
        }
    }

    /// SBOM of an executable.
    pub(super) fn binary(&self, run: &Run, log: &StepLog, output: &Output<'_>) -> Result<Bom> {
        if let Self::Native(sources) = self {
            return sources.bom(run, log, output);
        }
        let path = output.verify_binary(run)?;
        let (sha256, _) = checksum::sha256(&path)?;
        let mut bom = Bom::new(crates::binary(&super::describe_executable(run, output, &sha256)));
        scan::file(run, log, &path)?.add(&mut bom);
        Ok(bom)
    }

    /// Adds the components of one platform of the image in `layout` to `bom`, whose subject it is.
    pub(super) fn fill(
        &self,
        run: &Run,
        log: &StepLog,
        bom: &mut Bom,
        layout: &Layout,
        platform: &Platform,
        image: &release::Image,
    ) -> Result<()> {
        if let Self::Native(sources) = self {
            return sources.fill(run, log, bom, layout, platform, image);
        }
        scan::image(run, log, &image.repository, layout, platform)?.add(bom);
        Ok(())
    }
}
