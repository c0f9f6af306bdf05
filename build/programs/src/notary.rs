// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! How steps call `notary`, the program that holds keys and speaks to registries.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use engine::{Input, Need, Plan, Run, StepLog};
use foundation::command::Command;
use foundation::tree;
use release::Channel;

pub use engine::workspace::SignatureEngine as Engine;

/// The signing key: the path of a key file, or what else cosign's `--key` takes.
const KEY: &str = "XTASK_SIGNING_KEY";
/// The password of the key, named as cosign names it. Only one that is empty is taken here.
const PASSWORD: &str = "COSIGN_PASSWORD";
/// The path of the file with the password.
const PASSWORD_FILE: &str = "COSIGN_PASSWORD_FILE";

/// Which services cosign uses where there is no key, and whom to believe them; else Sigstore's public ones.
const SIGNING_CONFIG: &str = "XTASK_SIGNING_CONFIG";
const TRUSTED_ROOT: &str = "XTASK_TRUSTED_ROOT";

/// The version of our own engine in the manifest.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The starts of the names of variables that cosign finds keys in a KMS or an HSM with.
const OF_COSIGN: &[&str] =
    &["AWS_", "AZURE_", "COSIGN_", "GOOGLE_", "SOFTHSM2_", "TRANSIT_", "VAULT_"];

/// The starts of the names of variables that cosign proves an identity with, or finds its own files.
const OF_IDENTITIES: &[&str] = &[
    "ACTIONS_ID_TOKEN_REQUEST_",
    "BUILDKITE_",
    "COSIGN_",
    "GOOGLE_",
    "SIGSTORE_",
    "SPIFFE_",
    "TUF_",
];

/// Refuses a signing key that the environment of this process holds.
///
/// Programs of the same user can read the environment of a process in `/proc`, also after the process has
/// removed the variable, and a build script of any dependency is such a program. So key and password
/// have to be in files, which `notary` opens and no compiler knows of.
///
/// # Errors
/// When the text of a key or a password is in a variable.
pub fn refuse_secrets() -> Result<()> {
    refuse(env::var_os(KEY), env::var_os(PASSWORD))
}

fn refuse(key: Option<OsString>, password: Option<OsString>) -> Result<()> {
    let why = "build scripts can read it in /proc";
    if key.is_some_and(|key| key.to_string_lossy().contains("-----BEGIN")) {
        bail!(
            "{KEY} holds the text of the signing key, where {why}\n    fix: write the key to a file \
             that only you can read, `(umask 077; printf %s \"${KEY}\" > signing.key)`, and set {KEY} \
             to its path"
        );
    }
    if password.is_some_and(|password| !password.is_empty()) {
        bail!(
            "{PASSWORD} holds the password of the signing key, where {why}\n    fix: write it to a \
             file that only you can read, `(umask 077; printf %s \"${PASSWORD}\" > \
             signing.password)`, unset {PASSWORD}, and set {PASSWORD_FILE} to the path"
        );
    }
    Ok(())
}

/// What signing needs beside what every call of `notary` does.
pub fn needs_for_signing(run: &Run) -> Vec<Need> {
    let mut needs = needs();
    // Where none is named, the plan is an error.
    if run.engines().signatures().is_ok_and(|engine| engine != Engine::Native) {
        needs.push(Need::Tool("cosign"));
    }
    needs
}

/// Notes in the manifest what signs, before the manifest itself is signed.
///
/// # Errors
/// When the manifest can't be changed, or cosign is not there.
pub fn record_engine(engine: Engine, run: &Run) -> Result<()> {
    let (name, version) = match engine {
        Engine::Native => ("native", OWN_VERSION.to_owned()),
        Engine::Cosign | Engine::Keyless => {
            let version = run.tools.version("cosign");
            let name = if engine == Engine::Cosign { "cosign" } else { "cosign:keyless" };
            (name, version.context("cosign does not tell its version")?)
        }
    };
    let recorded = release::Engine { name: name.to_owned(), version };
    run.update_manifest(|manifest| {
        manifest.engines.insert("signatures".to_owned(), recorded);
        Ok(())
    })
}

/// Where the signing key comes from.
pub enum Key {
    /// The environment holds it.
    Given,
    /// A snapshot without a key signs with one that nobody keeps; this is its path.
    ThrowAway(PathBuf),
    /// There is none: cosign proves who signs.
    None,
}

impl Key {
    /// The key of this run.
    ///
    /// # Errors
    /// When a release is to be signed with a key and the environment holds none.
    pub fn of(run: &Run) -> Result<Self> {
        if run.engines().signatures()? == Engine::Keyless {
            return Ok(Self::None);
        }
        if env::var_os(KEY).is_some_and(|value| !value.is_empty()) {
            return Ok(Self::Given);
        }
        if run.version().channel() != Channel::Snapshot {
            bail!(
                "{} is a release and {KEY} is not set: set it to the path of a cosign key file, \
                 and {PASSWORD_FILE} to that of a file with its password, or sign as an identity with \
                 --engine signatures=cosign:keyless",
                run.version().text()
            );
        }
        Ok(Self::ThrowAway(run.workspace.scratch().join("throw-away/cosign.key")))
    }

    /// `notary VERB --release DIR` with this key and `engine`.
    pub fn call(&self, run: &Run, engine: Engine, verb: &str) -> Command {
        let mut command = call(run, verb).arg("--release").arg(run.dist());
        if engine == Engine::Cosign {
            command = command.args(["--engine", "cosign"]);
        }
        match self {
            Self::Given => {
                let command =
                    command.secret_env(KEY).secret_env(PASSWORD).secret_env(PASSWORD_FILE);
                of_cosign(engine).into_iter().fold(command, Command::secret_env)
            }
            Self::ThrowAway(path) => command.arg("--key").arg(path).env(PASSWORD, ""),
            Self::None => {
                let mut command = command.args(["--engine", "cosign:keyless"]);
                for (option, variable) in
                    [("--signing-config", SIGNING_CONFIG), ("--trusted-root", TRUSTED_ROOT)]
                {
                    if let Some(path) = file(variable) {
                        command = command.arg(option).arg(path);
                    }
                }
                of_cosign(engine).into_iter().fold(command, Command::secret_env)
            }
        }
    }

    /// The variables that decide what is signed with.
    pub fn inputs(&self) -> &'static [&'static str] {
        match self {
            Self::Given | Self::ThrowAway(_) => &[KEY],
            Self::None => &[SIGNING_CONFIG, TRUSTED_ROOT],
        }
    }

    /// Makes the throw-away key, unless an interrupted run left it.
    pub fn prepare(&self, run: &Run, log: &StepLog) -> Result<()> {
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
    pub fn planned(&self, run: &Run) -> Option<Command> {
        match self {
            Self::Given | Self::None => None,
            Self::ThrowAway(path) => Some(generate(run, path)),
        }
    }

    /// Throws a throw-away key away.
    pub fn discard(&self) -> Result<()> {
        match self {
            Self::Given | Self::None => Ok(()),
            Self::ThrowAway(path) => discard(path),
        }
    }
}

/// The path in the variable `name`, made absolute from the user's current folder.
fn file(name: &str) -> Option<PathBuf> {
    let path = env::var_os(name).filter(|path| !path.is_empty())?;
    // Only a path that is empty has no absolute form where there is a current folder.
    Some(std::path::absolute(&path).unwrap_or_else(|_| PathBuf::from(path)))
}

/// Whom to believe who signed, where it is not Sigstore's public service.
pub fn trusted_root() -> Option<PathBuf> {
    file(TRUSTED_ROOT)
}

/// The variables that are set for cosign to find a key or an identity with.
fn of_cosign(engine: Engine) -> Vec<String> {
    let known = match engine {
        Engine::Native => return Vec::new(),
        Engine::Cosign => OF_COSIGN,
        Engine::Keyless => OF_IDENTITIES,
    };
    let names = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut names: Vec<_> = names
        .filter(|name| known.iter().any(|it| name.starts_with(it)))
        .filter(|name| name != PASSWORD && name != PASSWORD_FILE)
        .collect();
    names.sort();
    names
}

/// Makes a key pair beside `key`, without a password.
pub fn generate(run: &Run, key: &Path) -> Command {
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
pub fn build(run: &Run) -> Command {
    run.command("cargo")
        .args(["build", "--quiet", "--locked", "--package", "notary", "--target-dir"])
        .arg(run.workspace.target())
}

/// `notary VERB`, to be run at the root.
pub fn call(run: &Run, verb: &str) -> Command {
    run.command(&path(run).to_string_lossy()).arg(verb)
}

/// Where the program lies.
pub fn path(run: &Run) -> PathBuf {
    run.workspace.target().join("debug/notary")
}

/// What every step that calls `notary` needs.
pub fn needs() -> Vec<Need> {
    vec![Need::Tool("cargo")]
}

/// A plan that starts with the build of `notary` and depends on the current content of the release.
pub fn plan(run: &Run) -> Plan {
    Plan::new().command(build(run)).reads(Input::Path(run.dist_in_plan()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_or_password_in_the_environment_is_refused_and_a_path_is_not() {
        let pem = "-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nx";
        let check = |key: &str, password: Option<&str>| {
            refuse(Some(key.into()), password.map(OsString::from)).map_err(|it| it.to_string())
        };
        assert!(check(pem, None).unwrap_err().contains("fix: "));
        assert!(check("/a/key", Some("secret")).unwrap_err().contains(PASSWORD_FILE));
        for (key, password) in [("/a/key", Some("")), ("awskms:///x", None), ("", None)] {
            check(key, password).unwrap();
        }
        refuse(None, None).unwrap();
    }
}
