// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: Rust, TOML and shell files are formatted by rustfmt, taplo and shfmt.

use std::path::{Path, PathBuf};

use anyhow::Result;
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use foundation::finding::Finding;

mod copies;

/// `cargo xtask fmt`.
pub struct Fmt;

impl Step for Fmt {
    fn describe(&self) -> Description {
        Description::gate("fmt", "check that Rust, TOML and shell are formatted")
            .example("--fix")
            .arguments(&[Argument::Fix])
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        ["cargo", "rustfmt", "shfmt", "taplo"].map(Need::Tool).into()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new().command(command(run)).reads(Input::Source(PathBuf::new()));
        // The commands run on copies, so that a check changes nothing.
        let natives = copies::commands(run)?.into_iter().map(|it| run.tools.line(&it));
        Ok(natives.fold(plan, |plan, line| plan.native(format!("compare with `{line}`"))))
    }

    fn fix(&self, run: &Run, log: &StepLog) -> Result<()> {
        run.exec(log, &run.command("cargo").args(["fmt", "--all"]))?;
        copies::commands(run)?.iter().try_for_each(|command| run.exec(log, command))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let finished = run.attempt(log, &command(run))?;
        let mut findings =
            findings(&String::from_utf8_lossy(finished.stdout()), run.workspace.root());
        if findings.is_empty() {
            finished.success()?;
        }
        findings.extend(copies::check(run, log)?);
        Ok(Outcome::of(findings, ""))
    }
}

fn command(run: &Run) -> Command {
    run.command("cargo").args(["fmt", "--all", "--check"])
}

/// Files that `rustfmt --check` would change, each with the first line.
///
/// It prints `Diff in FILE:LINE:` and a diff, whose first lines are often context.
fn findings(output: &str, root: &Path) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut lines = output.lines();
    while let Some(line) = lines.next() {
        let Some((file, start)) = line.strip_prefix("Diff in ").and_then(place) else { continue };
        let context = lines.clone().take_while(|line| line.starts_with(' ')).count();
        let file = file.strip_prefix(root).unwrap_or(file).display().to_string();
        if findings.iter().any(|it| it.file == file) {
            continue;
        }
        let fix = "cargo xtask fmt --fix";
        let message = "not formatted by rustfmt";
        findings.push(Finding::at(file, start + context, "rustfmt", message, fix));
    }
    findings
}

/// Parses `FILE:LINE:`.
fn place(text: &str) -> Option<(&Path, usize)> {
    let (file, line) = text.trim_end_matches(':').rsplit_once(':')?;
    Some((Path::new(file), line.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_place_of_each_file() {
        let output = "Diff in /r/a/src/lib.rs:3:\n \n /// A.\n-fn  a\n+fn a\n\
                      Diff in /r/a/src/lib.rs:9:\n+\nDiff in /r/b.rs:1:\n-x\n";
        let places: Vec<_> =
            findings(output, Path::new("/r")).into_iter().map(|it| (it.file, it.line)).collect();
        assert_eq!(places, [("a/src/lib.rs".into(), Some(5)), ("b.rs".into(), Some(1))]);
    }
}
