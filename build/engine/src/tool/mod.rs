// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The one way to run an outside program: found, logged, redacted, ended with us, and shown as a
//! line that can be pasted into a shell.

mod catalogue;
mod daemon;
mod environment;
mod error;
mod log;
mod pins;
mod process;
mod program;
mod redact;
mod reference_tools;

mod stop;
mod version;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use anyhow::{Context as _, Result, bail};
use foundation::command::Command;

use self::process::Stdout;

pub use self::catalogue::{all as programs, find as spec};
pub use self::daemon::Daemon;
pub use self::error::Finished;
pub use self::log::StepLog;
pub use self::pins::{PINS, Pin, PinnedFile, pin, text as pins_text};
pub use self::program::{STABLE, Source, Spec};
pub use self::redact::Redactor;
pub use self::reference_tools::REFERENCE_TOOLS;
pub use self::stop::Stop;

/// Finds programs and runs them. One for each run of xtask, shared by all steps.
pub struct Toolbox {
    /// `target/tools/bin`: programs that `setup` put there come before those in `PATH`.
    private: PathBuf,
    /// Where the user stands: lines to paste start from here.
    here: PathBuf,
    stop: Stop,
    redactor: Redactor,
    /// What programs said of their version, by name; asked once.
    versions: Mutex<BTreeMap<&'static str, Option<version::Version>>>,
    /// What they said in earlier runs.
    memo: version::Memo,
    /// What `rustc -vV` says: behind the names of the Rust tools stands whatever tool chain is set.
    rustc: OnceLock<String>,
    /// The folder of that tool chain, if it tells; asked once, for it takes longer than most of a warm `validate`.
    sysroot: OnceLock<Option<String>>,
}

/// A program that is not there, or too old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// Its name, and what is wrong when it is there.
    pub problem: String,
    /// The command that fixes it.
    pub fix: String,
}

impl Toolbox {
    /// A toolbox for the workspace whose `target` folder is given.
    pub fn new(target: &Path, stop: Stop) -> Result<Self> {
        Ok(Self {
            private: target.join("tools/bin"),
            here: std::env::current_dir().context("cannot tell the current folder")?,
            stop,
            redactor: Redactor::from_environment(),
            versions: Mutex::default(),
            memo: version::Memo::open(target.join("xtask/versions.json")),
            rustc: OnceLock::new(),
            sysroot: OnceLock::new(),
        })
    }

    /// Where the program `name` lies, if it is installed.
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

    /// The program `name` of the LLVM that the compiler is built with. What another major version
    /// makes of our data is not defined.
    fn find_llvm(&self, name: &str) -> Option<PathBuf> {
        let host = self.rustc().lines().find_map(|line| line.strip_prefix("host: "))?;
        let ask = || version::say(Path::new("rustc"), &["--print", "sysroot"]);
        let sysroot = self.sysroot.get_or_init(ask).as_ref()?;
        let own = Path::new(sysroot).join("lib/rustlib").join(host).join("bin").join(name);
        if own.is_file() {
            return Some(own);
        }
        which::which(format!("{name}-{}", self.llvm_major()?)).ok()
    }

    /// The major version of LLVM that the compiler is built with.
    pub fn llvm_major(&self) -> Option<String> {
        let line = self.rustc().lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
        line.split('.').next().map(str::to_owned)
    }

    /// The version that the installed program says it has, as it says it. Of one that tells none,
    /// as Debian's cosign, it is that of the package which `setup` unpacked.
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

    /// Whether the program `name` of the catalogue is there and new enough.
    pub fn check(&self, name: &'static str) -> Result<(), Missing> {
        let Some(spec) = spec(name) else {
            return Err(Missing {
                problem: format!("{name} is not in the catalogue of tools"),
                fix: "add it to build/engine/src/tool/catalogue.rs".to_owned(),
            });
        };
        let missing = |problem| Missing { problem, fix: spec.fix() };
        let Some(path) = self.find(name) else {
            return Err(missing(format!("{} is not installed", spec.label())));
        };
        if spec.version.is_empty() {
            return Ok(());
        }
        let oldest = spec.oldest();
        match self.ask(spec) {
            Some(version) if version.numbers.as_slice() >= spec.oldest => Ok(()),
            Some(version) => {
                Err(missing(format!("{name} {} is older than {oldest}", version.text)))
            }
            // Debian's cosign says `devel`; what `setup` put there is of a version that we chose.
            None if path.starts_with(&self.private) => Ok(()),
            None => Err(missing(format!("{name} does not tell its version"))),
        }
    }

    /// Forgets the versions: something was installed.
    pub fn forget(&self) {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn ask(&self, spec: &'static Spec) -> Option<version::Version> {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let ask = || {
            let path = self.find(spec.name)?;
            self.memo.ask(&self.identity(spec.name), &path, spec.version)
        };
        versions.entry(spec.name).or_insert_with(ask).clone()
    }

    /// What tells one build of the program `name` from another without starting it: where it lies,
    /// its size, and when it was put there.
    pub fn identity(&self, name: &str) -> String {
        let Some(path) = self.find(name) else { return "absent".to_owned() };
        let rust = matches!(spec(name), Some(Spec { source: Source::Rust(_) | Source::Llvm, .. }));
        let rustc = if rust { self.rustc() } else { "" };
        format!("{} {rustc}", version::stamp(&path))
    }

    fn rustc(&self) -> &str {
        self.rustc.get_or_init(|| version::say(Path::new("rustc"), &["-vV"]).unwrap_or_default())
    }

    /// A digest over the variables that programs inherit, those of a login session aside.
    pub fn environment(&self) -> String {
        environment::identity(std::env::vars_os(), &self.private)
    }

    /// What ends this run before its time.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The line that shows `command`, without secrets.
    pub fn line(&self, command: &Command) -> String {
        self.redactor.text(&command.line(&self.here))
    }

    /// A log for the step `name` in `folder`, emptied first.
    pub fn log(&self, folder: &Path, name: &str) -> Result<StepLog> {
        StepLog::create(folder, name, self.redactor.clone())
    }

    /// Runs `command` to its end with both streams going to the log.
    ///
    /// # Errors
    /// When the program is missing or can't be started, or when the run is stopped.
    pub fn run(&self, log: &StepLog, command: &Command) -> Result<Finished> {
        self.start(log, command, Stdout::Log)
    }

    /// The same, and standard output is kept as well.
    pub fn capture(&self, log: &StepLog, command: &Command) -> Result<Finished> {
        self.start(log, command, Stdout::Both)
    }

    /// The same with standard output kept and not logged, for formats that only programs read.
    pub fn machine(&self, log: &StepLog, command: &Command) -> Result<Finished> {
        self.start(log, command, Stdout::Caller)
    }

    /// Starts `command` beside the step, with what it writes going to the file `output`. It ends
    /// when the answer is dropped, or with the run.
    ///
    /// # Errors
    /// When the program is missing or can't be started, or when the run is stopped.
    pub fn background(&self, log: &StepLog, command: &Command, output: &Path) -> Result<Daemon> {
        let (program, line) = self.ready(log, command)?;
        Daemon::start(&program, &self.private, command, output, &self.stop)
            .with_context(|| format!("cannot run `{line}`"))
    }

    fn start(&self, log: &StepLog, command: &Command, output: Stdout) -> Result<Finished> {
        let (program, line) = self.ready(log, command)?;
        let ended = process::run(&program, &self.private, command, log, &self.stop, output)
            .with_context(|| format!("cannot run `{line}`"))?;
        if self.stop.requested() {
            bail!("the run was stopped while `{line}` ran");
        }
        Ok(Finished::new(line, ended, log))
    }

    /// Finds the program of `command` and writes down the line that is about to run.
    fn ready(&self, log: &StepLog, command: &Command) -> Result<(PathBuf, String)> {
        if self.stop.requested() {
            bail!("the run was stopped");
        }
        let line = self.line(command);
        let program = self.find(command.program()).with_context(|| {
            let fix = spec(command.program()).map_or_else(
                || format!("install {}, or add its folder to PATH", command.program()),
                Spec::fix,
            );
            format!("{} is not installed: {fix}", command.program())
        })?;
        log.write(&format!("$ {line}\n"));
        Ok((program, line))
    }
}

#[cfg(test)]
mod tests;
