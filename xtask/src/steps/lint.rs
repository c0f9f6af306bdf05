// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: neither clippy nor rustdoc has anything to say.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cargo_metadata::Message;
use cargo_metadata::diagnostic::{Diagnostic, DiagnosticLevel};

use super::{Finding, Input, Need, Outcome, Plan, Step, StepLog};
use crate::ops::command::Command;
use crate::run::Run;

/// `cargo xtask lint`.
pub(crate) struct Lint;

impl Step for Lint {
    fn name(&self) -> &'static str {
        "lint"
    }

    fn about(&self) -> &'static str {
        "check that clippy and rustdoc have nothing to say"
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("cargo"), Need::Tool("cargo-clippy")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        Ok(Plan::new()
            .command(clippy(run))
            .command(rustdoc(run))
            .reads(Input::Source(PathBuf::new()))
            .reads(Input::Tool("cargo-clippy")))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let mut findings = BTreeSet::new();
        for command in [clippy(run), rustdoc(run)] {
            let finished = run.attempt_machine(log, &command)?;
            let found = findings_of(finished.stdout(), log)?;
            if found.is_empty() {
                finished.success()?;
            }
            findings.extend(found);
        }
        if findings.is_empty() {
            return Ok(Outcome::Done(String::new()));
        }
        Ok(Outcome::Found(findings.into_iter().collect()))
    }
}

fn clippy(run: &Run) -> Command {
    run.command("cargo")
        .args([
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--keep-going",
        ])
        .args(["--message-format=json", "--", "-D", "warnings"])
}

fn rustdoc(run: &Run) -> Command {
    run.command("cargo")
        .args([
            "doc",
            "--locked",
            "--workspace",
            "--no-deps",
            "--all-features",
            "--document-private-items",
        ])
        .args(["--keep-going", "--message-format=json"])
        .env("RUSTDOCFLAGS", "-D warnings")
}

/// The diagnostics in cargo's messages (The Cargo Book, "External Tools", JSON messages).
fn findings_of(messages: &[u8], log: &StepLog) -> Result<BTreeSet<Finding>> {
    let mut findings = BTreeSet::new();
    for message in Message::parse_stream(messages) {
        if let Message::CompilerMessage(message) =
            message.context("cargo wrote no JSON messages")?
            && let Some(finding) = finding(&message.message)
            && findings.insert(finding)
            && let Some(text) = &message.message.rendered
        {
            log.note(text);
        }
    }
    Ok(findings)
}

/// What a compiler says, if it says it of a place or of the whole: the line that counts the errors
/// names neither.
fn finding(diagnostic: &Diagnostic) -> Option<Finding> {
    if !matches!(diagnostic.level, DiagnosticLevel::Error | DiagnosticLevel::Warning) {
        return None;
    }
    let span = diagnostic.spans.iter().find(|span| span.is_primary)?;
    let rule = diagnostic.code.as_ref().map_or_else(|| "rustc".to_owned(), |it| it.code.clone());
    let mut help = diagnostic.children.iter().filter(|it| {
        // How to silence a lint, and where it is documented, mend nothing.
        it.level == DiagnosticLevel::Help
            && !it.message.starts_with("for further information")
            && !it.message.starts_with("to override")
    });
    let mend = help.next().map_or_else(|| format!("see {rule} in the log"), suggestion);
    Some(Finding::at(&span.file_name, span.line_start, rule, &diagnostic.message, mend))
}

/// The advice, with the code that it suggests.
fn suggestion(help: &Diagnostic) -> String {
    let code = help.spans.iter().find_map(|span| span.suggested_replacement.as_deref());
    match code.map(str::trim).filter(|code| !code.is_empty() && !code.contains('\n')) {
        Some(code) => format!("{}: `{code}`", help.message),
        None => help.message.clone(),
    }
}
