// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tests with the slowest ones, and coverage by crate.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use engine::junit::Case;
use foundation::text::{count, seconds};
use maud::{Markup, html};
use rules::coverage::LineCoverage;

use super::table;

/// Number of slow tests in the table.
const SLOWEST: usize = 10;

/// The tests of nextest. Skips are gaps of the step `test`.
pub(crate) fn tests(cases: &[Case]) -> Markup {
    let failed = cases.iter().filter(|it| it.failure.is_some()).count();
    let suites: BTreeSet<_> = cases.iter().map(|it| &it.suite).collect();
    let total = cases.iter().map(|it| it.milliseconds).sum();
    let mut slowest: Vec<_> = cases.iter().collect();
    slowest.sort_by_key(|it| (Reverse(it.milliseconds), &it.suite, &it.name));
    let rows = slowest.into_iter().take(SLOWEST).map(|case| {
        [
            html! { (case.suite) },
            html! { (case.name) @if case.failure.is_some() { " " b.bad { "failed" } } },
            html! { (seconds(case.milliseconds)) },
        ]
    });
    html! {
        p {
            (count(cases.len(), "test")) " of " (count(suites.len(), "suite"))
            ", " (failed) " failed, " (seconds(total)) " in total. The slowest:"
        }
        (table::render(["suite", "test", "#time"], rows))
    }
}

/// Lines that tests reach, by crate.
pub(crate) fn coverage(crates: &BTreeMap<String, LineCoverage>) -> Markup {
    let row = |name: &str, share: &LineCoverage| {
        let percent = format!("{:.1}", share.percent());
        [
            html! { (name) },
            html! { meter min="0" max="100" value=(percent) {} },
            html! { (percent) " %" },
            html! { (share.lines) },
        ]
    };
    let whole = crates.values().fold(LineCoverage::default(), |sum, share| LineCoverage {
        lines: sum.lines + share.lines,
        reached: sum.reached + share.reached,
    });
    let rows = crates.iter().map(|(name, share)| row(name, share));
    table::render(["crate", "", "#lines covered", "#lines"], rows.chain([row("all", &whole)]))
}
