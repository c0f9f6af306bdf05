// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs shellcheck.

use anyhow::{Context as _, Result};
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::finding::Finding;
use foundation::source;
use rules::shell;
use serde::Deserialize;

/// The command for all scripts; `None` without scripts.
pub(super) fn command(run: &Run) -> Result<Option<Command>> {
    let scripts = scripts(run)?;
    let command = || {
        let options = ["--format=json1", "--severity=style", "--external-sources", "--"];
        run.command("shellcheck").args(options).args(&scripts)
    };
    Ok((!scripts.is_empty()).then(command))
}

/// Number of scripts, and findings.
pub(super) fn check(run: &Run, log: &StepLog) -> Result<(usize, Vec<Finding>)> {
    match command(run)? {
        None => Ok((0, Vec::new())),
        Some(command) => {
            let report = run.attempt(log, &command)?;
            Ok((scripts(run)?.len(), read(report.stdout())?))
        }
    }
}

fn scripts(run: &Run) -> Result<Vec<String>> {
    let files = run.workspace.texts(|path| !source::is_test_data(path))?;
    Ok(files.into_iter().filter(shell::is_script).map(|file| file.path).collect())
}

/// Report format `json1` (shellcheck(1), FORMATS).
#[derive(Deserialize)]
struct Report {
    comments: Vec<Comment>,
}

#[derive(Deserialize)]
struct Comment {
    file: String,
    line: usize,
    code: u32,
    message: String,
}

fn read(report: &[u8]) -> Result<Vec<Finding>> {
    let report: Report =
        serde_json::from_slice(report).context("shellcheck did not print valid JSON")?;
    let finding = |it: Comment| {
        let fix = format!("see SC{} in shellcheck's wiki", it.code);
        Finding::at(it.file, it.line, format!("SC{}", it.code), it.message, fix)
    };
    Ok(report.comments.into_iter().map(finding).collect())
}
