// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! SBOM of a live ISO: its image plus the boot loaders.

use anyhow::{Context as _, Result};
use debian::bootstrap;
use debian::lock::Lock;
use debian::root::RootFacts;
use engine::{Run, StepLog};
use media::{platforms, root};
use oci::Layout;
use release::{Artifact, Manifest};
use sbom::bom::{Bom, Component, Kind};
use sbom::{dpkg, purl};

use super::{Document, Engine, of_platform};
use crate::images::packages;

/// The SBOM of `iso`.
pub(super) fn document(
    run: &Run,
    log: &StepLog,
    engine: &Engine,
    manifest: &Manifest,
    iso: &Artifact,
) -> Result<Document> {
    let product = run.workspace.product();
    let declared = product.iso.as_ref().context("release.toml declares no [iso]")?;
    let architecture = iso.architecture.context("an ISO has no architecture")?;
    let image = manifest.images.iter().find(|image| image.repository == declared.image);
    let image = image.with_context(|| format!("the release has no image {}", declared.image))?;
    let layout = Layout::open(run.dist().join(&image.layout))?;
    let platform = platforms::read(&layout)?
        .into_iter()
        .find(|platform| platform.architecture == architecture)
        .with_context(|| format!("{} is not built for {}", declared.image, architecture.oci()))?;

    let version = run.version().text();
    let purl =
        purl::purl("generic", None, &declared.name, version, &[("arch", architecture.oci())]);
    let mut bom = Bom::new(Component {
        supplier: Some(product.product.vendor.clone()),
        sha256: Some(iso.sha256.clone()),
        license: Some(product.product.license.clone()),
        vcs: Some(product.product.source.clone()),
        ..Component::new(Kind::OperatingSystem, &declared.name, version, purl)
    });
    bom.include(of_platform(run, log, engine, &layout, &platform, image)?);

    // Boot loaders are in no package database on the ISO.
    let base = product.base(&product.image(&declared.image)?.base)?;
    let lock = Lock::read(&run.workspace.root().join(&base.lock))?;
    let locked = lock.set(architecture, &declared.name)?;
    let files = packages::fetch(run, log, &base.suite, architecture, &locked)?;
    let mut facts = RootFacts {
        os_release: root::facts(&layout, &platform.manifest)?.os_release,
        ..RootFacts::default()
    };
    for file in &files {
        let control = run.capture(log, &bootstrap::control_command(file))?;
        let control = String::from_utf8_lossy(&control).trim().to_owned();
        for part in ["Status: install ok installed\n", &control, "\n\n"] {
            facts.status.push_str(part);
        }
    }
    dpkg::add(&mut bom, &facts, &lock.checksums(architecture, &declared.name))?;
    Ok(Document { describes: iso.path.clone(), architecture: Some(architecture), bom })
}
