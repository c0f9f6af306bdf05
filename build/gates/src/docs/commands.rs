// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Commands in pages are commands of our programs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use engine::{Run, StepLog};
use foundation::finding::Finding;
use foundation::source;
use rules::help::Help;
use rules::markdown::{self, Page};
use rules::prose;

/// The recorded help texts of all programs, by the names of their files.
///
/// # Errors
/// When a record can't be read.
pub(super) fn read_recorded(run: &Run) -> Result<Vec<Help>> {
    let files = run.workspace.texts(|path| path.ends_with(prose::HELP))?;
    let read = files.iter().map(|file| {
        Help::read(&file.text)
            .with_context(|| format!("{} has no line `$ PROGRAM --help`", file.path))
    });
    read.collect()
}

/// Calls and flags in `pages` that no program of `helps` accepts. `cargo xtask` checks its own calls.
pub(super) fn check_recorded(helps: &[Help], pages: &BTreeMap<&str, Page>) -> Vec<Finding> {
    let flags: BTreeSet<&str> = helps.iter().flat_map(Help::flags).collect();
    let mut findings = Vec::new();
    for (path, page) in pages {
        for call in page.commands.iter().filter(|call| call.program != markdown::XTASK) {
            let refusal = match helps.iter().find(|help| help.program == call.program) {
                Some(help) => help.refusal(&call.words),
                None => Some(format!("no file *{} records `{} --help`", prose::HELP, call.program)),
            };
            findings.extend(refusal.map(|reason| {
                let fix = format!("correct it; `{} --help` lists commands and flags", call.program);
                Finding::at(*path, call.line, "unknown-command", reason, fix)
            }));
        }
        // Without a record, no flag is known.
        let unknown =
            page.flags.iter().filter(|it| !helps.is_empty() && !flags.contains(it.1.as_str()));
        findings.extend(unknown.map(|(line, flag)| {
            let fix = "correct it, or allow a flag of another program in [[gates.docs.allow]]";
            Finding::at(*path, *line, "unknown-flag", format!("no program has {flag}"), fix)
        }));
    }
    findings
}

/// Recorded help texts that `page`, the reference of commands, does not include.
///
/// # Errors
/// When the page or a record can't be read.
pub(super) fn check_reference(run: &Run, page: &str) -> Result<Vec<Finding>> {
    let text = std::fs::read_to_string(run.workspace.root().join(page))
        .with_context(|| format!("cannot read {page}: correct gates.docs.commands"))?;
    let mut records = run.workspace.texts(|path| path.ends_with(prose::HELP))?;
    records.retain(|record| !text.contains(&record.path));
    let finding = |record: &source::File| {
        let fix = format!("add `{{{{#include PATH_TO/{}:5:}}}}`", record.path);
        Finding::in_file(page, "not-in-reference", "a program's help texts are not included", fix)
    };
    Ok(records.iter().map(finding).collect())
}

/// Calls of `cargo xtask` that this program's parser rejects.
pub(super) fn check_xtask(
    run: &Run,
    log: &StepLog,
    pages: &BTreeMap<&str, Page>,
) -> Result<Vec<Finding>> {
    // Not its path: Cargo may have replaced the file meanwhile.
    let own = "/proc/self/exe";
    let ours = |call: &&markdown::Command| call.program == markdown::XTASK;
    let calls: BTreeSet<&[String]> = pages
        .values()
        .flat_map(|page| page.commands.iter().filter(ours))
        .map(|call| call.words.as_slice())
        .collect();
    let mut unknown = BTreeSet::new();
    for words in calls {
        // With `--help` the parser checks the arguments before it, and nothing runs.
        let asked = run.attempt(log, &run.command(own).args(words).arg("--help"))?;
        if asked.code() != Some(0) {
            unknown.insert(words);
        }
    }
    let findings = pages.iter().flat_map(|(path, page)| {
        let calls = page.commands.iter().filter(ours);
        calls.filter(|call| unknown.contains(call.words.as_slice())).map(|call| {
            Finding::at(
                *path,
                call.line,
                "unknown-command",
                format!("`cargo xtask {}` is not a valid command", call.words.join(" ")),
                "correct the call; see `cargo xtask --help`",
            )
        })
    });
    Ok(findings.collect())
}
