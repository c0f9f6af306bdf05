// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs a parsed command line and returns the exit code.

use std::io::{Write as _, stdout};
use std::path::Path;

use anyhow::{Context as _, Result};
use engine::graph::{self, Preview, Report, Stage};
use engine::preflight::{self, MissingNeed};
use engine::tool::{Stop, Toolbox};
use engine::workspace::{Version, Workspace};
use engine::{Input, Need, Run, Ui};
use foundation::command::Command;
use foundation::git;
use programs::notary;
use publish::{bump, notes, verify, version};
use release::Manifest;
use serde::Serialize;

use crate::cli::{self, Format, Output, ReleaseSelection, Request, Verb};
use crate::results::Results;
use crate::{clean, completions, distribution, doctor, hooks, pipelines, setup, staged};

/// Exit code: a gate or a step failed.
const FAILED: u8 = 1;
/// Exit code: the workspace or its configuration is invalid.
const CONFIGURATION: u8 = 2;
/// Exit code: something did not run.
const DID_NOT_RUN: u8 = 3;

/// Runs the request, prints the result and returns the exit code.
pub(crate) fn main(request: Request) -> u8 {
    let ui = Ui::new(request.options.verbose);
    if let Verb::Completions(shell) = request.verb {
        completions::print(shell, &mut cli::command());
        return 0;
    }
    if let Verb::Staged = request.verb {
        return staged::validate().unwrap_or_else(|error| {
            ui.error(&format!("{error:#}"));
            CONFIGURATION
        });
    }
    let output = request.output;
    let (verb, run) = match prepare(request) {
        Ok(ready) => ready,
        Err(error) => {
            ui.error(&format!("{error:#}"));
            return CONFIGURATION;
        }
    };
    match carry_out(&verb, &run, output, &ui) {
        Ok(code) => code,
        Err(error) => {
            ui.clear();
            ui.error(&format!("{error:#}"));
            if error.is::<git::Shallow>() { DID_NOT_RUN } else { FAILED }
        }
    }
}

/// Builds the context of the run: workspace and version.
fn prepare(request: Request) -> Result<(Verb, Run)> {
    notary::refuse_secrets()?;
    let here = std::env::current_dir().context("cannot determine the current folder")?;
    let workspace = Workspace::discover(&here)?;
    let tools = Toolbox::new(&workspace.target(), Stop::on_signals()?)?;
    let (version, folder) = match &request.about {
        ReleaseSelection::Snapshot => (workspace.snapshot(), None),
        ReleaseSelection::Commit => (workspace.version(), None),
        ReleaseSelection::Tag(tag) => (workspace.release(tag.as_deref())?, None),
        ReleaseSelection::Version(text) => (Version::parse(text).context("--version")?, None),
        ReleaseSelection::Folder(folder) => (version_in(folder)?, Some(folder.clone())),
    };
    let run = Run::new(workspace, request.options, tools, version);
    if let ReleaseSelection::Tag(_) = request.about {
        version::require(&run)?;
    }
    Ok((request.verb, folder.into_iter().fold(run, Run::of_folder)))
}

/// The version of the release in `folder`.
fn version_in(folder: &Path) -> Result<Version> {
    let path = folder.join(release::layout::MANIFEST);
    let bytes = std::fs::read(&path)
        .with_context(|| format!("cannot read {}: expected a release folder", path.display()))?;
    let manifest =
        Manifest::parse(&bytes).with_context(|| format!("{} is malformed", path.display()))?;
    Ok(Version::of(&manifest))
}

fn carry_out(verb: &Verb, run: &Run, output: Output, ui: &Ui) -> Result<u8> {
    match verb {
        Verb::Step(step) => {
            stages(step.name(), &[Stage { step: *step, after: &[] }], run, output, ui)
        }
        Verb::Pipeline(pipeline) if output.changed => {
            stages(pipeline.name, &select_stages(pipeline.stages, run)?, run, output, ui)
        }
        Verb::Pipeline(pipeline) => stages(pipeline.name, pipeline.stages, run, output, ui),
        Verb::Part(pipeline, part) => stages(pipeline.name, part, run, output, ui),
        Verb::Setup(steps) => {
            if let Some(note) = distribution::note() {
                ui.warn(&note);
            }
            let missing = setup::find_missing(run, steps.as_deref());
            setup::run(run, &missing, output.plan.is_some(), ui)
        }
        Verb::UpdatePins => setup::update_pins(run, ui),
        Verb::Hooks => hooks::install(run, output.plan.is_some(), ui),
        Verb::Doctor => {
            let all = output.all;
            if let Some(note) = distribution::note() {
                ui.warn(&note);
            }
            let report = doctor::examine(run, &pipelines::commands(), all);
            let text = if output.json { json(&report)? } else { report.text(all) };
            show(&text)?;
            Ok(report.exit_code())
        }
        Verb::Version => {
            let verdict = version::examine(run)?;
            show(&if output.json { json(&verdict)? } else { verdict.text() })?;
            Ok(verdict.exit_code())
        }
        Verb::Bump => {
            let bump = bump::Bump::plan(run)?;
            show(&bump.text())?;
            if output.plan.is_none() {
                bump.carry_out(run)?;
            }
            Ok(0)
        }
        Verb::Notes(range) => {
            let notes = notes::compose(run, range.as_deref())?;
            show(&if output.json { json(&notes)? } else { changes::render(&notes) })?;
            Ok(0)
        }
        Verb::Channels(call) => {
            let calls = [Some(call.command(run)?), call.page(run)?];
            ask_notary(run, "channels", calls.iter().flatten(), output)
        }
        Verb::Verify(arguments) => {
            ask_notary(run, "verify", [&verify::plan_other(run, arguments)?], output)
        }
        Verb::Report => {
            show(&format!("{}\n", report::write(run)?.display()))?;
            Ok(0)
        }
        Verb::Clean => clean::run(run, output.plan.is_some(), ui),
        // These need no workspace and were run before.
        Verb::Completions(_) | Verb::Staged => Ok(0),
    }
}

/// Prints the calls of `notary`, or runs them one after another and prints their answers, up to the
/// first that fails.
fn ask_notary<'a>(
    run: &Run,
    name: &str,
    calls: impl IntoIterator<Item = &'a Command>,
    output: Output,
) -> Result<u8> {
    for command in calls {
        if output.plan.is_some() {
            show(&format!("{}\n", run.tools.line(command)))?;
            continue;
        }
        let answer = notary::ask(run, name, command)?;
        show(&answer.text)?;
        if answer.code != 0 {
            return Ok(answer.code);
        }
    }
    Ok(0)
}

/// JSON result of a run.
#[derive(Serialize)]
struct RunReport<'a> {
    #[serde(flatten)]
    report: &'a Report,
    results: &'a Results,
}

/// Prints the plan, or installs what is missing and runs it.
fn stages(name: &str, stages: &[Stage], run: &Run, output: Output, ui: &Ui) -> Result<u8> {
    if let Some(format) = output.plan {
        let preview = Preview::new(name, stages, run)?;
        show(&if format == Format::Json {
            json(&preview)?
        } else {
            preview.text(run.options.verbose || stages.len() == 1)
        })?;
        return Ok(0);
    }
    let lacks = preflight::check(run, stages.iter().map(|stage| stage.step))?;
    let steps: Vec<_> = stages.iter().map(|stage| stage.step).collect();
    let missing = setup::find_missing(run, Some(&steps));
    let complete = lacks.is_empty() && missing.is_empty();
    if let Some(note) = distribution::note().filter(|_| !complete) {
        ui.warn(&note);
    }
    if !complete && !install_missing(&lacks, &missing, stages, run, ui)? {
        return Ok(FAILED);
    }
    if output.fix {
        fix(stages, run, ui)?;
    }
    let report = graph::run(name, stages, run, ui)?;
    let results = Results::of(stages, run, report.exit_code() != FAILED);
    show(&if output.json {
        json(&RunReport { report: &report, results: &results })?
    } else {
        // For a single step, its row in the table names the result.
        let results = if stages.len() > 1 { results.text() } else { String::new() };
        format!("\n{}{results}", report.table())
    })?;
    Ok(report.exit_code())
}

/// The stages that read a file which differs from the last commit.
fn select_stages(stages: &[Stage], run: &Run) -> Result<Vec<Stage>> {
    let changed = git::list_changed(run.workspace.root(), run.workspace.commit())?;
    let mut concerned = Vec::new();
    for stage in stages {
        let reads = stage.step.plan(run)?.reads;
        let is_read = |path: &String| {
            reads
                .iter()
                .any(|it| matches!(it, Input::Source(at) if Path::new(path).starts_with(at)))
        };
        if changed.iter().any(is_read) {
            concerned.push(*stage);
        }
    }
    Ok(concerned)
}

/// Applies automatic fixes, last gate first: other fixes may need formatting.
fn fix(stages: &[Stage], run: &Run, ui: &Ui) -> Result<()> {
    for stage in stages.iter().rev() {
        let name = format!("fix-{}", stage.step.name());
        let log = run.tools.log(&run.workspace.scratch().join("logs"), &name)?;
        // The gate reports what could not be fixed.
        if let Err(error) = stage.step.fix(run, &log.with_echo(run.options.verbose)) {
            ui.warn(&format!("{}: not everything could be fixed: {error:#}", stage.step.name()));
        }
    }
    run.workspace.look_again();
    Ok(())
}

/// Reports what is missing and installs `tools` (optional ones included) on request. Returns
/// whether the run can start: gates without their program are skipped; every other step needs its
/// programs.
fn install_missing(
    lacks: &[MissingNeed],
    tools: &[&'static str],
    stages: &[Stage],
    run: &Run,
    ui: &Ui,
) -> Result<bool> {
    let required = lacks.iter().any(|lack| matches!(lack.need, Need::Tool(_)));
    if !tools.is_empty() && (required || !setup::was_declined(run, tools)) {
        // Failures were reported; the next check decides whether the run can start.
        let _code = setup::run(run, tools, false, ui)?;
    }
    let check = || preflight::check(run, stages.iter().map(|stage| stage.step));
    let mut left = check()?;
    for lack in &left {
        if let Need::Runs(architecture) = lack.need
            && run.options.yes
            && let Err(error) = setup::enable_emulation(run, architecture)
        {
            ui.warn(&format!("{error:#}"));
        }
    }
    if left.iter().any(|lack| matches!(lack.need, Need::Runs(_))) {
        left = check()?;
    }
    for lack in &left {
        ui.warn(&format!(
            "{} (needed by {})\n    fix: {}",
            lack.problem,
            lack.steps.join(", "),
            lack.fix
        ));
    }
    let gates: Vec<_> =
        stages.iter().filter(|it| it.step.is_gate()).map(|it| it.step.name()).collect();
    let fatal = |lack: &MissingNeed| match lack.need {
        Need::Test(_) => false,
        Need::Tool(_) => lack.steps.iter().any(|it| !gates.contains(it)),
        Need::Wanted(_) | Need::Space(_) | Need::Runs(_) => true,
    };
    if left.iter().any(fatal) {
        ui.error(
            "nothing was started: install the missing programs, or run `cargo xtask setup --yes`",
        );
        return Ok(false);
    }
    Ok(true)
}

fn json(value: &impl Serialize) -> Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Writes a result to standard output; a closed pipe (`| head`) is not an error.
fn show(text: &str) -> Result<()> {
    match stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}
