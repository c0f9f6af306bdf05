// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Installs programs that are missing, from the package managers that the machine is set up for.

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use super::StepLog;
use crate::ops::command::Command;
use crate::run::Run;
use crate::tool::{Source, programs, spec};
use crate::ui::Ui;

mod packages;
mod sid;
mod unpacked;

/// The programs of the catalogue that are missing or too old, of those that can be installed.
pub(crate) fn missing(run: &Run) -> Vec<&'static str> {
    programs()
        .filter(|spec| !matches!(spec.source, Source::ByHand(_)))
        .map(|spec| spec.name)
        .filter(|name| run.tools.check(name).is_err())
        .collect()
}

/// Installs `tools`; with `dry` it only says how. All are tried, and what failed is told.
///
/// # Errors
/// When the log can't be written, or the run is stopped.
pub(crate) fn run(run: &Run, tools: &[&'static str], dry: bool, ui: &Ui) -> Result<u8> {
    if tools.is_empty() {
        ui.status("Finished", "every program is there");
        return Ok(0);
    }
    let log = run.tools.log(&run.workspace.scratch().join("logs"), "setup")?;
    let log = log.echoing(run.options.verbose);
    let mut failed = false;
    for job in jobs(run, tools) {
        ui.status(if dry { "Would install" } else { "Installing" }, &job.names.join(", "));
        let result = if dry {
            show(&job, run, ui);
            Ok(())
        } else {
            install(&job, run, &log)
        };
        if let Err(error) = result {
            failed = true;
            ui.error(&format!("{} could not be installed: {error:#}", job.names.join(", ")));
        }
        if run.tools.stop().requested() {
            bail!("the run was stopped");
        }
    }
    run.tools.forget();
    if dry {
        return Ok(0);
    }
    for name in tools {
        if let Err(missing) = run.tools.check(name) {
            failed = true;
            ui.error(&format!("{}; fix: {}", missing.problem, missing.fix));
        }
    }
    Ok(u8::from(failed))
}

/// What is installed together.
struct Job {
    names: Vec<&'static str>,
    how: How,
}

enum How {
    /// These commands, one after another.
    Commands(Vec<Command>),
    /// The first command, and where it fails the next.
    FirstOf(Vec<Command>),
    /// A package of another suite, unpacked below `target/tools`.
    Unpack(sid::Package),
    /// A package of the suites that the machine is set up for, unpacked below `target/tools`.
    Beside(unpacked::Package),
    /// Programs of Python packages, in an environment below `target/tools`.
    Python(Vec<&'static str>),
    /// A program that is a script over an npm package below `target/tools`.
    Node {
        /// The program.
        program: &'static str,
        /// The script in `xtask/data/node`.
        script: &'static str,
    },
}

fn jobs(run: &Run, tools: &[&'static str]) -> Vec<Job> {
    let mut jobs = Vec::new();
    let mut packages = BTreeSet::new();
    let mut programs = Vec::new();
    let mut python = Vec::new();
    for name in tools {
        let Some(spec) = spec(name) else { continue };
        match spec.source {
            Source::Debian(package) => {
                packages.extend(package.split(' '));
                programs.push(spec.label());
            }
            Source::Crate(krate, version) => {
                // Below `target`, not among the programs of the user.
                let root = run.workspace.target().join("tools");
                let command = run
                    .command("cargo")
                    .args(["install", "--locked", &format!("{krate}@{version}"), "--root"])
                    .arg(root);
                jobs.push(Job { names: vec![spec.label()], how: How::Commands(vec![command]) });
            }
            Source::Rust(component) => {
                let command = run.command("rustup").args(["component", "add", component]);
                jobs.push(Job { names: vec![spec.label()], how: How::Commands(vec![command]) });
            }
            Source::Python => python.push(spec.name),
            // The check at the end of the run tells the person.
            Source::ByHand(_) => {}
            Source::Llvm => {
                let component = run.command("rustup").args(["component", "add", "llvm-tools"]);
                let package = format!("llvm-{}", run.tools.llvm_major().unwrap_or_default());
                let package = as_root(run, "apt-get").args(["install", "--yes", &package]);
                jobs.push(Job {
                    names: vec![spec.name],
                    how: How::FirstOf(vec![component, package]),
                });
            }
            Source::Node(script) => jobs.push(Job {
                names: vec![spec.label()],
                how: How::Node { program: spec.name, script },
            }),
            Source::Unpacked { package, file } => {
                let package = unpacked::Package { program: spec.name, name: package, file };
                jobs.push(Job { names: vec![spec.label()], how: How::Beside(package) });
            }
            Source::Sid { package, file, version, sha256 } => {
                let package =
                    sid::Package { program: spec.name, name: package, file, version, sha256 };
                jobs.push(Job { names: vec![spec.label()], how: How::Unpack(package) });
            }
        }
    }
    if !python.is_empty() {
        jobs.push(Job { names: python.clone(), how: How::Python(python) });
    }
    if !packages.is_empty() {
        let update = as_root(run, "apt-get").arg("update");
        // What Debian recommends beside them is four times as much as they are, and of no use here; the
        // versions that it wants have made apt give up.
        let install = as_root(run, "apt-get")
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages);
        jobs.insert(0, Job { names: programs, how: How::Commands(vec![update, install]) });
    }
    jobs
}

/// The command `program` with the rights to change the system.
fn as_root(run: &Run, program: &str) -> Command {
    let quiet = "DEBIAN_FRONTEND=noninteractive";
    if rustix::process::geteuid().is_root() {
        return run.command("env").args([quiet, program]);
    }
    run.command("sudo").args(["--non-interactive", "env", quiet, program])
}

fn show(job: &Job, run: &Run, ui: &Ui) {
    let commands = match &job.how {
        How::Commands(commands) | How::FirstOf(commands) => commands.clone(),
        How::Unpack(package) => package.commands(run),
        How::Beside(package) => package.commands(run),
        How::Python(_) => packages::python_commands(run),
        How::Node { .. } => vec![packages::node_command(run)],
    };
    for command in commands {
        ui.status("", &run.tools.line(&command));
    }
}

fn install(job: &Job, run: &Run, log: &StepLog) -> Result<()> {
    match &job.how {
        How::Commands(commands) => commands.iter().try_for_each(|it| run.exec(log, it)),
        How::FirstOf(commands) => {
            let mut result = Ok(());
            for command in commands {
                result = run.exec(log, command);
                if result.is_ok() {
                    break;
                }
            }
            result
        }
        How::Unpack(package) => package.install(run, log),
        How::Beside(package) => package.install(run, log),
        How::Python(programs) => packages::install_python(run, log, programs),
        How::Node { program, script } => packages::install_node(run, log, program, script),
    }
}
