// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `erase`: erases the disks that the recipe names, verifies it, and reports it.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::action::Action;
use crate::erase::method::Method;
use crate::erase::{self, Choice};
use crate::plan::Plan;
use crate::program::Program;
use crate::task::Task;

/// File in the state folder, which the report to the controller includes.
const REPORT: &str = "report";

/// Options of the step.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Plan for disks that support this method, instead of the real ones
    #[arg(long, value_name = "METHOD", requires = "dry_run")]
    method: Option<Method>,
}

/// Plans the erase: all checks of all disks come first.
pub(crate) fn plan(task: &Task, options: &Options) -> Result<Plan> {
    let disks = task.provision.erase.as_ref().context("the recipe has no erase_disks")?;
    let report = task.work.ancestors().nth(2).context("the state folder has no path")?.join(REPORT);
    let (mut checks, mut actions, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for named in disks.disks() {
        let id = PathBuf::from(named.disk.as_str());
        let size = named.size.get();
        let (disk, choice): (PathBuf, Choice) = if let Some(method) = options.method {
            (id.clone(), method.into())
        } else {
            let failed = || format!("cannot find the disk {}", id.display());
            let disk = fs::canonicalize(&id).with_context(failed)?;
            let choice = erase::choose(&disk)?;
            (disk, choice)
        };
        ensure!(seen.insert(disk.clone()), "{} is named twice", id.display());
        checks.push(Action::CheckIdentity {
            id,
            disk: disk.clone(),
            serial: named.serial.to_string(),
            size,
        });
        checks.push(Action::CheckDisk { disk: disk.clone() });
        actions.push(Action::MarkSamples { disk: disk.clone(), size });
        actions.extend(erase::actions(&disk, size, choice));
        let name = disk.display().to_string();
        actions.push(Action::VerifyErased {
            disk,
            serial: named.serial.to_string(),
            size,
            method: choice.method,
            report: report.clone(),
        });
        actions.push(Action::Try {
            program: Program::new("partprobe", [&name]),
            because: "the kernel drops the old partitions",
        });
    }
    checks.push(Action::WriteFile { path: report, mode: 0o600, contents: String::new().into() });
    checks.append(&mut actions);
    Ok(Plan { step: "erase", actions: checks })
}
