// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Context of a run, passed to each step: workspace, options, tools, and the release manifest.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use clap::{ArgMatches, Args};
use foundation::atomic;
use foundation::command::Command;
use release::{Architecture, Manifest};

use crate::accelerator::Accelerator;
use crate::environment::Environment;
use crate::plan::{Action, Plan};
use crate::tool::{Finished, StepLog, Toolbox};
use crate::workspace::{Engines, Version, Workspace};

/// Parsed command line options; immutable.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a command line flag")]
pub struct Options {
    /// Number of steps that run in parallel.
    pub jobs: NonZeroUsize,
    /// Engines by job that override `release.toml`.
    pub engines: Engines,
    /// Target architectures.
    pub architectures: Vec<Architecture>,
    /// QEMU accelerator; `None`: choose automatically.
    pub accelerator: Option<Accelerator>,
    /// Build everything that can be built, as the nightly run does.
    pub everything: bool,
    /// Where the pipeline publishes; `None` for a command that is no pipeline of CI.
    pub environment: Option<Environment>,
    /// Show commands and their output as they run.
    pub verbose: bool,
    /// Answer every question with yes.
    pub yes: bool,
    /// Start no further step after a failure.
    pub fail_fast: bool,
    /// A gate that could not run counts as failed.
    pub strict: bool,
    /// Arguments of the command's own, for [`Options::step_arguments`].
    pub given: ArgMatches,
    /// The part of `given` that decides results, as text.
    pub identity: String,
}

impl Options {
    /// Arguments of a step's own command; the default where another command runs the step.
    pub fn step_arguments<A: Args + Default>(&self) -> A {
        let is_known =
            A::group_id().is_some_and(|id| self.given.try_contains_id(id.as_str()).is_ok());
        if !is_known {
            return A::default();
        }
        // clap has validated the arguments.
        A::from_arg_matches(&self.given).unwrap_or_default()
    }

    /// The options that decide results, as text.
    pub fn identity(&self) -> String {
        let Self { engines, architectures, everything, environment, identity, .. } = self;
        format!("{engines:?} {architectures:?} {everything} {environment:?} {identity}")
    }
}

/// Standard output of a command, once it has run.
type CapturedOutput = Arc<Mutex<Option<Vec<u8>>>>;

/// Context of a run. Steps only read it; data between steps goes through the manifest.
pub struct Run {
    /// Root, commit, epoch and `release.toml`.
    pub workspace: Workspace,
    /// Command line options.
    pub options: Options,
    /// Runs external programs.
    pub tools: Toolbox,
    version: Version,
    /// The folder of the release where the command line names one, absolute.
    folder: Option<PathBuf>,
    manifest: Mutex<()>,
    /// Cached outputs of [`Run::ask`], by command line.
    answers: Mutex<BTreeMap<String, CapturedOutput>>,
}

impl Run {
    /// Creates the context of a run that builds `version`.
    pub fn new(workspace: Workspace, options: Options, tools: Toolbox, version: Version) -> Self {
        let answers = Mutex::default();
        let manifest = Mutex::new(());
        Self { workspace, options, tools, version, folder: None, manifest, answers }
    }

    /// The same about the release in `folder`, an absolute path, wherever it was built.
    #[must_use]
    pub fn of_folder(self, folder: PathBuf) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// The version of this run's release, and the channel that it may enter.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// The folder of the release, `target/dist/VERSION` or that of `--release`, absolute.
    pub fn dist(&self) -> PathBuf {
        self.workspace.root().join(self.dist_in_plan())
    }

    /// The same, relative to the root if it is below it, as a plan wants it.
    pub fn dist_in_plan(&self) -> PathBuf {
        let folder = self.folder.as_ref();
        folder.map_or_else(|| Path::new("target/dist").join(self.version.text()), Clone::clone)
    }

    /// Engines by job: `--engine`, else `release.toml`.
    pub fn engines(&self) -> Engines {
        self.options.engines.or(self.workspace.product().engines)
    }

    /// A command that runs `program` in the workspace root.
    pub fn command(&self, program: &str) -> Command {
        Command::new(program, self.workspace.root())
    }

    /// Runs `command` with its output in the step's log.
    ///
    /// # Errors
    /// When the program is missing, does not exit with 0, or the run is stopped. The error contains
    /// the command line, the exit code, the last lines of output and the log's path.
    pub fn exec(&self, log: &StepLog, command: &Command) -> Result<()> {
        self.tools.run(log, command)?.success()?;
        Ok(())
    }

    /// Runs the commands of `plan` in order and returns their number.
    ///
    /// # Errors
    /// See [`Run::exec`]. When the plan has a native action, before any command runs.
    pub fn execute(&self, log: &StepLog, plan: &Plan) -> Result<usize> {
        let mut commands = Vec::new();
        for action in &plan.actions {
            match action {
                Action::Command(command) => commands.push(command),
                Action::Native(what) => bail!("`{what}` is planned, but no code does it"),
            }
        }
        commands.iter().try_for_each(|command| self.exec(log, command))?;
        Ok(commands.len())
    }

    /// Runs `command` and returns its standard output; both streams go to the log.
    pub fn capture(&self, log: &StepLog, command: &Command) -> Result<Vec<u8>> {
        self.tools.capture(log, command)?.success()
    }

    /// Runs `command` and leaves the interpretation of its exit code to the caller.
    ///
    /// # Errors
    /// When the program is missing, was killed by a signal, or the run is stopped.
    pub fn attempt(&self, log: &StepLog, command: &Command) -> Result<Finished> {
        self.tools.capture(log, command)
    }

    /// Like [`Run::attempt`], for machine-readable output that should not go to the log.
    pub fn attempt_machine(&self, log: &StepLog, command: &Command) -> Result<Finished> {
        self.tools.machine(log, command)
    }

    /// Standard output of `command`, cached for the run: several steps query Cargo for the crates
    /// of a binary. The output does not go to the log.
    pub fn ask(&self, log: &StepLog, command: &Command) -> Result<Vec<u8>> {
        let line = command.line(self.workspace.root());
        // One lock per command: a step waits for the same command only.
        let place = {
            let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers.entry(line).or_default().clone()
        };
        let mut answer = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = &*answer {
            return Ok(answer.clone());
        }
        let new = self.attempt_machine(log, command)?.success()?;
        Ok(answer.insert(new).clone())
    }

    /// The manifest as written by earlier steps.
    pub fn manifest(&self) -> Result<Manifest> {
        match self.read_manifest()? {
            Some(manifest) => Ok(manifest),
            None => bail!(
                "there is no {}: run `cargo xtask dist` first, or name a release with --version or --release",
                self.manifest_path().display()
            ),
        }
    }

    /// Updates the manifest, creating it if needed; `target/dist/latest` links to it. Updates are
    /// serialised and atomic.
    pub fn update_manifest(&self, change: impl FnOnce(&mut Manifest) -> Result<()>) -> Result<()> {
        let Ok(_turn) = self.manifest.lock() else {
            bail!("another step panicked while it changed the manifest");
        };
        let mut manifest = match self.read_manifest()? {
            Some(manifest) => manifest,
            None => Manifest::new(
                self.workspace.product().product.name.clone(),
                self.version.text().to_owned(),
                self.version.channel(),
                release::Source {
                    uri: self.workspace.product().product.source.clone(),
                    commit: self.workspace.commit().to_owned(),
                    dirty: self.workspace.is_dirty(),
                },
                self.workspace.epoch(),
            ),
        };
        change(&mut manifest)?;
        atomic::write(&self.manifest_path(), manifest.to_json()?.as_bytes())?;
        if self.folder.is_some() {
            return Ok(());
        }
        // So that people and scripts find the newest without its version.
        let latest = self.dist().with_file_name("latest");
        atomic::link(&latest, Path::new(self.version.text()))
    }

    fn manifest_path(&self) -> PathBuf {
        self.dist().join(release::layout::MANIFEST)
    }

    fn read_manifest(&self) -> Result<Option<Manifest>> {
        let path = self.manifest_path();
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        let manifest = Manifest::parse(&bytes)
            .with_context(|| format!("{}: remove it and build again", path.display()))?;
        if manifest.version != self.version.text() {
            bail!(
                "{} has version {}, not {}: remove it and build again",
                path.display(),
                manifest.version,
                self.version.text()
            );
        }
        Ok(Some(manifest))
    }
}
