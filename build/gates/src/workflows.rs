// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: workflows are valid, secure and pinned, and their jobs only call `cargo xtask` pipelines.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use engine::{Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use foundation::finding::Finding;
use foundation::source;
use rules::{jsonschema, workflow};
use serde::Deserialize;

const FOLDER: &str = ".github/workflows";
/// The workflow whose jobs `RULESETS` require for each change.
const OF_CHANGES: &str = ".github/workflows/pr.yml";
const RULESETS: &str = ".github/rulesets";

/// Pipelines that need a workflow.
const PIPELINES: [&str; 5] = ["main", "nightly", "pr", "release", "retention"];

/// `cargo xtask workflows`.
pub struct Workflows;

impl Step for Workflows {
    fn describe(&self) -> Description {
        Description::gate(
            "workflows",
            "check workflows: GitHub's schema, zizmor, pinned actions, pipelines, rulesets",
        )
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("actionlint"), Need::Tool("check-jsonschema"), Need::Tool("zizmor")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let files = files(run)?;
        Ok(Plan::new()
            .native(
                "check that jobs call only `cargo xtask`, that each pipeline has a workflow, and that the \
                 rulesets require the jobs of pull requests",
            )
            .command(actionlint(run, &files))
            .command(schema(run, &files))
            .command(zizmor(run))
            .reads(Input::Source(PathBuf::from(".github")))
            .reads(Input::Tool("actionlint"))
            .reads(Input::Tool("check-jsonschema"))
            .reads(Input::Tool("zizmor")))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let files = files(run)?;
        let mut findings = Vec::new();
        let mut called = BTreeSet::new();
        for file in &files {
            let (faults, pipelines) = workflow::check(&file.path, &file.text);
            findings.extend(faults);
            called.extend(pipelines);
        }
        let pipelines = PIPELINES.map(str::to_owned).into();
        findings.extend(workflow::check_drift(FOLDER, &called, &pipelines));
        if let Some(file) = files.iter().find(|file| file.path == OF_CHANGES) {
            let rulesets = run
                .workspace
                .texts(|path| path.starts_with(RULESETS) && source::has_extension(path, "json"))?;
            let rulesets: Vec<_> = rulesets.into_iter().map(|it| (it.path, it.text)).collect();
            let checks = workflow::checks(&file.text);
            findings.extend(workflow::check_rulesets(&file.path, &checks, &rulesets));
        }
        if !files.is_empty() {
            findings.extend(read_actionlint(run.attempt(log, &actionlint(run, &files))?.stdout())?);
            let invalid = read_schema(run.attempt(log, &schema(run, &files))?.stdout())?;
            // zizmor requires valid workflows.
            if invalid.is_empty() {
                findings.extend(read_zizmor(run.attempt(log, &zizmor(run))?.stdout())?);
            }
            findings.extend(invalid);
        }
        findings.sort();
        findings.dedup();
        Ok(if findings.is_empty() {
            Outcome::Done(format!("{} workflows", files.len()))
        } else {
            Outcome::Found(findings)
        })
    }
}

fn files(run: &Run) -> Result<Vec<source::File>> {
    run.workspace.texts(|path| {
        path.starts_with(FOLDER) && ["yml", "yaml"].iter().any(|it| source::has_extension(path, it))
    })
}

fn actionlint(run: &Run, files: &[source::File]) -> Command {
    run.command("actionlint").args(files.iter().map(|file| &file.path))
}

/// check-jsonschema bundles GitHub's workflow schema from `SchemaStore`.
fn schema(run: &Run, files: &[source::File]) -> Command {
    run.command("check-jsonschema")
        .args(["--builtin-schema", "vendor.github-workflows", "--output-format", "json"])
        .args(files.iter().map(|file| &file.path))
}

/// Offline: online, zizmor would check that pinned commits exist.
fn zizmor(run: &Run) -> Command {
    run.command("zizmor")
        .args(["--offline", "--no-progress", "--format", "json-v1", "--min-severity", "medium"])
        .arg(FOLDER)
}

/// An entry of actionlint's JSON output.
#[derive(Deserialize)]
struct Lint {
    file: String,
    line: usize,
    kind: String,
    message: String,
}

fn read_actionlint(report: &[u8]) -> Result<Vec<Finding>> {
    let entries: Vec<Lint> =
        serde_json::from_slice(report).context("actionlint did not print valid JSON")?;
    Ok(entries
        .into_iter()
        .map(|it| Finding::at(it.file, it.line, it.kind, it.message, "correct the workflow"))
        .collect())
}

fn read_schema(report: &[u8]) -> Result<Vec<Finding>> {
    let report = jsonschema::read(report)?;
    let faults = report.errors.into_iter().map(|it| {
        let message = format!("{}: {}", it.path, it.message);
        Finding::in_file(it.filename, "schema", message, "correct the workflow; GitHub rejects it")
    });
    let unread = report
        .parse_errors
        .into_iter()
        .map(|it| Finding::in_file(it.filename, "yaml", it.message, "correct the YAML"));
    Ok(faults.chain(unread).collect())
}

#[derive(Deserialize)]
struct Audit {
    ident: String,
    desc: String,
    url: String,
    determinations: Determinations,
    locations: Vec<Location>,
}

#[derive(Deserialize)]
struct Determinations {
    severity: String,
}

#[derive(Deserialize)]
struct Location {
    symbolic: Symbolic,
    concrete: Concrete,
}

#[derive(Deserialize)]
struct Symbolic {
    key: serde_json::Value,
}

#[derive(Deserialize)]
struct Concrete {
    location: Span,
}

#[derive(Deserialize)]
struct Span {
    start_point: Point,
}

#[derive(Deserialize)]
struct Point {
    row: usize,
}

fn read_zizmor(report: &[u8]) -> Result<Vec<Finding>> {
    let audits: Vec<Audit> =
        serde_json::from_slice(report).context("zizmor did not print valid JSON")?;
    Ok(audits
        .into_iter()
        .map(|audit| {
            let place = audit.locations.first();
            let path = place
                .and_then(|it| it.symbolic.key.pointer("/Local/verbatim_path"))
                .and_then(serde_json::Value::as_str)
                .unwrap_or(FOLDER)
                .to_owned();
            let message = format!("{} ({})", audit.desc, audit.determinations.severity);
            Finding {
                line: place.map(|it| it.concrete.location.start_point.row + 1),
                ..Finding::in_file(path, audit.ident, message, audit.url)
            }
        })
        .collect())
}
