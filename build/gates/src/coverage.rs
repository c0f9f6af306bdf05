// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: line coverage reaches its thresholds for the workspace, for its parts, and for the lines
//! of a change.
//!
//! In `validate` it uses the test run of the gate `test`, which builds the workspace with counters
//! if the programs that read them are installed, and leaves the counts for this exact source below
//! `target/xtask/coverage`. Without such counts, it runs the tests itself.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cargo_metadata::Message;
use engine::workspace::CoverageThresholds as Thresholds;
use engine::{Description, Gap, Input, Judgement, Need, Outcome, Plan, Run, Skip, Step, StepLog};
use foundation::atomic;
use foundation::command::Command;
use foundation::finding::Finding;
use foundation::git::{self, Base};
use foundation::text::count;
use rules::coverage::{Coverage as Lines, LineCoverage};

use super::test::Test;

pub(crate) mod counters;

/// `cargo xtask coverage`.
pub struct Coverage;

/// The test run with counters.
const TESTS: Test = Test { counted: true };

/// Number of files in the table of the worst.
const WORST: usize = 20;

/// Counted lines as LCOV.
/// Line counters in the format of LCOV, below the root.
pub const LCOV: &str = "target/xtask/coverage/lcov.info";
const TABLE: &str = "target/xtask/coverage/worst.txt";
const HTML: &str = "target/xtask/coverage/html";

impl Step for Coverage {
    fn describe(&self) -> Description {
        Description::gate("coverage", "enforce test coverage thresholds")
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        // Without a threshold there is nothing to read.
        if !run.workspace.product().gates.coverage.is_set() {
            return Vec::new();
        }
        counters::READERS.iter().copied().map(Need::Tool).chain(TESTS.needs(run)).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new()
            .native("use the coverage of the test run, or run the tests")
            .command(join(run))
            .command(export(run, &[]))
            .command(show(run, &[]))
            .reads(Input::Fact("the base of the change", run.workspace.change_base()?.to_string()))
            .writes(LCOV)
            .writes(TABLE);
        let test = TESTS.plan(run)?.reads;
        Ok(test.into_iter().fold(plan, Plan::reads).reads(Input::Source(PathBuf::new())))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        if !run.workspace.product().gates.coverage.is_set() {
            let why = "release.toml has no threshold".to_owned();
            return Ok(Outcome::Skipped(Skip::NotApplicable { why }));
        }
        if !counters::are_of_this_source(run)
            && let Outcome::Judged(tests) = TESTS.run(run, log)?
            && !tests.findings.is_empty()
        {
            return Ok(Outcome::Found(tests.findings));
        }
        let lines = measure(run, log)?;
        let thresholds = &run.workspace.product().gates.coverage;
        let mut findings = Vec::new();
        let parts = thresholds.parts.iter().map(|(part, least)| (part.as_str(), *least));
        for (part, least) in parts.chain([("", thresholds.whole)]) {
            findings.extend(too_few(&lines, part, least));
        }
        findings.extend(without_code(&lines, thresholds, &manifest(run)?));
        let whole = lines.share("");
        let mut fact = format!("{:.1} % of {}", whole.percent(), count(whole.lines, "line"));
        let mut gaps = Vec::new();
        match run.workspace.change_base()? {
            Base::Commit(commit) => {
                let mut added = git::added_lines(run.workspace.root(), &commit)?;
                added.retain(|file, _| thresholds.untested.iter().all(|it| it.file != *file));
                let (change, missed) = lines.measure_lines(&added);
                if change.percent() < thresholds.changed {
                    findings.extend(report_missed(change, &missed, thresholds.changed));
                }
                if change.lines > 0 {
                    fact.push_str(&format!(
                        ", {:.1} % of {} changed",
                        change.percent(),
                        change.lines
                    ));
                }
            }
            Base::Unknown { why, fix } => {
                gaps.push(Gap { problem: format!("changed lines not checked: {why}"), fix });
            }
        }
        findings.sort();
        Ok(Outcome::Judged(Judgement { fact, findings, gaps, expected: false }))
    }
}

/// Merges the counts and writes LCOV, the table and HTML.
fn measure(run: &Run, log: &StepLog) -> Result<Lines> {
    let root = run.workspace.root();
    let programs = programs(run, log)?;
    counters::list(run)?;
    run.exec(log, &join(run))?;
    let lcov = run.attempt_machine(log, &export(run, &programs))?.success()?;
    let lcov = String::from_utf8(lcov).context("llvm-cov printed invalid UTF-8")?;
    let root_text = root.to_str().context("the path of the workspace is not UTF-8")?;
    let lines = Lines::parse(&lcov, root_text, |path| fs::read_to_string(root.join(path)).ok());
    atomic::write(&root.join(LCOV), lines.to_lcov(root_text).as_bytes())?;
    let table = lines.table(WORST);
    atomic::write(&root.join(TABLE), table.as_bytes())?;
    log.note(&table);
    run.exec(log, &show(run, &programs))?;
    Ok(lines)
}

/// The instrumented executables: tests, and programs that tests run.
fn programs(run: &Run, log: &StepLog) -> Result<Vec<PathBuf>> {
    let build = run.command("cargo").args([
        "test",
        "--no-run",
        "--locked",
        "--workspace",
        "--all-features",
        "--message-format=json",
    ]);
    let messages = run.attempt_machine(log, &counters::with(run, build)?)?.success()?;
    let mut programs = Vec::new();
    for message in Message::parse_stream(messages.as_slice()) {
        if let Message::CompilerArtifact(artifact) =
            message.context("cargo printed malformed messages")?
            && let Some(program) = artifact.executable
        {
            programs.push(program.into_std_path_buf());
        }
    }
    Ok(programs)
}

/// A killed program may leave a truncated file: only that one is ignored.
fn join(run: &Run) -> Command {
    run.command("llvm-profdata")
        .args(["merge", "--sparse", "--failure-mode=all", "--output"])
        .arg(counters::merged_file(run))
        .arg("--input-files")
        .arg(counters::list_file(run))
}

fn export(run: &Run, programs: &[PathBuf]) -> Command {
    let command = run.command("llvm-cov").args(["export", "--format=lcov", "--skip-functions"]);
    with_objects(run, command, programs)
}

fn show(run: &Run, programs: &[PathBuf]) -> Command {
    let command = run
        .command("llvm-cov")
        .args(["show", "--format=html", "--show-instantiations=false", "--output-dir"])
        .arg(run.workspace.root().join(HTML));
    with_objects(run, command, programs)
}

fn with_objects(run: &Run, command: Command, programs: &[PathBuf]) -> Command {
    let command = command
        .arg("--instr-profile")
        .arg(counters::merged_file(run))
        .arg("--ignore-filename-regex=(^|/)(tests|examples|benches|target)/|/rustc/|/registry/");
    let mut programs = programs.iter();
    let command = programs.next().into_iter().fold(command, Command::arg);
    programs.fold(command, |command, program| command.arg("--object").arg(program))
}

fn manifest(run: &Run) -> Result<String> {
    fs::read_to_string(run.workspace.root().join("release.toml"))
        .context("cannot read release.toml")
}

/// Findings for thresholds and exceptions that match no code. `manifest` is the text of
/// release.toml.
fn without_code(lines: &Lines, thresholds: &Thresholds, manifest: &str) -> Vec<Finding> {
    let parts = thresholds.parts.keys().map(|part| (part, "[gates.coverage.parts]", "stale-part"));
    let untested = thresholds
        .untested
        .iter()
        .map(|it| (&it.file, "[[gates.coverage.untested]]", "stale-exception"));
    let stale = parts.chain(untested).filter(|(path, ..)| lines.share(path).lines == 0);
    stale
        .map(|(path, table, rule)| {
            let message = format!("{table} for {path}: no such code");
            let quoted = format!("\"{path}\"");
            let line = manifest.lines().position(|line| {
                // A key may be bare; a comment may contain the path too.
                let line = line.trim_start();
                !line.starts_with('#')
                    && (line.contains(&quoted) || line.starts_with(&format!("{path} ")))
            });
            Finding {
                line: line.map(|index| index + 1),
                ..Finding::in_file(
                    "release.toml",
                    rule,
                    message,
                    "correct the path or remove the entry",
                )
            }
        })
        .collect()
}

/// The finding for a part below its threshold.
fn too_few(lines: &Lines, part: &str, least: f64) -> Option<Finding> {
    let share = lines.share(part);
    if share.percent() >= least {
        return None;
    }
    let name = if part.is_empty() { "the workspace" } else { part };
    let message = format!(
        "tests cover {:.1} % of the {} of {name}, below the threshold of {least} %; most uncovered lines are here",
        share.percent(),
        count(share.lines, "line"),
    );
    let fix = format!("test the lines that {HTML}/index.html marks red");
    let rule = if part.is_empty() { "whole" } else { "part" };
    Some(match lines.worst(part) {
        Some((file, line)) => Finding::at(file, line, rule, message, fix),
        None => Finding::in_file("release.toml", rule, message, fix),
    })
}

/// One finding per changed file, at its first uncovered changed line.
fn report_missed(share: LineCoverage, missed: &[(&str, usize)], least: f64) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (file, line) in missed {
        if findings.last().is_some_and(|last| last.file == *file) {
            continue;
        }
        let here = missed.iter().filter(|(other, _)| other == file).count();
        let message = format!(
            "no test covers {} of the change in this file, starting here; in total, tests cover {:.1} % \
             of the {} added, below the threshold of {least} %",
            count(here, "line"),
            share.percent(),
            count(share.lines, "line")
        );
        findings.push(Finding::at(*file, *line, "changed", message, "test these lines"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_reported_by_file_at_the_first_line() {
        let missed = [("a.rs", 3), ("a.rs", 4), ("b.rs", 9)];
        let findings = report_missed(LineCoverage { lines: 6, reached: 3 }, &missed, 90.0);
        let places: Vec<_> = findings.iter().map(|it| (it.file.as_str(), it.line)).collect();
        assert_eq!(places, [("a.rs", Some(3)), ("b.rs", Some(9))]);
        assert!(findings[0].message.contains("2 lines of the change"), "{}", findings[0]);
        assert!(findings[0].message.contains("50.0 % of the 6 lines"), "{}", findings[0]);
    }

    #[test]
    fn a_threshold_or_an_exception_for_code_that_is_gone_is_a_fault_at_its_line() {
        let lines = Lines::parse("SF:/w/a.rs\nDA:1,0\n", "/w", |_| Some("x\n".to_owned()));
        let entry = |file| toml::from_str(&format!("file = \"{file}\"\nreason = \"r\"")).unwrap();
        let thresholds = Thresholds {
            untested: vec![entry("a.rs"), entry("b.rs")],
            parts: [("a.rs".to_owned(), 1.0), ("gone/src".to_owned(), 80.0)].into(),
            ..Thresholds::default()
        };
        let manifest = "# gone/src\n[gates.coverage.parts]\n\"a.rs\" = 1.0\n\"gone/src\" = 80.0\n\
                        [[gates.coverage.untested]]\nfile = \"b.rs\"\n";
        let findings = without_code(&lines, &thresholds, manifest);
        let found: Vec<_> =
            findings.iter().map(|it| (it.line, it.rule.as_str(), it.file.as_str())).collect();
        let manifest = "release.toml";
        assert_eq!(
            found,
            [(Some(4), "stale-part", manifest), (Some(6), "stale-exception", manifest)]
        );
        assert!(findings[0].message.contains("gone/src"), "{}", findings[0]);
    }

    #[test]
    fn a_part_below_its_threshold_is_reported_at_its_worst_place() {
        let lcov = "SF:/w/a/one.rs\nDA:1,1\nDA:2,0\nSF:/w/b/two.rs\nDA:1,0\n";
        let lines = Lines::parse(lcov, "/w", |_| Some("x\nx\n".to_owned()));
        assert_eq!(too_few(&lines, "a", 50.0), None);
        let finding = too_few(&lines, "a", 51.0).unwrap();
        assert_eq!((finding.file.as_str(), finding.line), ("a/one.rs", Some(2)));
        assert_eq!(too_few(&lines, "", 80.0).unwrap().rule, "whole");
        assert_eq!(too_few(&lines, "nowhere", 100.0), None);
    }
}
