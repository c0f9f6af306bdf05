// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs syft.

use std::path::{Path, PathBuf};

use anyhow::Result;
use engine::{Run, StepLog};
use foundation::command::Command;
use media::platforms::{self, Platform};
use oci::Layout;
use release::Architecture;
use sbom::syft::SyftPackages;

/// The syft command for the executable at `path`.
pub fn of_file(run: &Run, path: &Path) -> Command {
    syft(run, "file", path)
}

/// The syft command for one platform of the image `repository`, extracted by [`image`].
pub fn of_image(run: &Run, repository: &str, architecture: Architecture) -> Command {
    syft(run, "oci-dir", &part(run, repository, architecture))
}

/// Components that syft finds in the executable at `path`.
pub fn file(run: &Run, log: &StepLog, path: &Path) -> Result<SyftPackages> {
    run_scanner(run, log, &of_file(run, path))
}

/// Components that syft finds in one platform of the image `repository` in `whole`.
pub fn image(
    run: &Run,
    log: &StepLog,
    repository: &str,
    whole: &Layout,
    platform: &Platform,
) -> Result<SyftPackages> {
    platforms::take_out(whole, platform, &part(run, repository, platform.architecture))?;
    run_scanner(run, log, &of_image(run, repository, platform.architecture))
}

fn syft(run: &Run, kind: &str, path: &Path) -> Command {
    run.command("syft")
        .args(["scan", "--quiet", "--output", "syft-json"])
        .arg(format!("{kind}:{}", path.display()))
        .env("SYFT_CHECK_FOR_APP_UPDATE", "false")
}

fn run_scanner(run: &Run, log: &StepLog, command: &Command) -> Result<SyftPackages> {
    SyftPackages::parse(&run.attempt_machine(log, command)?.success()?)
}

/// Layout of one platform.
fn part(run: &Run, repository: &str, architecture: Architecture) -> PathBuf {
    let name = repository.replace('/', "_");
    run.workspace.scratch().join("syft").join(architecture.oci()).join(name)
}
