// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Starts the target of a task.

use std::process::{Command, Output};

use anyhow::{Context as _, bail};
use recipe::TaskTarget;

use crate::{
    exit::{Exit, Failure, OrExit as _},
    log,
};

/// Starts `target` if the image has it. The job is queued and not awaited: its steps can take
/// hours, and may be ordered after the unit that runs this.
pub(crate) fn start(target: &TaskTarget) -> Result<(), Failure> {
    try_start(target.as_str()).or_exit(Exit::Systemd, format_args!("cannot start {target}"))?;
    log::info(format_args!("started {target}"));
    Ok(())
}

fn try_start(target: &str) -> anyhow::Result<()> {
    let state = systemctl(&["show", "--property=LoadState", "--value", target])?;
    match String::from_utf8_lossy(&state.stdout).trim() {
        "loaded" => {}
        "not-found" => bail!("it is not installed on this image"),
        state => bail!("systemd can't load it: {state}"),
    }
    systemctl(&["--no-block", "start", target])?;
    Ok(())
}

/// Runs `systemctl`; its output becomes the error if it fails.
fn systemctl(arguments: &[&str]) -> anyhow::Result<Output> {
    let line = format!("systemctl {}", arguments.join(" "));
    let output = Command::new("systemctl").args(arguments).output().context(line.clone())?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{line}: {}: {}", output.status, stderr.trim());
    }
    Ok(output)
}
