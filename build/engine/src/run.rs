// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What a step is given: where we are, what was asked for, the tools, and the manifest.

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
use crate::tool::{Finished, StepLog, Toolbox};
use crate::workspace::{Engines, Version, Workspace};

/// What the command line asked for. Nothing changes it after it was read.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct Options {
    /// How many steps run at the same time.
    pub jobs: NonZeroUsize,
    /// The engine for a job where it differs from `release.toml`.
    pub engines: Engines,
    /// What to build for.
    pub architectures: Vec<Architecture>,
    /// What executes virtual machines' instructions; where it is not named, what works.
    pub accelerator: Option<Accelerator>,
    /// Build all that can be built, as a night does.
    pub everything: bool,
    /// Show the commands and their output as they run.
    pub verbose: bool,
    /// Answer every question with yes.
    pub yes: bool,
    /// Start nothing any more once a step has failed.
    pub fail_fast: bool,
    /// A gate that could not run counts as failed.
    pub strict: bool,
    /// What the command alone takes, for [`Options::own`].
    pub given: ArgMatches,
    /// What of `given` decides results, as text.
    pub identity: String,
}

impl Options {
    /// What a step's command alone takes; nothing where another command runs the step.
    pub fn own<A: Args + Default>(&self) -> A {
        let is_known =
            A::group_id().is_some_and(|id| self.given.try_contains_id(id.as_str()).is_ok());
        if !is_known {
            return A::default();
        }
        // What clap has accepted can be read.
        A::from_arg_matches(&self.given).unwrap_or_default()
    }

    /// What of them decides results, as text.
    pub fn identity(&self) -> String {
        let Self { engines, architectures, everything, identity, .. } = self;
        format!("{engines:?} {architectures:?} {everything} {identity}")
    }
}

/// What a command wrote to standard output, once it has run.
type Answer = Arc<Mutex<Option<Vec<u8>>>>;

/// The surroundings of a run. Steps read it; what they hand over goes through the manifest.
pub struct Run {
    /// Root, commit, epoch and `release.toml`.
    pub workspace: Workspace,
    /// What the command line asked for.
    pub options: Options,
    /// The one way to run an outside program.
    pub tools: Toolbox,
    version: Version,
    /// The folder of the release where the command line names one, absolute.
    folder: Option<PathBuf>,
    manifest: Mutex<()>,
    /// What was answered before, by command.
    answers: Mutex<BTreeMap<String, Answer>>,
}

impl Run {
    /// The surroundings of a run that builds `version`.
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

    /// The version that this run builds or is about, and the channel that it may go to.
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

    /// The engine of each job: that of `--engine`, else that of `release.toml`.
    pub fn engines(&self) -> Engines {
        self.options.engines.or(self.workspace.product().engines)
    }

    /// `program`, to be run at the root of the workspace.
    pub fn command(&self, program: &str) -> Command {
        Command::new(program, self.workspace.root())
    }

    /// Runs `command`, its output to the step's log.
    ///
    /// # Errors
    /// When the program is missing, does not end with 0, or the run is stopped. The error holds
    /// the line to paste, the exit code, the last lines of output and the log's path.
    pub fn exec(&self, log: &StepLog, command: &Command) -> Result<()> {
        self.tools.run(log, command)?.success()?;
        Ok(())
    }

    /// Runs `command` and gives back what it wrote to standard output; both streams go to the log.
    ///
    /// # Errors
    /// As [`Run::exec`].
    pub fn capture(&self, log: &StepLog, command: &Command) -> Result<Vec<u8>> {
        self.tools.capture(log, command)?.success()
    }

    /// Runs `command` and leaves it to the caller what its exit code means.
    ///
    /// # Errors
    /// When the program is missing, was killed by a signal, or the run is stopped.
    pub fn attempt(&self, log: &StepLog, command: &Command) -> Result<Finished> {
        self.tools.capture(log, command)
    }

    /// The same for a program whose standard output is a format for programs: it does not go to
    /// the log.
    ///
    /// # Errors
    /// As [`Run::attempt`].
    pub fn attempt_machine(&self, log: &StepLog, command: &Command) -> Result<Finished> {
        self.tools.machine(log, command)
    }

    /// What `command` writes to standard output, which is the same all through a run: several steps ask Cargo
    /// for the crates of a binary, and it is asked once. The output does not go to the log.
    ///
    /// # Errors
    /// As [`Run::exec`].
    pub fn ask(&self, log: &StepLog, command: &Command) -> Result<Vec<u8>> {
        let line = command.line(self.workspace.root());
        // One lock for each command: a step waits for the same question, never for another one.
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

    /// The manifest as the steps before left it.
    ///
    /// # Errors
    /// When there is none, or it is malformed or of another version.
    pub fn manifest(&self) -> Result<Manifest> {
        match self.read_manifest()? {
            Some(manifest) => Ok(manifest),
            None => bail!(
                "there is no {}: run `cargo xtask dist` first, or name a release with --version or --release",
                self.manifest_path().display()
            ),
        }
    }

    /// Changes the manifest, and makes it where there is none yet; `target/dist/latest` leads to it.
    /// Steps that run at the same time take turns; a reader never sees half a change.
    pub fn update_manifest(&self, change: impl FnOnce(&mut Manifest) -> Result<()>) -> Result<()> {
        let Ok(_turn) = self.manifest.lock() else {
            bail!("another step ended in the middle of a change of the manifest");
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
                    dirty: self.workspace.dirty(),
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
                "{} is of version {}, not {}: remove it and build again",
                path.display(),
                manifest.version,
                self.version.text()
            );
        }
        Ok(Some(manifest))
    }
}
