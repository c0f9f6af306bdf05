// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs clippy and rustdoc.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use cargo_metadata::Message;
use cargo_metadata::diagnostic::{Diagnostic, DiagnosticLevel};
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::finding::Finding;

pub(super) fn commands(run: &Run) -> [Command; 2] {
    [clippy(run), rustdoc(run)]
}

/// All findings, deduplicated.
///
/// # Errors
/// When a program fails without a diagnostic.
pub(super) fn check(run: &Run, log: &StepLog) -> Result<BTreeSet<Finding>> {
    let mut findings = BTreeSet::new();
    for command in commands(run) {
        let finished = run.attempt_machine(log, &command)?;
        let found = findings_of(finished.stdout(), log)?;
        if found.is_empty() {
            finished.success()?;
        }
        findings.extend(found);
    }
    Ok(findings)
}

/// Applies clippy's machine-applicable suggestions.
pub(super) fn fix(run: &Run, log: &StepLog) -> Result<()> {
    let command = run.command("cargo").args([
        "clippy",
        "--fix",
        "--locked",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--allow-dirty",
        "--allow-staged",
    ]);
    run.exec(log, &command)
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

/// Findings from cargo's messages (The Cargo Book, "External Tools", JSON messages).
fn findings_of(messages: &[u8], log: &StepLog) -> Result<BTreeSet<Finding>> {
    let mut findings = BTreeSet::new();
    for message in Message::parse_stream(messages) {
        if let Message::CompilerMessage(message) =
            message.context("cargo printed malformed JSON messages")?
            && let Some(finding) = finding(&message.message)
            && findings.insert(finding)
            && let Some(text) = &message.message.rendered
        {
            log.note(text);
        }
    }
    Ok(findings)
}

/// The finding of a diagnostic; `None` for the summary line that counts errors.
fn finding(diagnostic: &Diagnostic) -> Option<Finding> {
    if !matches!(diagnostic.level, DiagnosticLevel::Error | DiagnosticLevel::Warning) {
        return None;
    }
    let span = diagnostic.spans.iter().find(|span| span.is_primary)?;
    let rule = diagnostic.code.as_ref().map_or_else(|| "rustc".to_owned(), |it| it.code.clone());
    let mut help = diagnostic.children.iter().filter(|it| {
        // Notes on how to silence a lint, or where it is documented, are not a fix.
        it.level == DiagnosticLevel::Help
            && !it.message.starts_with("for further information")
            && !it.message.starts_with("to override")
    });
    let fix = help.next().map_or_else(|| format!("see {rule} in the log"), suggestion);
    Some(Finding::at(&span.file_name, span.line_start, rule, &diagnostic.message, fix))
}

/// The suggestion with its code.
fn suggestion(help: &Diagnostic) -> String {
    let code = help.spans.iter().find_map(|span| span.suggested_replacement.as_deref());
    match code.map(str::trim).filter(|code| !code.is_empty() && !code.contains('\n')) {
        Some(code) => format!("{}: `{code}`", help.message),
        None => help.message.clone(),
    }
}
