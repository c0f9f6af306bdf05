// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Timeline of a run: when each step ran, what it waited for, and the critical path.

use std::collections::BTreeMap;

use engine::graph::{Report, Row};
use foundation::text::seconds;
use maud::{Markup, html};

use super::findings::badge;

/// Shorter waits are those of the scheduler itself.
const WAIT: u64 = 500;

/// All steps in the order of their start.
pub(crate) fn section(report: &Report) -> Markup {
    let path = critical_path(&report.steps);
    let mut rows: Vec<_> = report.steps.iter().collect();
    // A stable sort: steps that did not run keep the order of the pipeline, at the end.
    rows.sort_by_key(|row| (!row.verdict.has_run(), row.started_milliseconds));
    let scale = rows.iter().map(|row| end(row)).max().unwrap_or(0).max(report.milliseconds).max(1);
    html! {
        ol.timeline {
            @for row in rows {
                @let is_critical = path.contains(&row.step.as_str());
                li class=[is_critical.then_some("critical")] {
                    span.name { (row.step) }
                    @if row.verdict.has_run() {
                        span.time { (seconds(row.milliseconds)) }
                        span.track { span.bar style=(place(row, scale)) {} }
                    }
                    span.note {
                        (badge(report, row)) " " (report.cells(row).1)
                        @if let Some(wait) = describe_wait(row, &report.steps) { " · " (wait) }
                        @if is_critical { " · on the critical path" }
                    }
                }
            }
        }
        p.scale { "0 s to " (seconds(scale)) }
        @if !path.is_empty() {
            p {
                "Critical path, " (seconds(report.critical_path_milliseconds)) ": "
                (path.join(" → "))
            }
        }
    }
}

/// End of a step, since the start of the run.
fn end(row: &Row) -> u64 {
    row.started_milliseconds.saturating_add(row.milliseconds)
}

/// Position of a bar, in per cent of `scale`.
fn place(row: &Row, scale: u64) -> String {
    let percent = |milliseconds: u64| {
        let tenths = milliseconds.saturating_mul(1000) / scale;
        format!("{}.{}%", tenths / 10, tenths % 10)
    };
    format!("left:{};width:{}", percent(row.started_milliseconds), percent(row.milliseconds))
}

/// The cause of a wait: the dependency that ended last, and then a free job.
fn describe_wait(row: &Row, rows: &[Row]) -> Option<String> {
    if !row.verdict.has_run() {
        return None;
    }
    let before = rows.iter().filter(|it| row.after.contains(&it.step) && it.verdict.has_run());
    let last = before.max_by_key(|it| end(it));
    let wait = row.started_milliseconds.saturating_sub(last.map_or(0, end));
    let after = last.map(|it| format!("after {}", it.step));
    let job = (wait >= WAIT).then(|| format!("waited {} for a free job", seconds(wait)));
    let parts: Vec<_> = after.into_iter().chain(job).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The steps of the longest path through the graph by duration, first to last.
fn critical_path(rows: &[Row]) -> Vec<&str> {
    let mut ends: BTreeMap<&str, (u64, Option<&str>)> = BTreeMap::new();
    // Each round propagates along one more edge; a path has fewer edges than there are steps.
    for _ in rows {
        for row in rows {
            let before = row.after.iter().filter_map(|name| {
                let (end, _) = ends.get(name.as_str())?;
                Some((*end, name.as_str()))
            });
            let last = before.max();
            let end = last.map_or(0, |(end, _)| end).saturating_add(row.milliseconds);
            ends.insert(&row.step, (end, last.map(|(_, name)| name)));
        }
    }
    let mut path = Vec::new();
    let last = ends.iter().max_by_key(|(name, (end, _))| (*end, std::cmp::Reverse(**name)));
    let mut next = last.filter(|(_, (end, _))| *end > 0).map(|(name, _)| *name);
    while let Some(name) = next
        && path.len() < rows.len()
    {
        path.push(name);
        next = ends.get(name).and_then(|(_, before)| *before);
    }
    path.reverse();
    // Steps that did not run take no time.
    path.retain(|name| rows.iter().any(|row| row.step == *name && row.milliseconds > 0));
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::graph::Verdict;

    fn row(step: &str, after: &[&str], started_milliseconds: u64, milliseconds: u64) -> Row {
        Row {
            step: step.to_owned(),
            after: after.iter().map(|&it| it.to_owned()).collect(),
            verdict: Verdict::Done { fact: String::new() },
            started_milliseconds,
            milliseconds,
            log: None,
        }
    }

    #[test]
    fn the_critical_path_is_the_longest_by_duration() {
        let rows = [
            row("last", &["slow", "quick"], 9_000, 100),
            row("slow", &["first"], 1_000, 8_000),
            row("quick", &["first"], 1_000, 10),
            row("first", &[], 0, 1_000),
            row("alone", &[], 0, 9_050),
        ];
        assert_eq!(critical_path(&rows), ["first", "slow", "last"]);
        assert_eq!(critical_path(&[row("cached", &[], 0, 0)]), [""; 0]);
        let skipped = [row("a", &[], 0, 5), row("b", &["a"], 0, 0)];
        assert_eq!(critical_path(&skipped), ["a"]);
        // The engine refuses a cycle; a file can have one.
        let cycle = [row("a", &["b"], 0, 1), row("b", &["a"], 0, 1)];
        assert!(critical_path(&cycle).len() <= 2);
    }

    #[test]
    fn a_step_waits_for_the_last_dependency_and_for_a_job() {
        let rows = [
            row("a", &[], 0, 4_000),
            row("b", &[], 0, 5_000),
            row("c", &["a", "b"], 5_100, 1),
            row("d", &["a"], 6_000, 1),
            row("e", &[], 700, 1),
        ];
        let waits: Vec<_> =
            rows.iter().map(|row| describe_wait(row, &rows).unwrap_or_default()).collect();
        let job = "after a, waited 2.0 s for a free job";
        assert_eq!(waits, ["", "", "after b", job, "waited 0.7 s for a free job"]);
    }
}
