// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: Containerfiles pin their base, labels come from one place, and hadolint reports no
//! warnings.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use engine::workspace::Image;
use engine::{Description, Input, Need, Outcome, Plan, Run, Skip, Step, StepLog};
use foundation::command::Command;
use foundation::finding::Finding;
use foundation::source;
use foundation::text::count;
use rules::containerfile::{self, Labels};
use serde::Deserialize;

/// `cargo xtask containers`.
pub struct Containers;

impl Step for Containers {
    fn describe(&self) -> Description {
        Description::gate("containers", "check Containerfiles: hadolint, labels, pinned bases")
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("hadolint")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new()
            .native("check the base and the labels of every Containerfile")
            .reads(Input::Source(PathBuf::new()))
            .reads(Input::Tool("hadolint"));
        let files = containerfiles(run)?;
        Ok(if files.is_empty() { plan } else { plan.command(hadolint(run, &files)) })
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let files = containerfiles(run)?;
        if files.is_empty() {
            let why = "the source has no Containerfile".to_owned();
            return Ok(Outcome::Skipped(Skip::NotApplicable { why }));
        }
        let images = &run.workspace.product().images;
        let mut findings: Vec<Finding> = files
            .iter()
            .flat_map(|file| {
                containerfile::check(&file.path, &file.text, labels(images, &file.path))
            })
            .collect();
        let report = run.attempt(log, &hadolint(run, &files))?;
        findings.extend(read(report.stdout())?);
        findings.sort();
        Ok(Outcome::of(findings, count(files.len(), "file")))
    }
}

fn containerfiles(run: &Run) -> Result<Vec<source::File>> {
    run.workspace
        .texts(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with("Containerfile")))
}

/// Where the labels of `file`'s image come from. `Containerfile.SUFFIX` and that of a `prepare`
/// folder build an intermediate image.
fn labels(images: &[Image], file: &str) -> Labels {
    let is_in = |folder: &Path| folder.join("Containerfile") == Path::new(file);
    if images.iter().any(|image| is_in(&image.context)) {
        Labels::FromProduct
    } else if images.iter().filter_map(|image| image.prepare.as_deref()).any(is_in) {
        Labels::None
    } else if file.ends_with("Containerfile") {
        Labels::Declared
    } else {
        Labels::None
    }
}

fn hadolint(run: &Run, files: &[source::File]) -> Command {
    run.command("hadolint")
        .args(["--no-color", "--format", "json", "--"])
        .args(files.iter().map(|file| &file.path))
}

/// An entry of hadolint's JSON report.
#[derive(Deserialize)]
struct Entry {
    file: String,
    line: usize,
    code: String,
    message: String,
}

fn read(report: &[u8]) -> Result<Vec<Finding>> {
    let entries: Vec<Entry> =
        serde_json::from_slice(report).context("hadolint did not print valid JSON")?;
    Ok(entries
        .into_iter()
        .map(|entry| {
            let fix = format!("see {} in hadolint's wiki", entry.code);
            Finding::at(entry.file, entry.line, entry.code, entry.message, fix)
        })
        .collect())
}
