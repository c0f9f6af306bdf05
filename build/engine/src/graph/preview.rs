// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Prints the plan of a pipeline as text or JSON (`--dry-run`).

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use super::Stage;
use crate::plan::{Action, Input, Need, Plan};
use crate::run::Run;

/// The plan of a pipeline.
#[derive(Debug, Serialize)]
pub struct Preview {
    title: String,
    pipeline: String,
    version: String,
    commit: String,
    epoch: u64,
    jobs: usize,
    steps: Vec<Planned>,
}

/// The plan of one step.
#[derive(Debug, Serialize)]
struct Planned {
    name: &'static str,
    about: &'static str,
    after: &'static [&'static str],
    needs: Vec<Need>,
    plan: Plan,
    /// Commands in shell syntax.
    lines: Vec<String>,
}

impl Preview {
    /// Plans `stages` without side effects.
    ///
    /// # Errors
    /// When the graph is invalid, or a step cannot plan.
    pub fn new(pipeline: &str, stages: &[Stage], run: &Run) -> Result<Self> {
        super::graph(stages)?;
        let plan = |stage: &Stage| {
            let plan = stage.step.plan(run)?;
            Ok(Planned {
                name: stage.step.name(),
                about: stage.step.about(),
                after: stage.after,
                needs: stage.step.needs(run),
                lines: plan.commands().map(|command| run.tools.line(command)).collect(),
                plan,
            })
        };
        Ok(Self {
            title: run.workspace.product().product.title.clone(),
            pipeline: pipeline.to_owned(),
            version: run.version().text().to_owned(),
            commit: run.workspace.commit().to_owned(),
            epoch: run.workspace.epoch(),
            jobs: run.options.jobs.get(),
            steps: stages.iter().map(plan).collect::<Result<_>>()?,
        })
    }

    /// Text form.
    pub fn text(&self) -> String {
        let mut out = format!("{} {}: {}\n", self.title, self.version, self.pipeline);
        for step in &self.steps {
            out.push('\n');
            push(&mut out, step.name, step.about);
            if !step.after.is_empty() {
                push(&mut out, "  after", &step.after.join(", "));
            }
            let mut lines = step.lines.iter();
            for action in &step.plan.actions {
                match action {
                    Action::Command(_) => {
                        push(&mut out, "  run", lines.next().map_or("", String::as_str));
                    }
                    Action::Native(what) => push(&mut out, "  do", what),
                }
            }
            let reads: Vec<_> = step.plan.reads.iter().map(input).collect();
            if !reads.is_empty() {
                push(&mut out, "  reads", &reads.join(", "));
            }
            for path in &step.plan.writes {
                push(&mut out, "  writes", &path.display().to_string());
            }
        }
        out
    }
}

fn push(out: &mut String, key: &str, value: &str) {
    // Writing to a String cannot fail.
    let _infallible = writeln!(out, "{key:9} {value}");
}

fn input(input: &Input) -> String {
    match input {
        Input::Source(folder) if folder.as_os_str().is_empty() => "the source".to_owned(),
        Input::Source(folder) => format!("the source in {}", folder.display()),
        Input::Path(path) => path.display().to_string(),
        Input::Tool(name) => format!("the version of {name}"),
        Input::Env(name) => format!("${name}"),
        Input::Fact(name, value) => format!("{name} ({value})"),
        Input::Day => "the day".to_owned(),
        Input::Manifest => "release.json".to_owned(),
    }
}
