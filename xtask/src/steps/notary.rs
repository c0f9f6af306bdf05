// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! How steps call `notary`, the program that holds keys and speaks to registries.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use release::Channel;

use super::{Input, Need, Plan, StepLog};
use crate::ops::command::Command;
use crate::ops::tree;
use crate::run::Run;

/// The signing key: the path of a key file, or its PEM text.
const KEY: &str = "XTASK_SIGNING_KEY";
/// The password of the key, named as cosign names it.
const PASSWORD: &str = "COSIGN_PASSWORD";

/// The version that stands in the manifest as that of our own engine.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The starts of the names of variables that cosign finds keys in a KMS or an HSM with.
const OF_COSIGN: &[&str] =
    &["AWS_", "AZURE_", "COSIGN_", "GOOGLE_", "SOFTHSM2_", "TRANSIT_", "VAULT_"];

/// What signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// `notary` itself.
    Native,
    /// The program, which `notary` calls.
    Cosign,
}

impl Engine {
    /// The engine of this run.
    ///
    /// # Errors
    /// When there is no engine of that name.
    pub(super) fn of(run: &Run) -> Result<Self> {
        match run.engine("signatures")? {
            "native" => Ok(Self::Native),
            "cosign" => Ok(Self::Cosign),
            other => {
                bail!("there is no engine {other:?} for signatures: expected native or cosign")
            }
        }
    }

    /// What signing needs beside what every call of `notary` does.
    pub(super) fn needs(run: &Run) -> Vec<Need> {
        let mut needs = needs();
        // An unknown engine is told by the plan.
        if Self::of(run).is_ok_and(|engine| engine == Self::Cosign) {
            needs.push(Need::Tool("cosign"));
        }
        needs
    }

    /// Notes in the manifest what signs, before the manifest itself is signed.
    ///
    /// # Errors
    /// When the manifest can't be changed, or cosign is not there.
    pub(super) fn record(self, run: &Run) -> Result<()> {
        let (name, version) = match self {
            Self::Native => ("native", OWN_VERSION.to_owned()),
            Self::Cosign => {
                let version = run.tools.version("cosign");
                ("cosign", version.context("cosign does not tell its version")?)
            }
        };
        let engine = release::Engine { name: name.to_owned(), version };
        run.update_manifest(|manifest| {
            manifest.engines.insert("signatures".to_owned(), engine);
            Ok(())
        })
    }
}

/// Where the signing key comes from.
pub(super) enum Key {
    /// The environment holds it.
    Given,
    /// A snapshot without a key signs with one that nobody keeps; this is its path.
    ThrowAway(PathBuf),
}

impl Key {
    /// The key of this run.
    ///
    /// # Errors
    /// When a release is to be signed and the environment holds no key.
    pub(super) fn of(run: &Run) -> Result<Self> {
        if env::var_os(KEY).is_some_and(|value| !value.is_empty()) {
            return Ok(Self::Given);
        }
        if run.version().channel() != Channel::Snapshot {
            bail!(
                "{} is a release and {KEY} is not set: set it to the path of a cosign key file or \
                 to its text, and {PASSWORD} to its password",
                run.version().text()
            );
        }
        Ok(Self::ThrowAway(run.workspace.scratch().join("throw-away/cosign.key")))
    }

    /// `notary VERB --release DIR` with this key and `engine`.
    pub(super) fn call(&self, run: &Run, engine: Engine, verb: &str) -> Command {
        let mut command = call(run, verb).arg("--release").arg(run.dist());
        if engine == Engine::Cosign {
            command = command.args(["--engine", "cosign"]);
        }
        match self {
            Self::Given => {
                let command = command.secret_env(KEY).secret_env(PASSWORD);
                of_cosign(engine).into_iter().fold(command, Command::secret_env)
            }
            Self::ThrowAway(path) => command.arg("--key").arg(path).env(PASSWORD, ""),
        }
    }

    /// Makes the throw-away key, unless an interrupted run left it.
    pub(super) fn prepare(&self, run: &Run, log: &StepLog) -> Result<()> {
        let Self::ThrowAway(path) = self else { return Ok(()) };
        if path.is_file() {
            return Ok(());
        }
        discard(path)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        run.exec(log, &generate(run, path))
    }

    /// The command of [`Key::prepare`], if it has one.
    pub(super) fn planned(&self, run: &Run) -> Option<Command> {
        match self {
            Self::Given => None,
            Self::ThrowAway(path) => Some(generate(run, path)),
        }
    }

    /// Throws a throw-away key away.
    pub(super) fn discard(&self) -> Result<()> {
        match self {
            Self::Given => Ok(()),
            Self::ThrowAway(path) => discard(path),
        }
    }
}

/// The variables that are set for cosign to find a key with.
fn of_cosign(engine: Engine) -> Vec<String> {
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<_> = names
        .filter(|name| engine == Engine::Cosign && OF_COSIGN.iter().any(|it| name.starts_with(it)))
        .filter(|name| name != PASSWORD)
        .collect();
    names.sort();
    names
}

/// Makes a key pair beside `key`, without a password.
pub(super) fn generate(run: &Run, key: &Path) -> Command {
    call(run, "key")
        .args(["generate", "--output-key-prefix"])
        .arg(key.with_extension(""))
        .env(PASSWORD, "")
}

fn discard(key: &Path) -> Result<()> {
    let Some(folder) = key.parent() else { return Ok(()) };
    tree::remove(folder)
}

/// Builds `notary` for this machine; cargo does nothing where it is built already.
/// Not optimised, except for the cryptography (`profile.dev` in `Cargo.toml`): that is what takes time.
pub(super) fn build(run: &Run) -> Command {
    run.command("cargo")
        .args(["build", "--quiet", "--locked", "--package", "notary", "--target-dir"])
        .arg(run.workspace.target())
}

/// `notary VERB`, to be run at the root.
pub(super) fn call(run: &Run, verb: &str) -> Command {
    run.command(&path(run).to_string_lossy()).arg(verb)
}

/// Where the program lies.
pub(super) fn path(run: &Run) -> PathBuf {
    run.workspace.target().join("debug/notary")
}

/// What every step that calls `notary` needs.
pub(super) fn needs() -> Vec<Need> {
    vec![Need::Tool("cargo")]
}

/// A plan that starts with the build of `notary` and depends on the release as it stands.
pub(super) fn plan(run: &Run) -> Plan {
    Plan::new().command(build(run)).reads(Input::Path(run.dist_in_plan()))
}
