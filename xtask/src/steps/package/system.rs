// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Packages of distributions: described here, written by `packager`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::json;

use super::super::build::Output;
use super::contents::{self, Distribution};
use crate::ops::atomic;
use crate::ops::command::Command;
use crate::run::Run;
use crate::steps::StepLog;

/// Builds `packager` for this machine; cargo does nothing where it is built already. Not optimised:
/// the rest of the workspace was built so for its tests.
pub(super) fn build(run: &Run) -> Command {
    run.command("cargo")
        .args(["build", "--quiet", "--locked", "--package", "packager", "--target-dir"])
        .arg(run.workspace.target())
}

/// The command that writes the package `path`.
pub(super) fn command(run: &Run, distribution: Distribution, path: &Path) -> Command {
    let program = run.workspace.target().join("debug/packager");
    run.command(&program.to_string_lossy())
        .args(["--format", format(distribution), "--description"])
        .arg(description(run, path))
        .arg("--output")
        .arg(path)
}

fn format(distribution: Distribution) -> &'static str {
    match distribution {
        Distribution::Debian => "deb",
        Distribution::Rpm => "rpm",
    }
}

/// The file with the description of the package `path`.
fn description(run: &Run, path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    run.workspace.scratch().join("package").join(format!("{name}.json"))
}

/// Writes the package `path` of `output`.
pub(super) fn write(
    run: &Run,
    log: &StepLog,
    output: &Output<'_>,
    distribution: Distribution,
    path: &Path,
) -> Result<()> {
    let binary = output.binary;
    let system = binary
        .system
        .as_ref()
        .with_context(|| format!("release.toml has no system table for {}", binary.name))?;
    let files = contents::installed(run, output, system, distribution)?;
    let files: Vec<_> = files
        .iter()
        .map(|file| {
            json!({
                "path": file.path,
                "source": file.source,
                "executable": file.executable,
                "config": file.config,
            })
        })
        .collect();
    let product = &run.workspace.product().product;
    let text = json!({
        "name": system.name,
        "version": run.version().text(),
        "architecture": output.target.architecture.oci(),
        "epoch": run.workspace.epoch(),
        "summary": system.summary,
        "text": system.description.trim(),
        "license": product.license,
        "vendor": product.vendor,
        "homepage": product.source,
        "unit": system.unit,
        "state": system.state,
        "files": files,
    });
    atomic::write(&description(run, path), serde_json::to_string_pretty(&text)?.as_bytes())?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    run.exec(log, &command(run, distribution, path))
}
