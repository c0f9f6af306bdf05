// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Findings, gaps and skipped steps.

use engine::graph::{Report, Row, Verdict};
use engine::{Gap, Skip};
use foundation::finding::Finding;
use maud::{Markup, html};

use super::table;

/// All steps that did not simply succeed, each with the details.
pub(crate) fn section(report: &Report) -> Markup {
    let details: Vec<_> =
        report.steps.iter().filter_map(|row| Some((row, details(&row.verdict)?))).collect();
    html! {
        @if details.is_empty() {
            p { "No finding, no skip." }
        }
        @for (row, details) in details {
            section.step { h3 { (row.step) " " (badge(report, row)) } (details) }
        }
    }
}

/// The result of a step, as in the table that the run printed.
pub(crate) fn badge(report: &Report, row: &Row) -> Markup {
    let (word, _) = report.cells(row);
    let class = match word {
        "failed" => "bad",
        "skipped" | "partly" => "doubtful",
        _ => "good",
    };
    html! { b class=(class) { (word) } }
}

/// Details of a result; `None` if the timeline already shows everything.
fn details(verdict: &Verdict) -> Option<Markup> {
    Some(match verdict {
        Verdict::Done { .. }
        | Verdict::Cached { .. }
        | Verdict::Unchanged { .. }
        | Verdict::Skipped { skip: Skip::NotApplicable { .. } } => return None,
        Verdict::Found { findings, .. } => findings_table(findings),
        Verdict::Failed { error } => html! { pre { (error) } },
        Verdict::Incomplete { gaps, .. } => gaps_table(gaps),
        Verdict::Skipped { skip: Skip::MissingTool { tool, fix } } => {
            gaps_table(&[Gap { problem: tool.clone(), fix: fix.clone() }])
        }
        Verdict::Skipped { skip: Skip::Unable(gap) } => gaps_table(std::slice::from_ref(gap)),
        Verdict::Skipped { skip: skip @ (Skip::Upstream { .. } | Skip::Stopped) } => {
            html! { p { (skip.to_string()) } }
        }
    })
}

fn findings_table(findings: &[Finding]) -> Markup {
    let rows = findings.iter().map(|it| {
        let line = it.line.map(|line| format!(":{line}")).unwrap_or_default();
        [
            html! { code { (it.file) (line) } },
            html! { (it.rule) },
            html! { (it.message) },
            html! { (it.fix) },
        ]
    });
    table::render(["place", "rule", "finding", "fix"], rows)
}

fn gaps_table(gaps: &[Gap]) -> Markup {
    let rows = gaps.iter().map(|gap| [html! { (gap.problem) }, html! { code { (gap.fix) } }]);
    table::render(["not checked", "fix"], rows)
}
