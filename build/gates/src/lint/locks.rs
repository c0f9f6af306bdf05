// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks the locks of workspaces below the root, such as `fuzz/`, which no other gate compiles.

use std::path::Path;

use anyhow::Result;
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::finding::Finding;

/// Part of Cargo's message about a lock that it would change.
const STALE: &str = "because --locked was passed";

pub(super) fn commands(run: &Run) -> Result<Vec<Command>> {
    Ok(locks(run)?.iter().map(|lock| metadata(run, lock)).collect())
}

/// # Errors
/// When Cargo fails for another reason.
pub(super) fn check(run: &Run, log: &StepLog) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for lock in locks(run)? {
        let finished = run.attempt_machine(log, &metadata(run, &lock))?;
        if finished.stderr().contains(STALE) {
            let message = "does not match the manifests of its workspace";
            let fix = format!("cargo update --workspace --manifest-path {}", manifest(&lock));
            findings.push(Finding::in_file(lock, "lock", message, fix));
        } else {
            finished.success()?;
        }
    }
    Ok(findings)
}

fn locks(run: &Run) -> Result<Vec<String>> {
    let paths = run.workspace.paths()?;
    Ok(paths.iter().filter(|path| path.ends_with("/Cargo.lock")).cloned().collect())
}

fn metadata(run: &Run, lock: &str) -> Command {
    let manifest = manifest(lock);
    let arguments = ["metadata", "--locked", "--format-version=1", "--manifest-path", &manifest];
    run.command("cargo").args(arguments)
}

fn manifest(lock: &str) -> String {
    Path::new(lock).with_file_name("Cargo.toml").display().to_string()
}
