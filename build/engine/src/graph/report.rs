// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Report of a run: a table, a JSON document, and the exit code.

mod files;
mod junit;
mod sarif;
mod summary;

use foundation::finding::Finding;
use foundation::text::{count, seconds};
use serde::{Deserialize, Serialize};

use crate::outcome::{Gap, Skip};

/// Report of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Version that was built.
    pub version: String,
    /// Commit that was built.
    pub commit: String,
    /// Whether a gate that could not run counts as failed.
    pub strict: bool,
    /// Steps in pipeline order.
    pub steps: Vec<Row>,
    /// Duration of the graph's critical path, the minimum with any number of jobs.
    pub critical_path_milliseconds: u64,
    /// Duration of the run.
    pub milliseconds: u64,
}

/// Result of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Step name.
    pub step: String,
    /// Steps that had to succeed first.
    pub after: Vec<String>,
    /// Verdict.
    pub verdict: Verdict,
    /// Start, since the start of the run.
    pub started_milliseconds: u64,
    /// Duration.
    pub milliseconds: u64,
    /// Path of its log, if it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
}

/// Result of a step in a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Verdict {
    /// The step succeeded.
    Done {
        /// One short fact.
        fact: String,
    },
    /// The step succeeded in an earlier run that was stopped, and its outputs are unchanged.
    Cached {
        /// One short fact.
        fact: String,
    },
    /// A gate whose inputs are unchanged since it last passed.
    Unchanged {
        /// One short fact.
        fact: String,
        /// Time of that run, RFC 3339 in UTC.
        since: String,
    },
    /// The step succeeded for a part of its work.
    Incomplete {
        /// One short fact.
        fact: String,
        /// The parts that could not be checked.
        gaps: Vec<Gap>,
        /// Whether reporting gaps is the purpose of the step: it then counts as done.
        expected: bool,
    },
    /// The step completed and found faults.
    Found {
        /// All findings.
        findings: Vec<Finding>,
        /// One short fact, where the step reports more than the number of findings.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        fact: String,
    },
    /// The step failed.
    Failed {
        /// Error message with its causes, multi-line.
        error: String,
    },
    /// The step did not run.
    Skipped {
        /// The reason.
        #[serde(flatten)]
        skip: Skip,
    },
}

impl Verdict {
    /// Whether dependents may run.
    pub fn is_good(&self) -> bool {
        matches!(
            self,
            Self::Done { .. }
                | Self::Cached { .. }
                | Self::Unchanged { .. }
                | Self::Incomplete { .. }
                | Self::Skipped { skip: Skip::NotApplicable { .. } }
        )
    }

    /// Whether the step ran in this run.
    pub fn has_run(&self) -> bool {
        !matches!(self, Self::Skipped { .. } | Self::Cached { .. } | Self::Unchanged { .. })
    }

    /// The fact, if there is one.
    pub(super) fn fact(&self) -> String {
        match self {
            Self::Done { fact }
            | Self::Cached { fact }
            | Self::Unchanged { fact, .. }
            | Self::Incomplete { fact, .. } => fact.clone(),
            _ => String::new(),
        }
    }

    /// One word for the table.
    fn word(&self) -> &'static str {
        match self {
            Self::Done { .. } | Self::Incomplete { expected: true, .. } => "ok",
            Self::Incomplete { expected: false, .. } => "partly",
            Self::Cached { .. } | Self::Unchanged { .. } => "cached",
            Self::Found { .. } | Self::Failed { .. } => "failed",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Last column of the table.
    fn note(&self) -> String {
        match self {
            Self::Cached { fact } if fact.is_empty() => "from an earlier run".to_owned(),
            Self::Cached { fact } => format!("{fact}, from an earlier run"),
            Self::Unchanged { fact, since } if fact.is_empty() => {
                format!("unchanged since {since}")
            }
            Self::Unchanged { fact, since } => format!("{fact}, unchanged since {since}"),
            Self::Found { findings, fact } if fact.is_empty() => count(findings.len(), "finding"),
            Self::Done { fact } | Self::Incomplete { fact, .. } | Self::Found { fact, .. } => {
                fact.clone()
            }
            Self::Failed { error } => error.lines().next().unwrap_or_default().to_owned(),
            Self::Skipped { skip } => skip.to_string(),
        }
    }
}

/// Number of steps by result.
#[derive(Debug, Default)]
struct Counts {
    failed: usize,
    /// Gates that could not run. Any other step with a missing program stops the run.
    gates: usize,
    /// Steps that completed only a part of their work.
    incomplete: usize,
    /// Other steps that did not run although they apply.
    steps: usize,
}

impl Report {
    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for row in &self.steps {
            match &row.verdict {
                Verdict::Found { .. } | Verdict::Failed { .. } => counts.failed += 1,
                Verdict::Skipped { skip } if skip.could_not_run() && self.strict => {
                    counts.failed += 1;
                }
                Verdict::Skipped { skip } if skip.could_not_run() => counts.gates += 1,
                Verdict::Incomplete { expected: false, .. } => counts.incomplete += 1,
                verdict @ Verdict::Skipped { .. } if !verdict.is_good() => counts.steps += 1,
                _ => {}
            }
        }
        counts
    }

    /// One word and last column of a step in the table.
    pub fn cells(&self, row: &Row) -> (&'static str, String) {
        match &row.verdict {
            Verdict::Skipped { skip } if skip.could_not_run() && self.strict => {
                ("failed", format!("could not run: {skip}"))
            }
            verdict => (verdict.word(), verdict.note()),
        }
    }

    /// Exit code: 0 done, 1 a step failed or the run was stopped, 3 done but something did not run.
    pub fn exit_code(&self) -> u8 {
        let stopped = |row: &Row| row.verdict == Verdict::Skipped { skip: Skip::Stopped };
        match self.counts() {
            Counts { failed: 0, gates: 0, incomplete: 0, steps: 0 } => 0,
            Counts { failed: 0, .. } if !self.steps.iter().any(stopped) => 3,
            _ => 1,
        }
    }

    /// Whether a rerun of the same command has nothing to resume.
    pub(super) fn ended_well(&self) -> bool {
        self.exit_code() != 1
    }

    /// The table and a summary line.
    pub fn table(&self) -> String {
        let width = self.steps.iter().map(|row| row.step.len()).max().unwrap_or(0).max(4);
        let mut out = format!("{:width$}  {:7}  {:>8}  note\n", "step", "outcome", "time");
        for row in &self.steps {
            let time =
                if row.verdict.has_run() { seconds(row.milliseconds) } else { String::new() };
            let (word, note) = self.cells(row);
            out.push_str(&format!("{:width$}  {word:7}  {time:>8}  {note}\n", row.step));
        }
        let mut out = out.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        for (step, gap) in self.gaps() {
            out.push_str(&format!("\n\n{step}: {gap}"));
        }
        format!("{out}\n\n{}\n", self.summary())
    }

    /// Gaps, each with its step.
    fn gaps(&self) -> impl Iterator<Item = (&str, &Gap)> {
        self.steps.iter().flat_map(|row| {
            let gaps = match &row.verdict {
                Verdict::Incomplete { gaps, .. } => gaps.as_slice(),
                _ => &[],
            };
            gaps.iter().map(|gap| (row.step.as_str(), gap))
        })
    }

    /// One line with the numbers of failed and skipped steps and the durations.
    pub fn summary(&self) -> String {
        let Counts { failed, gates, incomplete, steps } = self.counts();
        let mut parts = Vec::new();
        if failed > 0 {
            parts.push(format!("{} failed", count(failed, "step")));
        }
        if incomplete > 0 {
            parts.push(format!("{} incomplete", count(incomplete, "gate")));
        }
        for (number, what) in [(gates, "gate"), (steps, "step")] {
            if number > 0 {
                parts.push(format!("{} did not run", count(number, what)));
            }
        }
        if parts.is_empty() {
            let skipped = |row: &&Row| matches!(row.verdict, Verdict::Skipped { .. });
            let skipped = self.steps.iter().filter(skipped).count();
            parts.push(format!("{} ok", count(self.steps.len() - skipped, "step")));
            if skipped > 0 {
                parts.push(format!("{skipped} skipped"));
            }
        }
        format!(
            "{}: {} in {} (critical path {})",
            self.pipeline,
            parts.join(", "),
            seconds(self.milliseconds),
            seconds(self.critical_path_milliseconds)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run with a step of every kind.
    pub(super) fn every_kind() -> Report {
        let findings = vec![
            Finding::at("a b/x.rs", 3, "spdx", "no <licence> line", "add \"it\""),
            Finding::in_file("Cargo.lock", "RUSTSEC-1", "bad\n1.0.0", "cargo update bad"),
        ];
        let steps = [
            ("fmt", make_done()),
            ("lint", Verdict::Unchanged { fact: "Rust".into(), since: "2026-01-01".into() }),
            ("headers", Verdict::Found { findings, fact: String::new() }),
            ("schema", make_skipped(Skip::NotApplicable { why: "no schema".into() })),
            ("test", Verdict::Failed { error: "it broke\nat once".into() }),
            ("coverage", make_skipped(Skip::Upstream { step: "test".into() })),
            ("images", make_missing()),
            ("audit", make_incomplete(false)),
        ];
        let row = |(step, verdict): (&str, Verdict)| Row {
            step: step.to_owned(),
            after: Vec::new(),
            verdict,
            started_milliseconds: 0,
            milliseconds: 1_234,
            log: None,
        };
        Report { steps: steps.map(row).into(), ..report(Vec::new(), false) }
    }

    fn report(verdicts: Vec<Verdict>, strict: bool) -> Report {
        let names = ["fmt", "headers", "images", "sign"];
        let row = |(verdict, name): (Verdict, &str)| Row {
            step: name.to_owned(),
            after: Vec::new(),
            verdict,
            started_milliseconds: 0,
            milliseconds: 65_432,
            log: None,
        };
        Report {
            pipeline: "pr".to_owned(),
            version: "1.2.3".to_owned(),
            commit: "0".to_owned(),
            strict,
            steps: verdicts.into_iter().zip(names).map(row).collect(),
            critical_path_milliseconds: 300,
            milliseconds: 125_000,
        }
    }

    fn make_done() -> Verdict {
        Verdict::Done { fact: "7 files".to_owned() }
    }

    fn make_missing() -> Verdict {
        let (tool, fix) =
            ("podman is not installed".to_owned(), "apt-get install podman".to_owned());
        Verdict::Skipped { skip: Skip::MissingTool { tool, fix } }
    }

    fn make_incomplete(expected: bool) -> Verdict {
        Verdict::Incomplete { fact: "40 passed".to_owned(), gaps: vec![gap()], expected }
    }

    fn gap() -> Gap {
        Gap { problem: "2 tests skipped".to_owned(), fix: "apt-get install x".to_owned() }
    }

    fn make_skipped(skip: Skip) -> Verdict {
        Verdict::Skipped { skip }
    }

    #[test]
    fn report_json_reads_back() {
        let report = every_kind();
        let text = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }

    #[test]
    fn the_table_has_step_outcome_time_and_note() {
        let findings =
            vec![Finding::at("a", 1, "r", "m", "n"), Finding::in_file("b", "r", "m", "n")];
        let upstream = make_skipped(Skip::Upstream { step: "images".to_owned() });
        let report = report(
            vec![
                make_done(),
                Verdict::Found { findings, fact: String::new() },
                make_missing(),
                upstream,
            ],
            false,
        );
        insta::assert_snapshot!(report.table(), @r"
        step     outcome      time  note
        fmt      ok         65.4 s  7 files
        headers  failed     65.4 s  2 findings
        images   skipped            podman is not installed; fix: apt-get install podman
        sign     skipped            images did not succeed

        pr: 1 step failed, 1 gate did not run, 1 step did not run in 2 m 05 s (critical path 0.3 s)
        ");
    }

    #[test]
    fn the_table_lists_what_was_not_judged_with_its_fix() {
        let table = report(vec![make_done(), make_incomplete(false)], false).table();
        assert!(table.contains("headers  partly     65.4 s  40 passed\n"), "{table}");
        assert!(
            table.contains("\nheaders: 2 tests skipped\n    fix: apt-get install x\n"),
            "{table}"
        );
        assert!(table.contains("\npr: 1 gate incomplete in"), "{table}");
        let table = report(vec![make_done(), make_incomplete(true)], true).table();
        assert!(
            table.contains("pr: 2 steps ok in") && table.contains("2 tests skipped"),
            "{table}"
        );
    }

    #[test]
    fn where_no_gate_may_be_left_out_one_that_could_not_run_has_failed() {
        let table = report(vec![make_done(), make_missing()], true).table();
        assert!(table.contains("headers  failed             could not run: podman"), "{table}");
        assert!(table.contains("pr: 1 step failed in"), "{table}");
    }

    #[test]
    fn skipped_is_neither_failed_nor_passed() {
        let failed = || Verdict::Failed { error: "no".to_owned() };
        let idle = || make_skipped(Skip::NotApplicable { why: "no image".to_owned() });
        for (verdicts, strict, code) in [
            (vec![make_done(), make_done()], false, 0),
            (vec![make_done(), idle()], true, 0),
            (vec![make_done(), make_missing()], false, 3),
            (vec![make_done(), make_missing()], true, 1),
            (vec![make_missing(), failed()], false, 1),
            (vec![make_done(), make_incomplete(false)], false, 3),
            (vec![make_done(), make_incomplete(true)], true, 0),
            (vec![make_incomplete(false), failed()], false, 1),
            (vec![make_skipped(Skip::Unable(gap())), make_done()], false, 3),
            (vec![make_skipped(Skip::Unable(gap())), make_done()], true, 1),
            (vec![make_done(), make_skipped(Skip::Stopped)], false, 1),
        ] {
            assert_eq!(report(verdicts.clone(), strict).exit_code(), code, "{verdicts:?}");
        }
        let summary = report(vec![make_done(), idle()], true).summary();
        assert!(summary.starts_with("pr: 1 step ok, 1 skipped in "), "{summary}");
    }
}
