// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Spelling of the source, by `typos`.

use anyhow::{Context as _, Result, bail};
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::finding::Finding;
use serde::Deserialize;

/// The program.
pub(super) const TYPOS: &str = "typos";

/// Its configuration. Without it, spelling is not checked.
const CONFIGURATION: &str = "typos.toml";

/// Exit code of `typos` for misspelled words.
const FOUND: i32 = 2;

/// Whether the source has the configuration of `typos`.
pub(super) fn is_configured(run: &Run) -> bool {
    run.workspace.root().join(CONFIGURATION).is_file()
}

/// Checks everything that Git does not ignore.
pub(super) fn command(run: &Run) -> Command {
    run.command(TYPOS).args(["--config", CONFIGURATION, "--format", "json"])
}

/// Misspelled words.
///
/// # Errors
/// When `typos` can't be run, or fails.
pub(super) fn check(run: &Run, log: &StepLog) -> Result<Vec<Finding>> {
    let finished = run.attempt_machine(log, &command(run))?;
    let report = match finished.code() {
        Some(FOUND) => finished.stdout().to_vec(),
        _ => finished.success()?,
    };
    read(&String::from_utf8_lossy(&report))
}

/// A line of the report (`typos --format json`). Binary files, which are not checked, have lines too.
#[derive(Deserialize)]
struct Report {
    r#type: String,
    #[serde(default)]
    path: String,
    /// None for a word in the name of a file.
    line_num: Option<usize>,
    #[serde(default)]
    typo: String,
    #[serde(default)]
    corrections: Vec<String>,
    #[serde(default)]
    message: String,
}

fn read(report: &str) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for line in report.lines() {
        let it: Report = serde_json::from_str(line)
            .with_context(|| format!("typos printed a malformed report: {line}"))?;
        let path = it.path.strip_prefix("./").unwrap_or(&it.path);
        match it.r#type.as_str() {
            "typo" => {
                let message = format!("'{}' is misspelled", it.typo);
                let fix = format!(
                    "write {}, or except the word in {CONFIGURATION}",
                    it.corrections.join(" or ")
                );
                findings.push(Finding {
                    line: it.line_num,
                    ..Finding::in_file(path, "typo", message, fix)
                });
            }
            "error" => bail!("typos could not check {path}: {}", it.message),
            _ => {}
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_in_lines_and_in_names_are_findings() {
        let report = r#"{"type":"binary_file","path":"./a.xz"}
{"type":"typo","path":"./docs/a.md","line_num":3,"byte_offset":0,"typo":"minuts","corrections":["minutes","minute"]}
{"type":"typo","path":"./minuts.md","byte_offset":0,"typo":"minuts","corrections":["minutes"]}
"#;
        let found: Vec<_> = read(report).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "docs/a.md:3: typo: 'minuts' is misspelled\n    fix: write minutes or minute, or except the word in typos.toml",
                "minuts.md: typo: 'minuts' is misspelled\n    fix: write minutes, or except the word in typos.toml",
            ]
        );
        assert!(read(r#"{"type":"error","path":"a","message":"unreadable"}"#).is_err());
        assert!(read("typos").is_err());
    }
}
