// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Native SBOM engine: the crate graph of a binary, and the package database of an image.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::Metadata;
use debian::lock::Lock;
use engine::{Run, StepLog};
use foundation::{checksum, file};
use inspect::elf;
use media::platforms::Platform;
use media::root;
use oci::Layout;
use rust::auditable::{self, List};
use rust::graph::{self, Crate, Edges};
use sbom::bom::Bom;
use sbom::crates::{self, Sources};
use sbom::{crosscheck, dpkg};

use crate::build::{self, Output};

/// Cargo's data on all crates of the workspace, read once.
pub(super) struct CrateSources {
    metadata: Metadata,
    checksums: BTreeMap<Crate, String>,
}

impl CrateSources {
    /// Runs `cargo metadata` and reads `Cargo.lock`.
    pub(super) fn read(run: &Run, log: &StepLog) -> Result<Self> {
        let metadata = build::metadata(run, log)?;
        let lock = run.workspace.root().join("Cargo.lock");
        let lock = file::read_text(&lock)?;
        Ok(Self { metadata, checksums: graph::checksums(&lock)? })
    }

    /// Adds the components of one platform of an image: distribution packages and the executable.
    pub(super) fn fill(
        &self,
        run: &Run,
        log: &StepLog,
        bom: &mut Bom,
        layout: &Layout,
        platform: &Platform,
        image: &release::Image,
    ) -> Result<()> {
        let product = run.workspace.product();
        let declared = product.image(&image.repository)?;
        let facts = root::facts(layout, &platform.manifest)?;
        let lock = Lock::read(&run.workspace.root().join(&product.base(&declared.base)?.lock))?;
        let sums = lock.checksums(platform.architecture, &image.repository);
        dpkg::add(bom, &facts, &sums)?;
        let output = build::output(run, &declared.binary, platform.architecture)?;
        bom.include(self.bom(run, log, &output)?);
        Ok(())
    }

    /// SBOM of an executable.
    pub(super) fn bom(&self, run: &Run, log: &StepLog, output: &Output<'_>) -> Result<Bom> {
        let path = output.verify_binary(run)?;
        let (sha256, _) = checksum::sha256(&path)?;
        let subject = super::describe_executable(run, output, &sha256);
        let sources = Sources {
            linked: &output.crate_graph(run, log, Edges::Linked)?,
            built: &output.crate_graph(run, log, Edges::Built)?,
            metadata: &self.metadata,
            checksums: &self.checksums,
        };
        let bom = crates::bom(&subject, &sources)?;
        let deviations = crosscheck::deviations(&bom, &read_dependency_list(&path)?);
        if deviations.is_empty() {
            return Ok(bom);
        }
        bail!(
            "the SBOM of {} does not match the binary's crate list; build it again:\n  {}",
            output.binary.name,
            deviations.join("\n  ")
        )
    }
}

/// The crate list embedded in the executable at `path`.
fn read_dependency_list(path: &Path) -> Result<List> {
    let place = || format!("cannot read the crate list in {}", path.display());
    let bytes = std::fs::read(path).with_context(place)?;
    let data = elf::section(&bytes, auditable::SECTION).with_context(place)?;
    List::decode(data).with_context(place)
}
