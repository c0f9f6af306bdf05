// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Registry of a snapshot: the controller from the package that was just built serves
//! `target/registry` on a free loopback port while a step needs it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use engine::tool::Daemon;
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::{emulation, file, tree};
use release::ArtifactKind;

/// Timeout for the controller to bind its port.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running registry. Dropping it stops the controller.
pub struct Registry {
    /// The controller.
    pub controller: Daemon,
    /// `127.0.0.1:PORT`.
    pub host: String,
}

impl Registry {
    /// Starts the controller for `step`. `serve` is the command of [`serve`], or a wrapper that
    /// `exec`s it.
    ///
    /// # Errors
    /// When the release has no package of the controller for this host, or the controller does not
    /// start.
    pub fn start(run: &Run, log: &StepLog, step: &str, serve: &Command) -> Result<Self> {
        controller(run, log)?;
        let output = run.workspace.scratch().join("logs").join(format!("{step}.controller.log"));
        let mut controller = run.tools.background(log, serve, &output)?;
        let url = controller
            .wait_for_file(&address_file(run), PATIENCE)
            .context("the controller does not start")?;
        let host = url.trim().trim_start_matches("http://").to_owned();
        Ok(Self { controller, host })
    }
}

/// Unpacks the release's controller and returns its path.
///
/// # Errors
/// When the release has no package of it for this host.
pub fn controller(run: &Run, log: &StepLog) -> Result<PathBuf> {
    let home = home(run);
    tree::remove(&home)?;
    file::create_folder(&home)?;
    run.exec(log, &unpack(run)?)?;
    Ok(home.join("controller"))
}

/// Folder of the unpacked controller and of its address file.
pub fn home(run: &Run) -> PathBuf {
    run.workspace.scratch().join("registry")
}

/// Storage of the registry, kept between runs.
fn storage(run: &Run) -> PathBuf {
    run.workspace.target().join("registry")
}

fn address_file(run: &Run) -> PathBuf {
    home(run).join("address")
}

fn unpack(run: &Run) -> Result<Command> {
    let manifest = run.manifest()?;
    let here = emulation::host();
    let package = manifest
        .artifacts
        .iter()
        .find(|it| {
            it.kind == ArtifactKind::Package
                && it.architecture == Some(here)
                && it.path.starts_with("controller_")
                && it.path.ends_with(".tar.gz")
        })
        .with_context(|| {
            format!("the release has no controller for {}: build one first", here.oci())
        })?;
    Ok(run
        .command("tar")
        .args(["--extract", "--gzip", "--strip-components=1", "--file"])
        .arg(run.dist().join(&package.path))
        .arg("--directory")
        .arg(home(run)))
}

/// The registry that a release is published to, on [`storage`].
pub fn plan_registry(run: &Run) -> Command {
    serve(run, &storage(run))
}

/// A registry on the folder `storage`.
pub fn serve(run: &Run, storage: &Path) -> Command {
    run.command(&home(run).join("controller").to_string_lossy())
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(storage)
        .arg("--address-file")
        .arg(address_file(run))
}
