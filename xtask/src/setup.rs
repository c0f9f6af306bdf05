// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Installs missing programs with the host's package managers.

use std::io::{IsTerminal as _, Write as _, stderr, stdin};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, bail};
use engine::tool::{Source, programs, spec};
use engine::{Need, Run, Step, StepLog, Ui};
use foundation::text::seconds;
use foundation::{atomic, emulation};
use release::Architecture;

use self::work::Work;

mod apt;
mod packages;
mod suite;
mod unpacked;
mod work;

/// Missing or outdated programs of the catalogue that `setup` can install; with `steps` only those
/// that they use, tests included.
pub(crate) fn find_missing(run: &Run, steps: Option<&[&'static dyn Step]>) -> Vec<&'static str> {
    let used: Option<Vec<_>> =
        steps.map(|steps| steps.iter().flat_map(|step| step.needs(run)).collect());
    let is_used = |name| {
        used.as_ref().is_none_or(|needs: &Vec<Need>| {
            [Need::Tool(name), Need::Wanted(name), Need::Test(name)]
                .iter()
                .any(|need| needs.contains(need))
        })
    };
    programs()
        .filter(|spec| !matches!(spec.source, Source::ByHand(_)))
        .map(|spec| spec.name)
        .filter(|name| is_used(name) && run.tools.check(name).is_err())
        .collect()
}

/// Installs `tools` with their prerequisites, after a question that states the cost. With `dry`
/// only prints the commands. Continues after failures and reports all of them.
pub(crate) fn run(run: &Run, tools: &[&'static str], dry: bool, ui: &Ui) -> Result<u8> {
    if tools.is_empty() {
        ui.status("Finished", "all programs are installed");
        return Ok(0);
    }
    if !(dry || run.options.yes || stdin().is_terminal() && stderr().is_terminal()) {
        ui.warn(&format!(
            "not installed: no terminal to confirm on: {}\n    fix: repeat the command with --yes",
            tools.join(", ")
        ));
        return Ok(1);
    }
    let log = log(run)?;
    let tools = with_prerequisites(run, &log, tools)?;
    let work = Work::of(&tools);
    if dry {
        for command in work.commands(run) {
            ui.status("Would run", &run.tools.line(&command));
        }
        return Ok(0);
    }
    let started = Instant::now();
    if work.uses_lists()
        && let Err(error) = apt::update(run, &log)
    {
        // Packages in older lists can still be installed.
        ui.warn(&format!("the package lists could not be updated: {error:#}"));
    }
    let summary = work.summary(run, &log)?;
    if !run.options.yes && !ask(&summary)? {
        atomic::write(&declined_file(run), tools.join("\n").as_bytes())?;
        return Ok(1);
    }
    ui.status("Installing", &summary);
    let mut failed = false;
    for error in work.carry_out(run, &log, ui) {
        failed = true;
        ui.error(&error);
    }
    if run.tools.stop().is_requested() {
        bail!("the run was stopped");
    }
    run.tools.clear_versions();
    for name in &tools {
        if let Err(missing) = run.tools.check(name) {
            failed = true;
            ui.error(&format!("{}; fix: {}", missing.problem, missing.fix));
        }
    }
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let log = log.path().display();
    ui.status("Finished", &format!("setup took {} (log: {log})", seconds(took)));
    Ok(u8::from(failed))
}

/// Enables the emulation of programs of `architecture`. Its packages rely on systemd for that,
/// which a container lacks.
pub(crate) fn enable_emulation(run: &Run, architecture: Architecture) -> Result<()> {
    let enable = apt::env_as_root(run).args(["update-binfmts", "--enable"]);
    run.exec(&log(run)?, &enable.arg(emulation::handler(architecture)))
}

/// Whether the user has declined to install all of `tools` before: a run does not offer them again,
/// but `setup` does.
pub(crate) fn was_declined(run: &Run, tools: &[&'static str]) -> bool {
    let names = std::fs::read_to_string(declined_file(run)).unwrap_or_default();
    !run.options.yes && tools.iter().all(|tool| names.lines().any(|name| name == *tool))
}

fn declined_file(run: &Run) -> PathBuf {
    run.workspace.scratch().join("declined")
}

/// Updates the pins of Debian packages to the newest versions.
pub(crate) fn update_pins(run: &Run, ui: &Ui) -> Result<u8> {
    let pinned = programs().filter_map(|spec| match spec.source {
        Source::Pinned { package, .. } => Some(package),
        _ => None,
    });
    suite::update_pins(run, &log(run)?, &pinned.collect::<Vec<_>>(), ui)?;
    Ok(0)
}

fn log(run: &Run) -> Result<StepLog> {
    let log = run.tools.log(&run.workspace.scratch().join("logs"), "setup")?;
    Ok(log.with_echo(run.options.verbose))
}

/// `tools` with the programs that install or run them.
fn with_prerequisites(
    run: &Run,
    log: &StepLog,
    tools: &[&'static str],
) -> Result<Vec<&'static str>> {
    let mut all = tools.to_vec();
    let has = |all: &[&'static str], test: fn(&Source) -> bool| {
        all.iter().filter_map(|name| spec(name)).any(|spec| test(&spec.source))
    };
    let add = |all: &mut Vec<_>, name| {
        if !all.contains(&name) {
            all.push(name);
        }
    };
    if has(&all, |source| matches!(source, Source::Node(_))) {
        for name in ["node", "npm"] {
            if run.tools.check(name).is_err() {
                add(&mut all, name);
            }
        }
    }
    if has(&all, |source| *source == Source::Python) && !packages::makes_environments(run, log)? {
        add(&mut all, "python3");
    }
    Ok(all)
}

fn ask(summary: &str) -> Result<bool> {
    let mut err = stderr().lock();
    write!(err, "Install {summary}? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
