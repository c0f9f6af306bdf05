// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Work of a `setup` run by package manager. Package managers run in parallel.

use std::collections::BTreeSet;
use std::thread;

use anyhow::Result;
use engine::tool::{Source, spec};
use engine::{Run, StepLog, Ui};
use foundation::command::Command;

use super::unpacked::Package;
use super::{apt, packages, suite};

#[derive(Default)]
pub(super) struct Work {
    /// Display names of the programs.
    names: Vec<&'static str>,
    /// Debian packages to install.
    debian: BTreeSet<&'static str>,
    /// Components of the Rust toolchain.
    rust: Vec<&'static str>,
    /// Whether the LLVM programs matching the compiler are missing.
    llvm: bool,
    /// Programs of Python packages.
    python: Vec<&'static str>,
    /// Programs that wrap a script over npm packages: name, and script in `xtask/data/node`.
    node: Vec<(&'static str, &'static str)>,
    /// Packages of the host's suite to unpack.
    beside: Vec<Package>,
    /// Packages of the stable suite to unpack.
    stable: Vec<Package>,
    /// Pinned packages to unpack.
    pinned: Vec<Package>,
}

/// Failures with the names of the affected programs.
type Failures = Vec<String>;

impl Work {
    /// The work that installs `tools`.
    pub(super) fn of(tools: &[&'static str]) -> Self {
        let mut work = Self::default();
        for spec in tools.iter().filter_map(|name| spec(name)) {
            let program = spec.name;
            match spec.source {
                Source::Debian(packages) => work.debian.extend(packages.split(' ')),
                Source::Rust(component) => work.rust.push(component),
                Source::Python => work.python.push(program),
                // Reported by the check at the end of the setup.
                Source::ByHand(_) => continue,
                Source::Llvm => work.llvm = true,
                Source::Node(script) => work.node.push((program, script)),
                Source::Unpacked { package, file } => {
                    work.beside.push(Package { program, name: package, file });
                }
                Source::Stable { package, file } => {
                    work.stable.push(Package { program, name: package, file });
                }
                Source::Pinned { package, file } => {
                    work.pinned.push(Package { program, name: package, file });
                }
            }
            work.names.push(spec.label());
        }
        work
    }

    /// Whether it needs the system's package lists.
    pub(super) fn uses_lists(&self) -> bool {
        !self.debian.is_empty() || !self.beside.is_empty() || self.llvm
    }

    /// One line: number of programs and packages, download size, disk space.
    pub(super) fn summary(&self, run: &Run, log: &StepLog) -> Result<String> {
        let mut parts = Vec::new();
        if !self.debian.is_empty() {
            parts.push(match apt::cost(run, log, &self.debian)? {
                Some(cost) => format!(
                    "{} Debian packages ({} to fetch, {} on disk)",
                    cost.packages, cost.download, cost.disk
                ),
                None => format!("Debian packages {}", join(&self.debian)),
            });
        }
        let beside = self.beside.len() + self.stable.len() + self.pinned.len();
        if beside > 0 {
            parts.push(format!("{beside} Debian packages below target/tools"));
        }
        if !self.python.is_empty() {
            parts.push(format!("{} Python packages (150 MB)", packages::python_count(run)?));
        }
        if !self.node.is_empty() {
            parts.push("npm packages".to_owned());
        }
        parts.extend(self.rust.iter().map(|component| format!("Rust component {component}")));
        if self.llvm {
            parts.push("LLVM tools of the Rust toolchain".to_owned());
        }
        Ok(format!("{} programs: {}", self.names.len(), parts.join(", ")))
    }

    /// All commands, for output.
    pub(super) fn commands(&self, run: &Run) -> Vec<Command> {
        let mut commands = Vec::new();
        if self.uses_lists() {
            commands.push(apt::update_command(run));
        }
        if !self.debian.is_empty() {
            commands.push(apt::install_command(run, &self.debian));
        }
        commands.extend(self.rust_commands(run));
        if self.llvm {
            commands.extend(llvm_commands(run));
        }
        if !self.python.is_empty() {
            commands.extend(packages::python_commands(run));
        }
        if !self.node.is_empty() {
            commands.push(packages::node_command(run));
        }
        commands.extend(self.beside.iter().flat_map(|it| it.commands(run)));
        commands.extend(self.stable.iter().flat_map(|it| it.stable_commands(run)));
        commands.extend(self.pinned.iter().flat_map(|it| it.pinned_commands(run)));
        commands
    }

    /// Installs everything and returns the failures.
    pub(super) fn carry_out(&self, run: &Run, log: &StepLog, ui: &Ui) -> Failures {
        let mut failures = Vec::new();
        // With Python installed first, its packages can be installed in parallel with Debian's.
        let first = BTreeSet::from(["python3-venv"]);
        if !self.python.is_empty() && self.debian.is_superset(&first) {
            note(&mut failures, &["python3"], ui, || {
                apt::run_checked(run, log, &apt::install_command(run, &first))
            });
        }
        let managers = [Self::of_system, Self::of_languages, Self::install_beside_system];
        let results = thread::scope(|scope| {
            let threads = managers.map(|manager| scope.spawn(move || manager(self, run, log, ui)));
            threads.map(|it| it.join().unwrap_or_else(|_| vec!["a thread panicked".to_owned()]))
        });
        failures.extend(results.into_iter().flatten());
        failures
    }

    /// Debian packages and the Rust toolchain.
    fn of_system(&self, run: &Run, log: &StepLog, ui: &Ui) -> Failures {
        let mut failures = Vec::new();
        if !self.debian.is_empty() {
            let packages: Vec<_> = self.debian.iter().copied().collect();
            note(&mut failures, &packages, ui, || {
                apt::run_checked(run, log, &apt::install_command(run, &self.debian))
            });
        }
        for command in self.rust_commands(run) {
            note(&mut failures, &self.rust, ui, || run.exec(log, &command));
        }
        if self.llvm {
            note(&mut failures, &["llvm-cov", "llvm-profdata"], ui, || {
                let [component, package] = llvm_commands(run);
                run.exec(log, &component).or_else(|_| run.exec(log, &package))
            });
        }
        failures
    }

    /// Python packages, then Node.js packages, since Node.js may be a Python package.
    fn of_languages(&self, run: &Run, log: &StepLog, ui: &Ui) -> Failures {
        let mut failures = Vec::new();
        if !self.python.is_empty() {
            note(&mut failures, &self.python, ui, || {
                packages::install_python(run, log, &self.python)
            });
        }
        for (program, script) in &self.node {
            note(&mut failures, &[program], ui, || {
                packages::install_node(run, log, program, script)
            });
        }
        failures
    }

    /// Packages that are unpacked below `target/tools`.
    fn install_beside_system(&self, run: &Run, log: &StepLog, ui: &Ui) -> Failures {
        let mut failures = Vec::new();
        for package in &self.pinned {
            note(&mut failures, &[package.program], ui, || package.install_pinned(run, log));
        }
        for package in &self.beside {
            note(&mut failures, &[package.program], ui, || package.install(run, log));
        }
        if !self.stable.is_empty() {
            match suite::prepare_stable(run, log) {
                Ok(apt) => {
                    for package in &self.stable {
                        let install = || package.install_stable(run, log, &apt);
                        note(&mut failures, &[package.program], ui, install);
                    }
                }
                Err(error) => {
                    let names: Vec<_> = self.stable.iter().map(|it| it.program).collect();
                    note(&mut failures, &names, ui, || Err(error));
                }
            }
        }
        failures
    }

    fn rust_commands(&self, run: &Run) -> Vec<Command> {
        let add = |component| run.command("rustup").args(["component", "add", component]);
        self.rust.iter().map(|component| add(*component)).collect()
    }
}

/// rustup's component, and the Debian package of the same LLVM as fallback.
fn llvm_commands(run: &Run) -> [Command; 2] {
    let component = run.command("rustup").args(["component", "add", "llvm-tools"]);
    let package = format!("llvm-{}", run.tools.llvm_major().unwrap_or_default());
    [component, apt::install_command(run, &BTreeSet::from([package.as_str()]))]
}

/// Runs `install` for the programs `names` and records a failure.
fn note(failures: &mut Failures, names: &[&str], ui: &Ui, install: impl FnOnce() -> Result<()>) {
    let names = names.join(", ");
    match install() {
        Ok(()) => ui.status("Installed", &names),
        Err(error) => failures.push(format!("{names} could not be installed: {error:#}")),
    }
}

fn join(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}
