// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: all tests pass, including documentation tests.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};
use engine::junit::{self, panic_place};
use engine::tool::reference_tools;
use engine::{Description, Input, Judgement, Need, Outcome, Plan, Run, Step, StepLog, flag};
use foundation::command::Command;
use foundation::finding::Finding;
use foundation::text::{count, seconds};
use foundation::{atomic, tree};

use self::skips::Skips;
use super::coverage::counters;

pub mod bare;
pub(crate) mod skips;

/// `cargo xtask test`.
pub struct Test {
    /// Collect coverage, if `release.toml` has thresholds and the programs that read the counts are
    /// installed.
    pub counted: bool,
}

impl Test {
    fn counts(&self, run: &Run) -> bool {
        self.counted && counters::are_needed(run)
    }
}

/// Programs of steps that tests use too.
const SHARED: &[&str] = &[
    "actionlint",
    "check-jsonschema",
    "cosign",
    "diffoscope",
    "dpkg-deb",
    "git",
    "hadolint",
    "isoinfo",
    "llvm-cov",
    "llvm-profdata",
    "mdbook",
    "mksquashfs",
    "oras",
    "podman",
    "quadlet",
    "shellcheck",
    "shfmt",
    "skopeo",
    "sushy-emulator",
    "taplo",
    "tar",
    "typos",
    "unshare",
    "xorriso",
    "xz",
    "zizmor",
];

/// Programs that tests use. A test without its program records a skip.
fn programs() -> impl Iterator<Item = &'static str> {
    SHARED.iter().copied().chain(reference_tools().map(|spec| spec.name))
}

/// Minimum duration of a slow test in milliseconds.
const SLOW: u64 = 20_000;

/// nextest's report, by the profile `xtask` in `.config/nextest.toml`.
pub const JUNIT: &str = "target/xtask/nextest/xtask/junit.xml";

impl Step for Test {
    fn describe(&self) -> Description {
        Description::gate("test", "run all tests").example("--bare")
    }

    fn own_arguments(&self, command: clap::Command) -> clap::Command {
        command.arg(
            flag("bare").help("Hide all optional programs; each test must pass or record a skip"),
        )
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        let needs = [Need::Tool("cargo"), Need::Wanted("cargo-nextest")];
        needs.into_iter().chain(programs().map(Need::Test)).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let counts = self.counts(run);
        let counted = |command| {
            if counts { counters::set(run, command) } else { command }
        };
        let plan = if has_nextest(run) {
            let plan = Plan::new().command(counted(skips::set(run, nextest(run))));
            plan.reads(Input::Tool("cargo-nextest")).writes(JUNIT)
        } else {
            Plan::new().command(counted(skips::set(run, plain(run))))
        };
        let plan = plan
            .command(counted(documentation(run)))
            .reads(Input::Source(PathBuf::new()))
            .reads(Input::Tool("cargo"));
        Ok(programs().fold(plan, |plan, tool| plan.reads(Input::Tool(tool))))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let counts = self.counts(run);
        if counts {
            counters::clear(run)?;
        }
        let counted = |command| if counts { counters::with(run, command) } else { Ok(command) };
        let mut tally = if has_nextest(run) {
            with_nextest(run, log, &counted(skips::record(run, nextest(run))?)?)?
        } else {
            log.note("cargo-nextest is not installed: using cargo test, without JUnit report");
            let mut tally = with_cargo(run, log, &counted(skips::record(run, plain(run))?)?)?;
            tally.passed = tally.passed.saturating_sub(Skips::read(run)?.count());
            tally
        };
        let documentation = with_cargo(run, log, &counted(documentation(run))?)?;
        tally.passed += documentation.passed;
        tally.findings.extend(documentation.findings);
        if counts && tally.findings.is_empty() {
            counters::complete(run)?;
        }
        tally.slow.sort_by(|a, b| b.cmp(a));
        for (milliseconds, name) in &tally.slow {
            log.note(&format!("slow: {name} took {}", seconds(*milliseconds)));
        }
        tally.judgement(run, false)
    }
}

/// Results of a test run.
#[derive(Debug, Default, PartialEq, Eq)]
struct TestCounts {
    /// Number of tests that passed and were not skipped.
    passed: usize,
    /// Failed tests.
    findings: Vec<Finding>,
    /// Tests slower than [`SLOW`]: milliseconds and name.
    slow: Vec<(u64, String)>,
}

impl TestCounts {
    /// The outcome, including skipped tests; `bare`: finding skips is the purpose of the run.
    fn judgement(self, run: &Run, bare: bool) -> Result<Outcome> {
        let skips = Skips::read(run)?;
        let (passed, failed) = (self.passed, self.findings.len());
        let mut fact = format!("{passed} passed, {failed} failed, {} skipped", skips.count());
        if let Some((milliseconds, name)) = self.slow.first() {
            let (slow, took) = (self.slow.len(), seconds(*milliseconds));
            fact.push_str(&format!("; {slow} slow: {name} took {took}"));
        }
        let mut findings = self.findings;
        findings.extend(skips.find_unlisted());
        Ok(Outcome::Judged(Judgement { fact, findings, gaps: skips.gaps(), expected: bare }))
    }
}

fn has_nextest(run: &Run) -> bool {
    run.tools.check("cargo-nextest").is_ok()
        && run.workspace.root().join(".config/nextest.toml").is_file()
}

fn nextest(run: &Run) -> Command {
    run.command("cargo")
        .args(["nextest", "run", "--locked", "--workspace", "--all-features", "--profile", "xtask"])
        .args(["--no-tests", "pass"])
}

fn plain(run: &Run) -> Command {
    cargo_test(run, "--all-targets")
}

fn documentation(run: &Run) -> Command {
    cargo_test(run, "--doc")
}

fn cargo_test(run: &Run, targets: &str) -> Command {
    let command = run.command("cargo").args(["test", "--locked", "--workspace", "--all-features"]);
    command.args([targets, "--no-fail-fast"])
}

fn with_nextest(run: &Run, log: &StepLog, command: &Command) -> Result<TestCounts> {
    let report = run.workspace.root().join(JUNIT);
    // A stale report must not be read if the run writes none.
    tree::remove(&report)?;
    let finished = run.attempt(log, command)?;
    let text = fs::read_to_string(&report).unwrap_or_default();
    let skips = Skips::read(run)?;
    if skips.count() > 0 {
        let marked = junit::mark_skipped(&text, |suite, name| skips.reason(suite, name));
        atomic::write(&report, marked.as_bytes())?;
    }
    let mut tally = TestCounts::default();
    for case in junit::cases(&text) {
        if case.milliseconds >= SLOW {
            tally.slow.push((case.milliseconds, format!("{} {}", case.suite, case.name)));
        }
        match case.failure {
            None => tally.passed += usize::from(skips.reason(&case.suite, &case.name).is_none()),
            Some(output) => {
                let fix = format!("cargo nextest run --no-capture -E 'test(={})'", case.name);
                let name = format!("{} {}", case.suite, case.name);
                tally.findings.push(describe_failure(run, &name, &output, fix));
            }
        }
    }
    if tally.findings.is_empty() {
        finished.success()?;
    }
    Ok(tally)
}

fn with_cargo(run: &Run, log: &StepLog, command: &Command) -> Result<TestCounts> {
    let finished = run.attempt(log, command)?;
    let output = String::from_utf8_lossy(finished.stdout()).into_owned();
    let mut tally = TestCounts::default();
    for line in output.lines() {
        let Some((name, result)) =
            line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... "))
        else {
            continue;
        };
        if result.starts_with("ok") {
            tally.passed += 1;
        } else if result == "FAILED" {
            let written = section(&output, name);
            let fix = format!("{} -- --nocapture", run.tools.line(command));
            tally.findings.push(describe_failure(run, name, written, fix));
        }
    }
    if finished.code() == Some(0) && !tally.findings.is_empty() {
        bail!("cargo test exited with 0 although {} failed", count(tally.findings.len(), "test"));
    }
    if tally.findings.is_empty() {
        finished.success()?;
    }
    Ok(tally)
}

/// Output of the test `name` in libtest's output.
fn section<'a>(output: &'a str, name: &str) -> &'a str {
    let head = format!("---- {name} stdout ----");
    let section = output.split_once(&head).map_or("", |(_, rest)| rest);
    section.split("\n---- ").next().unwrap_or_default()
}

/// The finding for a failed test, at its panic or at its place in the documentation.
fn describe_failure(run: &Run, name: &str, output: &str, fix: String) -> Finding {
    let message = format!("the test {name} failed{}", reason(output));
    let root = run.workspace.root();
    let in_source = |(file, line): (String, usize)| {
        let path = root.join(&file);
        let inside = path.strip_prefix(root).ok()?.to_str()?.to_owned();
        path.is_file().then_some((inside, line))
    };
    match documentation_place(name).or_else(|| panic_place(output)).and_then(in_source) {
        Some((file, line)) => Finding::at(file, line, "test", message, fix),
        None => Finding::in_file("Cargo.toml", "test", message, fix),
    }
}

/// The panic message, on the line after its location.
fn reason(output: &str) -> String {
    let mut lines = output.lines().skip_while(|line| !line.contains("panicked at "));
    lines.nth(1).map(|line| format!(": {}", line.trim())).unwrap_or_default()
}

/// A documentation test has its place in its name: `src/lib.rs - item (line 12)`.
fn documentation_place(name: &str) -> Option<(String, usize)> {
    let (file, rest) = name.split_once(" - ")?;
    let line = rest.rsplit_once("(line ")?.1.split(')').next()?;
    Some((file.to_owned(), line.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "running 2 tests\ntest tests::bad ... FAILED\n\nfailures:\n\n\
        ---- tests::bad stdout ----\n\nthread 'tests::bad' (5) panicked at src/lib.rs:4:9:\n\
        two and two\nnote: more\n\n---- other stdout ----\npanicked at src/other.rs:1:1:\n";

    #[test]
    fn finds_what_one_test_wrote() {
        let written = section(OUTPUT, "tests::bad");
        assert_eq!(panic_place(written), Some(("src/lib.rs".to_owned(), 4)));
        assert_eq!(reason(written), ": two and two");
        assert_eq!(section(OUTPUT, "tests::unknown"), "");
    }

    #[test]
    fn finds_the_place_in_the_name_of_a_documentation_test() {
        let place = documentation_place("crates/x/src/lib.rs - thing::Part (line 12) - compile");
        assert_eq!(place, Some(("crates/x/src/lib.rs".to_owned(), 12)));
        assert_eq!(documentation_place("tests::bad"), None);
    }
}
