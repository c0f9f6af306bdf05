// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Prints the plan of a pipeline as text or JSON (`--dry-run`).

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

    /// Text form: one line per step; with `verbose` also its actions, inputs and outputs.
    pub fn text(&self, verbose: bool) -> String {
        let mut out = format!("{} {}: {}\n", self.title, self.version, self.pipeline);
        let width = self.steps.iter().map(|step| step.name.len()).max().unwrap_or_default();
        for step in &self.steps {
            if verbose {
                step.push_details(&mut out);
            } else {
                push(&mut out, width, step.name, step.about);
            }
        }
        if !verbose {
            out.push_str("\n--verbose lists commands, inputs and outputs\n");
        }
        out
    }
}

impl Planned {
    fn push_details(&self, out: &mut String) {
        let mut push = |key, value: &str| push(out, 9, key, value);
        push("", "");
        push(self.name, self.about);
        if !self.after.is_empty() {
            push("  after", &self.after.join(", "));
        }
        let mut lines = self.lines.iter();
        for action in &self.plan.actions {
            match action {
                Action::Command(_) => push("  run", lines.next().map_or("", String::as_str)),
                Action::Native(what) => push("  do", what),
            }
        }
        let reads: Vec<_> = self.plan.reads.iter().map(input).collect();
        if !reads.is_empty() {
            push("  reads", &reads.join(", "));
        }
        for path in &self.plan.writes {
            push("  writes", &path.display().to_string());
        }
    }
}

fn push(out: &mut String, width: usize, key: &str, value: &str) {
    out.push_str(&format!("{}\n", format!("{key:width$} {value}").trim_end()));
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
