// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs external programs: finds them, logs and redacts their output, and terminates them with the
//! run.

mod catalogue;
mod daemon;
mod environment;
mod error;
mod log;
mod pins;
mod process;
mod redact;

mod stop;
mod version;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, Result, bail};
use foundation::command::Command;

use self::process::Stdout;

pub use self::catalogue::{STABLE, Source, Spec, TOOLS, programs, reference_tools, spec};
pub use self::daemon::Daemon;
pub use self::error::Finished;
pub use self::log::StepLog;
pub use self::pins::{PINS, Pin, PinnedFile, pin, text as pins_text};
pub use self::redact::Redactor;
pub use self::stop::Stop;

/// Finds and runs external programs. One instance per run, shared by all steps.
pub struct Toolbox {
    /// `target/tools/bin`: programs installed by `setup`, preferred over `PATH`.
    private: PathBuf,
    /// The user's working directory: printed command lines are relative to it.
    here: PathBuf,
    stop: Stop,
    redactor: Redactor,
    /// Versions by program name, queried once.
    versions: Mutex<BTreeMap<&'static str, Option<version::Version>>>,
    /// Versions from earlier runs.
    version_cache: version::VersionCache,
    /// Output of `rustc -vV`: the names of the Rust tools resolve to whatever toolchain is active.
    rustc: OnceLock<String>,
    /// Sysroot of that toolchain, if known; cached, because the query takes longer than most of a
    /// warm `validate`.
    sysroot: OnceLock<Option<String>>,
}

/// A program that is missing or too old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The program and the problem.
    pub problem: String,
    /// The command that fixes it.
    pub fix: String,
}

impl Toolbox {
    /// Creates a toolbox for the workspace with this `target` folder.
    pub fn new(target: &Path, stop: Stop) -> Result<Self> {
        Ok(Self {
            private: target.join("tools/bin"),
            here: std::env::current_dir().context("cannot determine the current folder")?,
            stop,
            redactor: Redactor::from_environment(),
            versions: Mutex::default(),
            version_cache: version::VersionCache::open(target.join("xtask/versions.json")),
            rustc: OnceLock::new(),
            sysroot: OnceLock::new(),
        })
    }

    /// Path of the program `name`, if installed.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let own = self.private.join(name);
        if own.is_file() {
            return Some(own);
        }
        match spec(name) {
            Some(Spec { source: Source::Llvm, .. }) => self.find_llvm(name),
            _ => which::which(name).ok(),
        }
    }

    /// Path of the LLVM program `name` in the major version of the compiler's LLVM. Other major
    /// versions need not read our profile data.
    fn find_llvm(&self, name: &str) -> Option<PathBuf> {
        let host = self.rustc().lines().find_map(|line| line.strip_prefix("host: "))?;
        let ask = || version::read_output(Path::new("rustc"), &["--print", "sysroot"]);
        let sysroot = self.sysroot.get_or_init(ask).as_ref()?;
        let own = Path::new(sysroot).join("lib/rustlib").join(host).join("bin").join(name);
        if own.is_file() {
            return Some(own);
        }
        which::which(format!("{name}-{}", self.llvm_major()?)).ok()
    }

    /// Major version of the compiler's LLVM.
    pub fn llvm_major(&self) -> Option<String> {
        let line = self.rustc().lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
        line.split('.').next().map(str::to_owned)
    }

    /// Version of the installed program. For a program that prints none, such as Debian's cosign,
    /// the version of the package that `setup` unpacked.
    pub fn version(&self, name: &str) -> Option<String> {
        let spec = spec(name).filter(|spec| !spec.version.is_empty())?;
        let packaged = || match spec.source {
            Source::Pinned { package, .. } if self.find(name)?.starts_with(&self.private) => {
                Some(pin(package)?.version.clone())
            }
            _ => None,
        };
        self.ask(spec).map(|version| version.text).or_else(packaged)
    }

    /// Checks that the program `name` of the catalogue is installed and new enough.
    pub fn check(&self, name: &'static str) -> Result<(), Missing> {
        let Some(spec) = spec(name) else {
            return Err(Missing {
                problem: format!("{name} is not in the catalogue of tools"),
                fix: format!("add it to {TOOLS}"),
            });
        };
        let missing = |problem| Missing { problem, fix: spec.fix() };
        let Some(path) = self.find(name) else {
            return Err(missing(format!("{} is not installed", spec.label())));
        };
        if spec.version.is_empty() {
            return Ok(());
        }
        let oldest = spec.oldest_version();
        match self.ask(spec) {
            Some(version) if version.numbers >= spec.oldest => Ok(()),
            Some(version) => {
                Err(missing(format!("{name} {} is older than {oldest}", version.text)))
            }
            // Debian's cosign prints `devel`; `setup` installs a pinned version.
            None if path.starts_with(&self.private) => Ok(()),
            None => Err(missing(format!("{name} does not report its version"))),
        }
    }

    /// Clears the cached versions after an installation.
    pub fn clear_versions(&self) {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn ask(&self, spec: &'static Spec) -> Option<version::Version> {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = || {
            let path = self.find(spec.name)?;
            self.version_cache.ask(&self.identity(spec.name), &path, &spec.version)
        };
        versions.entry(spec.name).or_insert_with(ask).clone()
    }

    /// Identifies a build of the program `name` without running it: path, size, modification time.
    pub fn identity(&self, name: &str) -> String {
        let Some(path) = self.find(name) else { return "absent".to_owned() };
        let rust = matches!(spec(name), Some(Spec { source: Source::Rust(_) | Source::Llvm, .. }));
        let rustc = if rust { self.rustc() } else { "" };
        format!("{} {rustc}", version::stamp(&path))
    }

    fn rustc(&self) -> &str {
        self.rustc
            .get_or_init(|| version::read_output(Path::new("rustc"), &["-vV"]).unwrap_or_default())
    }

    /// Digest of the environment that programs inherit, without login session variables.
    pub fn environment(&self) -> String {
        environment::identity(std::env::vars_os(), &self.private)
    }

    /// The stop signal of this run.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// `command` in shell syntax, redacted.
    pub fn line(&self, command: &Command) -> String {
        self.redactor.text(&command.line(&self.here))
    }

    /// Creates the log of step `name` in `folder`.
    pub fn log(&self, folder: &Path, name: &str) -> Result<StepLog> {
        StepLog::create(folder, name, self.redactor.clone())
    }

    /// Runs `command` with both streams in the log.
    ///
    /// # Errors
    /// When the program is missing or cannot be started, or when the run is stopped.
    pub fn run(&self, log: &StepLog, command: &Command) -> Result<Finished> {
        self.start(log, command, Stdout::Log)
    }

    /// Like [`run`](Self::run), and captures standard output.
    pub fn capture(&self, log: &StepLog, command: &Command) -> Result<Finished> {
        self.start(log, command, Stdout::Both)
    }

    /// Like [`capture`](Self::capture), without standard output in the log, for machine-readable
    /// formats.
    pub fn machine(&self, log: &StepLog, command: &Command) -> Result<Finished> {
        self.start(log, command, Stdout::Caller)
    }

    /// Starts `command` in the background with its output in the file `output`. It is terminated
    /// when the returned value is dropped, or with the run.
    ///
    /// # Errors
    /// When the program is missing or cannot be started, or when the run is stopped.
    pub fn background(&self, log: &StepLog, command: &Command, output: &Path) -> Result<Daemon> {
        let (program, line) = self.prepare(log, command)?;
        Daemon::start(&program, &self.private, command, output, &self.stop)
            .with_context(|| format!("cannot run `{line}`"))
    }

    fn start(&self, log: &StepLog, command: &Command, output: Stdout) -> Result<Finished> {
        let (program, line) = self.prepare(log, command)?;
        let ended = process::run(&program, &self.private, command, log, &self.stop, output)
            .with_context(|| format!("cannot run `{line}`"))?;
        if self.stop.is_requested() {
            bail!("the run was stopped while `{line}` ran");
        }
        Ok(Finished::new(line, ended, log))
    }

    /// Finds the program of `command` and logs the command line.
    fn prepare(&self, log: &StepLog, command: &Command) -> Result<(PathBuf, String)> {
        if self.stop.is_requested() {
            bail!("the run was stopped");
        }
        let line = self.line(command);
        let program = self.find(&command.program).with_context(|| {
            let fix = spec(&command.program).map_or_else(
                || format!("install {}, or add its folder to PATH", command.program),
                Spec::fix,
            );
            format!("{} is not installed: {fix}", command.program)
        })?;
        log.write(&format!("$ {line}\n"));
        Ok((program, line))
    }
}

#[cfg(test)]
mod tests;
