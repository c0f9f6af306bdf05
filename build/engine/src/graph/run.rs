// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs the steps of a pipeline with journal, progress and report.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use foundation::text::{count, seconds};
use foundation::{checksum, tree};
use release::Channel;

use super::check::{Graph, Node};
use super::execute::{Event, Reaction, execute};
use super::journal::{Journal, Record};
use super::progress::Progress;
use super::report::{Report, Row, Verdict};
use super::{Stage, resume, unchanged};
use crate::outcome::{Judgement, Outcome, Skip};
use crate::plan::{Input, Need};
use crate::run::Run;
use crate::ui::Ui;

/// Result of a step: verdict, digest of its outputs, duration.
struct StepResult {
    verdict: Verdict,
    wrote: String,
    milliseconds: u64,
}

/// Builds the dependency graph of a pipeline.
///
/// # Errors
/// When the graph is invalid; nothing has run then.
pub fn graph(stages: &[Stage]) -> Result<Graph> {
    let nodes = stages.iter().map(|stage| Node {
        name: stage.step.name().to_owned(),
        after: stage.after.iter().map(|name| (*name).to_owned()).collect(),
    });
    Ok(Graph::new(nodes.collect())?)
}

/// Runs the pipeline `name` of `stages` and returns its report.
///
/// # Errors
/// When the run is impossible: another one is in progress, or the journal cannot be written. A
/// failed step is part of the report, not an error.
pub fn run(name: &str, stages: &[Stage], run: &Run, ui: &Ui) -> Result<Report> {
    let graph = graph(stages)?;
    let started = Instant::now();
    let _alone = lock(&run.workspace.scratch())?;
    let keys = unchanged::keys(stages, run)?;
    let (earlier, mut journal) = restore_verdicts(name, &graph, stages, &keys, run)?;
    let mut note = |record: &Record| journal.as_mut().map_or(Ok(()), |it| it.add(record));

    let mut rows = BTreeMap::new();
    let mut starts = BTreeMap::new();
    let mut progress = Progress::new(graph.len());
    let work = |node: usize| match earlier.get(&node) {
        Some(verdict) => {
            Ok(StepResult { verdict: verdict.clone(), wrote: String::new(), milliseconds: 0 })
        }
        None => attempt(stages, node, run),
    };
    let result = execute(&graph, run.options.jobs, work, |event| {
        let (node, ended) = match event {
            Event::Tick => {
                let now = started.elapsed();
                ui.show_live(&progress.line(now));
                if !ui.is_live()
                    && let Some(heartbeat) = progress.heartbeat(now)
                {
                    ui.status("Running", &heartbeat);
                }
                return Ok(stop_or(run, Reaction::Good));
            }
            Event::Start(node) => {
                let now = started.elapsed();
                progress.start(node, graph.name(node), now);
                starts.insert(node, milliseconds(started));
                if !earlier.contains_key(&node) {
                    note(&Record::Started { step: graph.name(node).to_owned() })?;
                    if !ui.is_live() {
                        ui.status("Running", graph.name(node));
                    }
                }
                ui.show_live(&progress.line(now));
                return Ok(stop_or(run, Reaction::Good));
            }
            Event::End(node, result) => {
                (node, result.unwrap_or_else(|error| StepResult::from_error(&error, 0)))
            }
            Event::Skip { node, because } => {
                let step = graph.name(because).to_owned();
                (node, StepResult::from_skip(Skip::Upstream { step }))
            }
            Event::Drop(node) => (node, StepResult::from_skip(Skip::Stopped)),
        };
        progress.end(node);
        if !earlier.contains_key(&node) {
            note(&Record::Ended {
                step: graph.name(node).to_owned(),
                good: ended.verdict.is_good(),
                fact: ended.verdict.fact(),
                wrote: ended.wrote,
                milliseconds: ended.milliseconds,
            })?;
        }
        let row = Row {
            step: graph.name(node).to_owned(),
            after: graph.dependencies(node).iter().map(|it| graph.name(*it).to_owned()).collect(),
            started_milliseconds: starts.get(&node).copied().unwrap_or(0),
            log: ended
                .verdict
                .has_run()
                .then(|| format!("target/xtask/logs/{}.log", graph.name(node))),
            verdict: ended.verdict,
            milliseconds: ended.milliseconds,
        };
        show(&row, ui);
        let reaction = if row.verdict.is_good() { Reaction::Good } else { Reaction::Bad };
        let fatal = run.options.fail_fast && reaction == Reaction::Bad;
        rows.insert(node, row);
        Ok(if fatal { Reaction::Stop } else { stop_or(run, reaction) })
    });
    ui.clear();
    result.context("the run was interrupted; rerun the same command to resume it")?;

    let steps: Vec<Row> = rows.into_values().collect();
    let report = Report {
        pipeline: name.to_owned(),
        version: run.version().text().to_owned(),
        commit: run.workspace.commit().to_owned(),
        strict: run.options.strict,
        critical_path_milliseconds: critical_path(&graph, &steps),
        steps,
        milliseconds: milliseconds(started),
    };
    if report.ended_well() {
        note(&Record::Closed)?;
    }
    unchanged::remember(stages, &keys, &report.steps, run)?;
    report.write(&run.workspace.scratch())?;
    Ok(report)
}

/// Verdicts that still hold, by node, and the journal unless nothing is left to run.
fn restore_verdicts(
    name: &str,
    graph: &Graph,
    stages: &[Stage],
    keys: &BTreeMap<usize, unchanged::Key>,
    run: &Run,
) -> Result<(BTreeMap<usize, Verdict>, Option<Journal>)> {
    let mut earlier = BTreeMap::new();
    if may_recall(stages, run) {
        earlier = unchanged::find_passed(stages, keys, run);
    }
    // Opening a journal syncs to disk, which takes longer than a run with nothing to do.
    if earlier.len() == graph.len() {
        return Ok((earlier, None));
    }
    let key = key(name, stages, run)?;
    let path = run.workspace.scratch().join("journal").join(format!("{name}-{key}.jsonl"));
    let (journal, records) = Journal::open(&path, may_be_up_to_date(stages, run))?;
    let kept = resume::find_finished(graph, &records, |node, wrote| {
        has_unchanged_outputs(stages, node, run, wrote)
    });
    earlier.extend(kept.into_iter().map(|(node, fact)| (node, Verdict::Cached { fact })));
    Ok((earlier, Some(journal)))
}

impl StepResult {
    fn from_error(error: &anyhow::Error, milliseconds: u64) -> Self {
        let error = format!("{error:#}");
        Self { verdict: Verdict::Failed { error }, wrote: String::new(), milliseconds }
    }

    fn from_skip(skip: Skip) -> Self {
        Self { verdict: Verdict::Skipped { skip }, wrote: String::new(), milliseconds: 0 }
    }
}

/// Runs one step on its own thread: checks needs, runs, computes the digest of its outputs.
fn attempt(stages: &[Stage], node: usize, run: &Run) -> Result<StepResult> {
    let step = stages.get(node).context("there is no such step")?.step;
    for need in step.needs(run) {
        if let Need::Tool(tool) = need
            && let Err(missing) = run.tools.check(tool)
        {
            let skip = Skip::MissingTool { tool: missing.problem, fix: missing.fix };
            return Ok(StepResult::from_skip(skip));
        }
    }
    let log = run.tools.log(&run.workspace.scratch().join("logs"), step.name())?;
    let log = log.with_echo(run.options.verbose);
    let started = Instant::now();
    let outcome = step.plan(run).and_then(|plan| Ok((step.run(run, &log)?, plan)));
    let took = milliseconds(started);
    let (outcome, plan) = match outcome {
        Ok(outcome) => outcome,
        Err(_) if run.tools.stop().is_requested() => {
            return Ok(StepResult::from_skip(Skip::Stopped));
        }
        Err(error) => {
            log.note(&format!("error: {error:#}"));
            return Ok(StepResult::from_error(&error, took));
        }
    };
    let judgement = match outcome {
        Outcome::Done(fact) => Judgement { fact, ..Judgement::default() },
        Outcome::Found(findings) => Judgement { findings, ..Judgement::default() },
        Outcome::Judged(judgement) => judgement,
        Outcome::Skipped(skip) => return Ok(StepResult::from_skip(skip)),
    };
    let findings = judgement.findings.iter().map(ToString::to_string);
    let gaps = judgement.gaps.iter().map(ToString::to_string);
    findings.chain(gaps).for_each(|text| log.note(&text));
    let verdict = verdict(judgement, run.options.strict);
    let mut wrote = String::new();
    if verdict.is_good() {
        let writes = plan.writes.iter().map(AsRef::as_ref);
        wrote = tree::stamp(run.workspace.root(), writes)?;
    }
    Ok(StepResult { verdict, wrote, milliseconds: took })
}

/// The verdict for a judgement. In `strict` mode a gap is an error.
fn verdict(judgement: Judgement, strict: bool) -> Verdict {
    let Judgement { fact, findings, gaps, expected } = judgement;
    if !findings.is_empty() {
        return Verdict::Found { findings, fact };
    }
    if gaps.is_empty() {
        return Verdict::Done { fact };
    }
    if strict && !expected {
        let gaps: Vec<_> = gaps.iter().map(ToString::to_string).collect();
        let error = format!("{fact}; skips are not allowed here\n{}", gaps.join("\n"));
        return Verdict::Failed { error };
    }
    Verdict::Incomplete { fact, gaps, expected }
}

/// Whether unchanged gates may be skipped: not for a release, and not for a gate that is run by
/// name.
fn may_recall(stages: &[Stage], run: &Run) -> bool {
    stages.len() > 1 && run.version().channel() == Channel::Snapshot
}

/// Whether steps that succeeded in an earlier run with the same key may be skipped: not for a
/// release, and not if a step has to run every time.
fn may_be_up_to_date(stages: &[Stage], run: &Run) -> bool {
    may_recall(stages, run) && stages.iter().all(|stage| stage.step.can_be_up_to_date(run))
}

/// Whether the step's outputs are unchanged.
fn has_unchanged_outputs(stages: &[Stage], node: usize, run: &Run, wrote: &str) -> bool {
    let Some(stage) = stages.get(node) else { return false };
    let Ok(plan) = stage.step.plan(run) else { return false };
    // Files in the release folder are of no use without their manifest.
    let dist = run.dist_in_plan();
    if plan.writes.iter().any(|path| path.starts_with(&dist)) && run.manifest().is_err() {
        return false;
    }
    tree::stamp(run.workspace.root(), plan.writes.iter().map(AsRef::as_ref))
        .is_ok_and(|digest| digest == wrote)
}

/// Key of a run: pipeline, source, programs, and options.
fn key(name: &str, stages: &[Stage], run: &Run) -> Result<String> {
    let mut facts = BTreeMap::new();
    facts.insert("pipeline", name.to_owned());
    facts.insert("source", run.workspace.identity()?);
    facts.insert("version", run.version().text().to_owned());
    facts.insert("epoch", run.workspace.epoch().to_string());
    facts.insert("options", run.options.identity());
    let names: Vec<_> = stages.iter().map(|stage| stage.step.name()).collect();
    facts.insert("steps", names.join(" "));
    let needs: BTreeSet<_> = stages.iter().flat_map(|stage| stage.step.needs(run)).collect();
    let versions = needs.iter().filter_map(|need| match need {
        Need::Tool(name) | Need::Wanted(name) | Need::Test(name) => {
            Some((name, run.tools.version(name)))
        }
        Need::Space(_) | Need::Runs(_) => None,
    });
    facts.insert("tools", format!("{:?}", versions.collect::<Vec<_>>()));
    facts.insert("environment", run.tools.environment());
    let own = checksum::sha256(Path::new("/proc/self/exe"));
    facts.insert("xtask", own.context("cannot read the running program")?.0);
    let mut variables = BTreeMap::new();
    for stage in stages {
        // A plan that fails is reported when the step runs.
        for input in stage.step.plan(run).map(|plan| plan.reads).unwrap_or_default() {
            if let Input::Env(name) = input {
                variables.insert(name, std::env::var_os(name));
            }
        }
    }
    let variables = format!("{variables:?}");
    facts.insert("variables", tree::digest_of_bytes(variables.as_bytes()));
    let digest = tree::digest_of_bytes(&serde_json::to_vec(&facts)?);
    Ok(digest.get(..16).unwrap_or(&digest).to_owned())
}

/// Takes the lock on `target`: one run at a time. The kernel releases it when the process ends.
fn lock(scratch: &Path) -> Result<File> {
    let path = scratch.join("lock");
    std::fs::create_dir_all(scratch)
        .with_context(|| format!("cannot create the folder {}", scratch.display()))?;
    let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("another `cargo xtask` is running in this workspace: wait until it ends")
        }
        Err(std::fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}

fn stop_or(run: &Run, reaction: Reaction) -> Reaction {
    if run.tools.stop().is_requested() { Reaction::Stop } else { reaction }
}

fn milliseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Prints the result of a step with all its faults.
fn show(row: &Row, ui: &Ui) {
    let log = row.log.as_deref().unwrap_or_default();
    match &row.verdict {
        Verdict::Done { fact } => {
            let fact = if fact.is_empty() { String::new() } else { format!(": {fact}") };
            let took = seconds(row.milliseconds);
            ui.status("Finished", &format!("{}{fact}, in {took}", row.step));
        }
        Verdict::Cached { .. } => {
            ui.status("Cached", &format!("{}, from an earlier run", row.step));
        }
        Verdict::Unchanged { since, .. } => {
            ui.status("Unchanged", &format!("{} since {since}", row.step));
        }
        Verdict::Incomplete { fact, gaps, .. } => {
            ui.status_doubtful(
                "Finished",
                &format!("{}: {fact}; see the {} below", row.step, count(gaps.len(), "gap")),
            );
        }
        Verdict::Found { findings, .. } => {
            for finding in findings {
                ui.error(&finding.to_string());
            }
            ui.status_bad("Failed", &format!("{}, log: {log}", row.step));
        }
        Verdict::Failed { error } => {
            ui.error(&format!("{}: {error}", row.step));
            ui.status_bad("Failed", &format!("{}, log: {log}", row.step));
        }
        Verdict::Skipped { skip } => {
            ui.status_doubtful("Skipped", &format!("{}: {skip}", row.step));
        }
    }
}

/// Duration of the longest path through the graph.
fn critical_path(graph: &Graph, rows: &[Row]) -> u64 {
    let mut ends: Vec<u64> = Vec::with_capacity(rows.len());
    for (node, row) in rows.iter().enumerate() {
        let start = graph.dependencies(node).iter().filter_map(|it| ends.get(*it)).max();
        ends.push(start.unwrap_or(&0) + row.milliseconds);
    }
    ends.into_iter().max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Gap;
    use foundation::finding::Finding;

    #[test]
    fn a_gap_is_an_error_where_nothing_may_be_left_out() {
        let gap =
            Gap { problem: "skopeo is not installed".to_owned(), fix: "install it".to_owned() };
        let judgement = |gaps: &[&Gap], expected| Judgement {
            fact: "4 passed".to_owned(),
            gaps: gaps.iter().map(|it| (*it).clone()).collect(),
            expected,
            ..Judgement::default()
        };
        let done = Verdict::Done { fact: "4 passed".to_owned() };
        assert_eq!(verdict(judgement(&[], false), true), done);
        let lenient = verdict(judgement(&[&gap], false), false);
        assert!(matches!(lenient, Verdict::Incomplete { expected: false, .. }), "{lenient:?}");
        let strict = verdict(judgement(&[&gap], false), true);
        let Verdict::Failed { error } = &strict else { panic!("{strict:?}") };
        assert!(error.contains("skopeo is not installed\n    fix: install it"), "{error}");
        let bare = verdict(judgement(&[&gap], true), true);
        assert!(matches!(bare, Verdict::Incomplete { expected: true, .. }), "{bare:?}");
        let found = vec![Finding::in_file("a", "r", "m", "f")];
        let found = Judgement { findings: found, ..judgement(&[&gap], false) };
        assert!(matches!(verdict(found, false), Verdict::Found { .. }));
    }
}
