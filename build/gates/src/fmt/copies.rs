// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks the format of TOML and shell files by formatting copies and comparing, independent of the
//! formatter's diff output.

use std::path::PathBuf;

use anyhow::Result;
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::finding::Finding;
use foundation::source::{self, File};
use foundation::{atomic, file};
use rules::shell;

/// A program that formats files in place.
struct Formatter {
    program: &'static str,
    args: &'static [&'static str],
    picks: fn(&File) -> bool,
    /// Parses the first syntax error: line and message.
    error: fn(&str) -> Option<(usize, String)>,
}

/// taplo reads `.taplo.toml`. Shell is indented by four spaces, like all other code here.
const FORMATTERS: &[Formatter] = &[
    Formatter {
        program: "taplo",
        args: &["format", "--colors", "never"],
        picks: |file| source::has_extension(&file.path, "toml"),
        error: toml_error,
    },
    Formatter {
        program: "shfmt",
        args: &["--write", "--indent", "4", "--case-indent"],
        picks: shell::is_script,
        error: |_| None,
    },
];

impl Formatter {
    fn command(&self, folder: PathBuf, files: &[File]) -> Command {
        let command = Command::new(self.program, folder).args(self.args);
        command.args(files.iter().map(|file| &file.path))
    }
}

/// The commands that format the source itself.
pub(super) fn commands(run: &Run) -> Result<Vec<Command>> {
    let root = run.workspace.root().to_owned();
    let all = files(run)?;
    let formatters = FORMATTERS.iter().map(|formatter| (formatter, select_files(formatter, &all)));
    Ok(formatters
        .filter(|(_, files)| !files.is_empty())
        .map(|(formatter, files)| formatter.command(root.clone(), &files))
        .collect())
}

/// Files that a formatter would change, each with the first line.
pub(super) fn check(run: &Run, log: &StepLog) -> Result<Vec<Finding>> {
    let all = files(run)?;
    let copies = run.workspace.scratch().join("fmt");
    let mut findings = Vec::new();
    for formatter in FORMATTERS {
        let (broken, good): (Vec<_>, Vec<_>) = select_files(formatter, &all)
            .into_iter()
            .map(|file| ((formatter.error)(&file.text), file))
            .partition(|(error, _)| error.is_some());
        findings.extend(broken.into_iter().filter_map(|(error, file)| {
            let (line, message) = error?;
            Some(Finding::at(file.path, line, formatter.program, message, "correct the syntax"))
        }));
        let good: Vec<File> = good.into_iter().map(|(_, file)| file).collect();
        if good.is_empty() {
            continue;
        }
        for file in &good {
            atomic::write(&copies.join(&file.path), file.text.as_bytes())?;
        }
        let finished = run.attempt(log, &formatter.command(copies.clone(), &good))?;
        let unread = errors(finished.stderr(), &good, formatter.program);
        if unread.is_empty() {
            finished.success()?;
        }
        findings.extend(unread);
        for file in &good {
            let path = copies.join(&file.path);
            let formatted = file::read_text(&path)?;
            if let Some(line) = first_difference(&file.text, &formatted) {
                let message = format!("not formatted by {}", formatter.program);
                let fix = "cargo xtask fmt --fix";
                findings.push(Finding::at(&file.path, line, formatter.program, message, fix));
            }
        }
    }
    Ok(findings)
}

fn files(run: &Run) -> Result<Vec<File>> {
    run.workspace.texts(|path| !source::is_test_data(path))
}

fn select_files(formatter: &Formatter, files: &[File]) -> Vec<File> {
    files.iter().filter(|file| (formatter.picks)(file)).cloned().collect()
}

/// The first line (from 1) that differs.
fn first_difference(old: &str, new: &str) -> Option<usize> {
    if old == new {
        return None;
    }
    let same = old.lines().zip(new.lines()).take_while(|(a, b)| a == b).count();
    // The difference may be the end of the last line, or additional lines.
    Some((same + 1).min(old.lines().count().max(1)))
}

fn toml_error(text: &str) -> Option<(usize, String)> {
    let error = toml::from_str::<toml::Table>(text).err()?;
    let start = error.span().map_or(0, |span| span.start);
    let before = text.get(..start).unwrap_or_default();
    Some((before.matches('\n').count() + 1, error.message().to_owned()))
}

/// Parses errors `FILE:LINE:COLUMN: MESSAGE` about our files.
fn errors(output: &str, files: &[File], rule: &str) -> Vec<Finding> {
    let finding = |line: &str| {
        let mut parts = line.splitn(4, ':');
        let (path, number) = (parts.next()?, parts.next()?.parse().ok()?);
        let (_column, message) = (parts.next()?, parts.next()?);
        let file = files.iter().find(|file| file.path == path)?;
        Some(Finding::at(&file.path, number, rule, message.trim(), "correct the syntax"))
    };
    output.lines().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_reported() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("a\nb\n\n", "a\nb\n"), Some(3));
        assert_eq!(first_difference("a\nb", "a\nb\n"), Some(2));
        assert_eq!(first_difference("", "x\n"), Some(1));
    }

    #[test]
    fn invalid_syntax_is_reported_by_its_line() {
        assert_eq!(toml_error("a = 1\n[b]\n"), None);
        assert_eq!(toml_error("a = 1\nb = \n").unwrap().0, 2);
        let files = [File { path: "run.sh".to_owned(), text: String::new() }];
        let found = errors("run.sh:3:1: reached EOF\nother.sh:1:1: x\nnote\n", &files, "shfmt");
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].message.as_str()), (Some(3), "reached EOF"));
    }
}
