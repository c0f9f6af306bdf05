// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary push-images`: pushes images of a snapshot for manual tests, before the release is complete.
//!
//! Manifests first, tags last, as for a release, but unsigned.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use release::{Channel, Manifest, layout};

use super::Destination;
use super::plan::{Plan, plan_unsigned_image};
use crate::release_folder::is_test_artifact;

/// Images to push, source and target.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The images to push, such as tools/sgdisk [default: all of the release].
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Release folder, with release.json.
    #[arg(long, value_name = "DIR")]
    release: PathBuf,
    #[command(flatten)]
    destination: Destination,
}

/// Runs the command.
///
/// # Errors
/// When the folder has no snapshot or lacks an image, or the registry refuses a request.
pub(crate) fn run(args: &Args) -> Result<()> {
    let path = args.release.join(layout::MANIFEST);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let manifest =
        Manifest::parse(&bytes).with_context(|| format!("in {}", args.release.display()))?;
    ensure!(
        manifest.channel == Channel::Snapshot,
        "{} is a release, and a release is published signed, with all that belongs to it: use `notary publish`",
        manifest.version
    );
    let unknown = |name: &&String| manifest.images.iter().all(|it| it.repository != **name);
    if let Some(name) = args.names.iter().find(unknown) {
        anyhow::bail!("{} has no image {name:?}", path.display());
    }
    let chosen = manifest
        .images
        .iter()
        .filter(|it| args.names.is_empty() || args.names.contains(&it.repository));
    let mut repositories = Vec::new();
    for image in chosen {
        let name = &image.repository;
        ensure!(!is_test_artifact(&args.release, image)?, "{name} is a test artifact");
        let planned = plan_unsigned_image(&args.release, &manifest, image, &args.destination.to);
        repositories.push(planned.with_context(|| format!("image {name}"))?);
    }
    args.destination.send(&Plan { repositories })
}
