// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The second build: the same source in another environment that must not influence artifacts.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use assemble::book::Book;
use assemble::build::Build;
use assemble::checksums::Checksums;
use assemble::images::Images;
use assemble::iso::Iso;
use assemble::maintenance::Maintenance;
use assemble::package::Package;
use assemble::sbom::Sbom;
use engine::tool::Finished;
use engine::{Argument, Run, Step, StepLog};
use foundation::command::Command;
use foundation::{file, source, tree};
use release::{Architecture, layout};
use rust::build::cargo_home;
use serde::Serialize;

use super::FOLDER;

/// Steps of the second build, in order: all reproducible ones.
pub(super) const STEPS: &[&dyn Step] =
    &[&Book, &Build::ALL, &Package, &Images, &Maintenance, &Iso, &Sbom, &Checksums];

/// Variables with other values.
const OTHERWISE: &[(&str, &str)] = &[
    ("LC_ALL", "C.UTF-8"),
    ("LOGNAME", "nobody"),
    ("TZ", "Pacific/Kiritimati"),
    ("USER", "nobody"),
];
/// User ids of the second build: the first that is not ours.
const USERS: [u32; 2] = [65534, 1000];
/// Steps that run as that user. The others use podman and mmdebstrap, which need a range of
/// subordinate user ids.
const AS_USER: &[&str] = &["book", "build", "package", "sbom", "checksums"];
/// Path prefixes of the other steps' results.
const NOT_AS_USER: &[&str] = &[layout::IMAGES, layout::ISO];
/// umask: no access for others.
const UMASK: &str = "077";
/// Host name.
const HOST: &str = "elsewhere";
/// Argument that binds the tool images into the maintenance OS, as `everything` does.
const BIND_TOOLS: &str = "bind_tools";
/// Preload library that reverses the order of directory entries and shifts the clock by a year.
const OTHER_LIBRARY: &str = "build/rebuild/data/otherwise.c";

/// Environment of the second build.
pub(super) struct SecondBuild {
    /// Folder of all its files.
    folder: PathBuf,
    /// Workspace root.
    pub(super) root: PathBuf,
    /// Whether the host name can be changed for child processes.
    host: bool,
    /// Why no program can run as another user; `None` if it can, or was not tried.
    no_user: Option<String>,
}

/// A difference between the builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Variation {
    /// Name.
    pub(super) what: &'static str,
    pub(super) first: String,
    pub(super) second: String,
    /// Why both builds had the same value after all; `None` if they differed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) same_because: Option<String>,
    /// Files and images that it did not apply to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) not_on: Option<Exemption>,
}

/// Files and images that a variation did not apply to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Exemption {
    pub(super) folders: &'static [&'static str],
    pub(super) because: &'static str,
}

impl Variation {
    /// Why it did not apply to the file or image at `path`; `None` if it did.
    pub(super) fn explain_untried(&self, path: &str) -> Option<&str> {
        let top = path.split('/').next().unwrap_or_default();
        let beyond = self.not_on.as_ref().filter(|it| it.folders.contains(&top));
        self.same_because.as_deref().or(beyond.map(|it| it.because))
    }
}

impl SecondBuild {
    pub(super) fn new(run: &Run) -> Self {
        let folder = run.workspace.root().join(FOLDER);
        // Longer than usual paths, so that a path in a binary changes its length.
        let root = folder.join("elsewhere/in-a-folder-with-a-longer-name/source");
        Self { folder, root, host: is_root(), no_user: None }
    }

    /// The commands that run `steps` there, in order.
    pub(super) fn commands(&self, run: &Run, steps: &[&dyn Step]) -> Result<Vec<Command>> {
        steps.iter().map(|step| self.command(run, *step)).collect()
    }

    fn home(&self) -> PathBuf {
        self.folder.join("home")
    }

    fn cargo_home(&self) -> PathBuf {
        self.folder.join("cargo")
    }

    fn library(&self) -> PathBuf {
        self.folder.join("otherwise.so")
    }

    /// The command that clones the source.
    pub(super) fn clone_command(&self, run: &Run) -> Command {
        run.command("git")
            .args(["clone", "--quiet", "--shared"])
            .arg(run.workspace.root())
            .arg(&self.root)
    }

    /// The command that builds the preload library.
    pub(super) fn library_command(&self, run: &Run) -> Command {
        let command = run.command("cc").args(["-shared", "-fPIC", "-O1", "-o"]);
        command.arg(self.library()).arg(OTHER_LIBRARY).arg("-ldl")
    }

    /// The command that runs `step` there with this program.
    fn command(&self, run: &Run, step: &dyn Step) -> Result<Command> {
        let program =
            std::env::current_exe().context("cannot determine the path of this program")?;
        let rustup = std::env::var_os("RUSTUP_HOME").map_or_else(
            || Ok::<_, anyhow::Error>(home()?.join(".rustup")),
            |folder| Ok(folder.into()),
        )?;
        let mut script = format!("umask {UMASK}; exec \"$@\"");
        let user = if AS_USER.contains(&step.name()) && self.no_user.is_none() {
            as_user()
        } else {
            Vec::new()
        };
        let mut command = Command::new("sh", &self.root);
        if self.host {
            script = format!("hostname {HOST} && {script}");
            command = Command::new("unshare", &self.root).args(["--uts", "sh"]);
        }
        command = command.args(["-c", &script, "sh"]).args(user).arg(program).args([
            step.name(),
            "--jobs",
            "1",
        ]);
        let command = with_options(run, step, command)
            .env("LD_PRELOAD", self.library())
            .env("HOME", self.home())
            .env("CARGO_HOME", self.cargo_home())
            .env("RUSTUP_HOME", rustup)
            .without_env("CARGO_TARGET_DIR");
        Ok(OTHERWISE.iter().fold(command, |command, (name, value)| command.env(*name, value)))
    }

    /// Copies the current source, committed or not, and the package files.
    pub(super) fn prepare(&mut self, run: &Run, log: &StepLog) -> Result<()> {
        self.remove()?;
        let mut probe = as_user().into_iter();
        let program = probe.next().unwrap_or_default();
        let tried = run.attempt(log, &run.command(&program).args(probe).arg("true"));
        self.no_user = tried
            .and_then(Finished::success)
            .err()
            .map(|error| format!("cannot run programs as another user here: {error:#}"));
        run.exec(log, &self.clone_command(run))?;
        let paths = run.workspace.paths()?;
        let ours: BTreeSet<&String> = paths.iter().collect();
        for path in source::paths(&self.root)? {
            if !ours.contains(&path) {
                tree::remove(&self.root.join(&path))?;
            }
        }
        for path in &ours {
            let (from, to) = (run.workspace.root().join(path), self.root.join(path));
            if fs::read(&to).ok() != Some(fs::read(&from)?) {
                copy(&from, &to)?;
            }
        }
        run.exec(log, &self.library_command(run))?;
        fs::create_dir_all(self.home())?;
        fs::create_dir_all(self.cargo_home())?;
        let registry = cargo_home()?.join("registry");
        if registry.exists() {
            symlink(&registry, self.cargo_home().join("registry"))
                .context("cannot share the crates that cargo has fetched")?;
        }
        let tools = run.workspace.target().join("tools");
        if tools.exists() {
            let to = self.root.join("target/tools");
            fs::create_dir_all(to.with_file_name(""))?;
            symlink(&tools, to).context("cannot share the programs that setup has installed")?;
        }
        copy_packages(run, &self.root)
    }

    pub(super) fn remove(&self) -> Result<()> {
        tree::remove(&self.folder)
    }

    /// All variations; those that were not possible have a reason.
    pub(super) fn variations(&self, run: &Run) -> Vec<Variation> {
        let own = |name: &str| std::env::var(name).unwrap_or_default();
        let make = |what, first: String, second: String| Variation {
            what,
            first,
            second,
            same_because: None,
            not_on: None,
        };
        let by_library = |what, first: &str, second: &str| Variation {
            not_on: Some(Exemption {
                folders: &[layout::IMAGES],
                because: "podman is linked statically, and the library is not loaded in containers",
            }),
            ..make(what, first.to_owned(), second.to_owned())
        };
        let path = |path: &Path| path.display().to_string();
        let cargo = cargo_home().map(|folder| path(&folder)).unwrap_or_default();
        let mut variations = vec![
            make("folder", path(run.workspace.root()), path(&self.root)),
            make("CARGO_HOME", cargo, path(&self.cargo_home())),
            make("HOME", own("HOME"), path(&self.home())),
            make("umask", "that of the caller".to_owned(), UMASK.to_owned()),
            make("jobs", run.options.jobs.to_string(), "1".to_owned()),
            by_library("order of files", "that of the file system", "reverse"),
            by_library("clock", "now", "a year later"),
            Variation {
                same_because: self.no_user.clone(),
                not_on: Some(Exemption {
                    folders: NOT_AS_USER,
                    because: "podman and mmdebstrap need a range of subordinate user ids, which another user lacks",
                }),
                ..make("user", rustix::process::geteuid().as_raw().to_string(), other_user())
            },
            Variation {
                same_because: (!self.host).then(|| "only root can change the host name".to_owned()),
                ..make("host name", "that of this host".to_owned(), HOST.to_owned())
            },
        ];
        variations.extend(
            OTHERWISE.iter().map(|(name, value)| make(name, own(name), (*value).to_owned())),
        );
        variations
    }
}

/// Command prefix that runs a program as another user: in a user namespace where our user has
/// another id, which it and its children see everywhere, also as the owner of files.
fn as_user() -> Vec<String> {
    let user = other_user();
    let map = |what: &str| format!("--map-{what}={user}");
    vec!["unshare".to_owned(), "--user".to_owned(), map("user"), map("group")]
}

fn other_user() -> String {
    let [usual, other] = USERS;
    let own = rustix::process::geteuid().as_raw();
    if own == usual { other } else { usual }.to_string()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Adds the options of this run that `step` takes.
pub(super) fn with_options(run: &Run, step: &dyn Step, mut command: Command) -> Command {
    let takes = |argument| step.arguments().contains(&argument);
    if takes(Argument::Target) {
        command = command.args(["--target", target(&run.options.architectures)]);
    }
    for choice in run.options.engines.choices().filter(|it| takes(Argument::Engine(it.job()))) {
        command = command.arg("--engine").arg(choice.to_string());
    }
    let own = step.own_arguments(clap::Command::new(step.name()));
    if run.options.everything && own.get_arguments().any(|it| it.get_id() == BIND_TOOLS) {
        command = command.arg("--bind-tools");
    }
    command
}

/// Copies the cached package files to the source tree at `root`.
pub(super) fn copy_packages(run: &Run, root: &Path) -> Result<()> {
    let packages = run.workspace.scratch().join("packages");
    for entry in fs::read_dir(&packages).into_iter().flatten() {
        let from = entry?.path();
        let name = from.file_name().unwrap_or_default();
        copy(&from, &root.join("target/xtask/packages").join(name))?;
    }
    Ok(())
}

/// The value of `--target` for these architectures.
fn target(architectures: &[Architecture]) -> &'static str {
    match architectures {
        [one] => one.rust(),
        _ => "all",
    }
}

fn home() -> Result<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set")
}

/// Copies a file with its mode, creating missing folders.
pub(super) fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        file::create_folder(folder)?;
    }
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}
