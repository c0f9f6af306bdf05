// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The page and its sections.

use engine::graph::Report;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::file::Known;
use super::input::Input;
use super::{artifacts, findings, quality, sbom, timeline};

/// The only style, in the page, which thus needs no other file.
const STYLE: &str = include_str!("../data/style.css");

/// Renders the page for the product called `title`.
pub(crate) fn render(title: &str, input: &Input) -> String {
    let Input { run, tests, coverage, release, previous } = input;
    let sections = [
        ("timeline", "Timeline", render_known(run, timeline::section)),
        ("gates", "Findings and skips", render_known(run, findings::section)),
        ("tests", "Tests", render_known(tests, |it| quality::tests(it))),
        ("coverage", "Coverage", render_known(coverage, quality::coverage)),
        ("release", "Release", render_known(release, artifacts::facts)),
        (
            "artifacts",
            "Artifacts",
            render_known(release, |it| artifacts::sizes(it, previous.as_ref())),
        ),
        ("sboms", "SBOMs and licences", render_known(release, sbom::section)),
        (
            "reproducibility",
            "Reproducibility",
            render_known(release, |it| {
                artifacts::render_reproduced(it.manifest.reproduced.as_ref())
            }),
        ),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                meta name="color-scheme" content="light dark";
                title { (title) ": report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) ": report" }
                    (render_known(run, head))
                }
                nav { @for (id, name, _) in &sections { a href={ "#" (id) } { (name) } " " } }
                main {
                    @for (id, name, content) in &sections {
                        section id=(id) { h2 { (name) } (content) }
                    }
                }
            }
        }
    };
    page.into_string()
}

/// Result, version and commit of the run.
fn head(report: &Report) -> Markup {
    let (class, word) = match report.exit_code() {
        0 => ("good", "passed"),
        3 => ("doubtful", "incomplete"),
        _ => ("bad", "failed"),
    };
    html! {
        p.result { b class=(class) { (word) } " " (report.summary()) }
        p { "Version " (report.version) ", commit " code { (report.commit) } }
    }
}

/// Renders the content, or the reason why it is unknown.
fn render_known<T>(value: &Known<T>, render: impl FnOnce(&T) -> Markup) -> Markup {
    match value {
        Ok(value) => render(value),
        Err(reason) => html! { p.missing { (reason) } },
    }
}
