// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Calls of `notary`, the program that holds keys and talks to registries.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use engine::{Input, Need, Plan, Run, StepLog};
use foundation::command::Command;
use foundation::{file, tree};
use release::Channel;

pub use engine::workspace::SignatureEngine as Engine;

/// The signing key: path of a key file, or any other value of cosign's `--key`.
const KEY: &str = "XTASK_SIGNING_KEY";
/// The key's password, in cosign's variable. Only an empty one is accepted here.
const PASSWORD: &str = "COSIGN_PASSWORD";
/// Path of the file with the password.
const PASSWORD_FILE: &str = "COSIGN_PASSWORD_FILE";

/// cosign's signing config and trusted root for keyless signing; default: Sigstore's public
/// services.
const SIGNING_CONFIG: &str = "XTASK_SIGNING_CONFIG";
const TRUSTED_ROOT: &str = "XTASK_TRUSTED_ROOT";

/// Version of the native engine in the manifest.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

/// `builder.id` of the provenance [default: the local build].
const BUILDER: &str = "XTASK_BUILDER";

/// Prefixes of variables with which cosign accesses keys in a KMS or an HSM.
const OF_COSIGN: &[&str] =
    &["AWS_", "AZURE_", "COSIGN_", "GOOGLE_", "SOFTHSM2_", "TRANSIT_", "VAULT_"];

/// Prefixes of variables with which cosign obtains an OIDC identity or finds its own files.
const OF_IDENTITIES: &[&str] = &[
    "ACTIONS_ID_TOKEN_REQUEST_",
    "BUILDKITE_",
    "COSIGN_",
    "GOOGLE_",
    "SIGSTORE_",
    "SPIFFE_",
    "TUF_",
];

/// Rejects a signing key in the environment of this process.
///
/// Programs of the same user, such as any dependency's build script, can read a process's
/// environment from `/proc`, even after the process has removed the variable. Key and password
/// therefore have to be in files, which only `notary` opens.
///
/// # Errors
/// When a variable contains a key or a password.
pub fn refuse_secrets() -> Result<()> {
    refuse(env::var_os(KEY), env::var_os(PASSWORD))
}

fn refuse(key: Option<OsString>, password: Option<OsString>) -> Result<()> {
    let why = "build scripts can read it from /proc";
    if key.is_some_and(|key| key.to_string_lossy().contains("-----BEGIN")) {
        bail!(
            "{KEY} contains the signing key itself; {why}\n    fix: write the key to a file \
             that only you can read, `(umask 077; printf %s \"${KEY}\" > signing.key)`, and set {KEY} \
             to its path"
        );
    }
    if password.is_some_and(|password| !password.is_empty()) {
        bail!(
            "{PASSWORD} contains the password of the signing key; {why}\n    fix: write it to a \
             file that only you can read, `(umask 077; printf %s \"${PASSWORD}\" > \
             signing.password)`, unset {PASSWORD}, and set {PASSWORD_FILE} to the path"
        );
    }
    Ok(())
}

/// Prerequisites of signing, in addition to those of any call of `notary`.
pub fn needs_for_signing(run: &Run) -> Vec<Need> {
    let mut needs = needs();
    // Without an engine, planning fails.
    if run.engines().signatures().is_ok_and(|engine| engine != Engine::Native) {
        needs.push(Need::Tool("cosign"));
    }
    needs
}

/// Records the signing engine in the manifest, before the manifest itself is signed.
///
/// # Errors
/// When the manifest cannot be changed, or cosign is missing.
pub fn record_engine(engine: Engine, run: &Run) -> Result<()> {
    let (name, version) = match engine {
        Engine::Native => ("native", OWN_VERSION.to_owned()),
        Engine::Cosign | Engine::Keyless => {
            let version = run.tools.version("cosign");
            let name = if engine == Engine::Cosign { "cosign" } else { "cosign:keyless" };
            (name, version.context("cosign does not report its version")?)
        }
    };
    let recorded = release::Engine { name: name.to_owned(), version };
    run.update_manifest(|manifest| {
        manifest.engines.insert("signatures".to_owned(), recorded);
        Ok(())
    })
}

/// Result of a call that checks or changes published releases.
pub struct Answer {
    /// Standard output.
    pub text: String,
    /// Exit code: 0, or 1 if it found something wrong.
    pub code: u8,
}

/// Builds `notary` and runs `command`, which calls it. `name` is that of the log.
///
/// # Errors
/// When `notary` cannot be built or run, or could not check anything.
pub fn ask(run: &Run, name: &str, command: &Command) -> Result<Answer> {
    let log = run.tools.log(&run.workspace.scratch().join("logs"), name)?;
    run.exec(&log, &build(run))?;
    let finished = run.attempt_machine(&log, command)?;
    let text = String::from_utf8_lossy(finished.stdout()).into_owned();
    match finished.code() {
        Some(0) => Ok(Answer { text, code: 0 }),
        // It reports faults on standard output.
        Some(1) if !text.is_empty() => Ok(Answer { text, code: 1 }),
        _ => finished.success().map(|_| Answer { text, code: 0 }),
    }
}

/// Source of the signing key.
pub enum Key {
    /// Named by the environment.
    Environment,
    /// Throw-away key of a snapshot without a key; its path.
    ThrowAway(PathBuf),
    /// No key: keyless signing by cosign.
    Keyless,
}

impl Key {
    /// The key of this run.
    ///
    /// # Errors
    /// When a release needs a key and the environment names none.
    pub fn from_run(run: &Run) -> Result<Self> {
        if run.engines().signatures()? == Engine::Keyless {
            return Ok(Self::Keyless);
        }
        if is_key_set() {
            return Ok(Self::Environment);
        }
        if run.version().channel() != Channel::Snapshot {
            bail!(
                "{} is a release and {KEY} is not set: set it to the path of a cosign key file, \
                 and {PASSWORD_FILE} to the path of a file with its password, or sign keyless with \
                 --engine signatures=cosign:keyless",
                run.version().text()
            );
        }
        Ok(Self::ThrowAway(run.workspace.scratch().join("throw-away/cosign.key")))
    }

    /// The key of records of channels, and the engine that signs with it: cosign with the key that the environment
    /// names, if an identity signs the releases.
    ///
    /// # Errors
    /// As [`Key::from_run`].
    pub fn for_records(run: &Run) -> Result<(Self, Engine)> {
        match run.engines().signatures()? {
            Engine::Keyless if is_key_set() => Ok((Self::Environment, Engine::Cosign)),
            engine => Ok((Self::from_run(run)?, engine)),
        }
    }

    /// `notary VERB --release DIR` with this key and `engine`.
    pub fn call(&self, run: &Run, engine: Engine, verb: &str) -> Command {
        self.sign(engine, call(run, verb).arg("--release").arg(run.dist()))
    }

    /// `command` of `notary`, signing with this key and `engine`.
    pub fn sign(&self, engine: Engine, mut command: Command) -> Command {
        if engine == Engine::Cosign {
            command = command.args(["--engine", "cosign"]);
        }
        match self {
            Self::Environment => {
                let command =
                    command.secret_env(KEY).secret_env(PASSWORD).secret_env(PASSWORD_FILE);
                of_cosign(engine).into_iter().fold(command, Command::secret_env)
            }
            Self::ThrowAway(path) => command.arg("--key").arg(path).env(PASSWORD, ""),
            Self::Keyless => {
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

    /// Adds `identity` of `issuer` as the trusted signer of releases to a call that
    /// [`Key::sign`] has prepared.
    pub fn add_identity(&self, call: Command, identity: &str, issuer: &str) -> Command {
        match self {
            // `sign` has added the trusted root.
            Self::Keyless => name_identity(call, identity, issuer),
            Self::Environment | Self::ThrowAway(_) => add_identity(call, identity, issuer),
        }
    }

    /// Variables that select the key.
    pub fn inputs(&self) -> &'static [&'static str] {
        match self {
            Self::Environment | Self::ThrowAway(_) => &[KEY, BUILDER],
            Self::Keyless => &[SIGNING_CONFIG, TRUSTED_ROOT, BUILDER],
        }
    }

    /// Generates the throw-away key, unless an interrupted run left one.
    pub fn prepare(&self, run: &Run, log: &StepLog) -> Result<()> {
        let Self::ThrowAway(path) = self else { return Ok(()) };
        if path.is_file() {
            return Ok(());
        }
        discard(path)?;
        if let Some(folder) = path.parent() {
            file::create_folder(folder)?;
        }
        run.exec(log, &generate(run, path))
    }

    /// The command of [`Key::prepare`], if it has one.
    pub fn plan_prepare(&self, run: &Run) -> Option<Command> {
        match self {
            Self::Environment | Self::Keyless => None,
            Self::ThrowAway(path) => Some(generate(run, path)),
        }
    }

    /// Deletes a throw-away key.
    pub fn discard(&self) -> Result<()> {
        match self {
            Self::Environment | Self::Keyless => Ok(()),
            Self::ThrowAway(path) => discard(path),
        }
    }
}

/// Whether the environment names a key.
fn is_key_set() -> bool {
    env::var_os(KEY).is_some_and(|value| !value.is_empty())
}

/// The path in the variable `name`, made absolute from the current folder.
fn file(name: &str) -> Option<PathBuf> {
    let path = env::var_os(name).filter(|path| !path.is_empty())?;
    // `absolute` only fails for an empty path, or without a current folder.
    Some(std::path::absolute(&path).unwrap_or_else(|_| PathBuf::from(path)))
}

/// Trusted root for keyless signatures; default: Sigstore's public service.
fn trusted_root() -> Option<PathBuf> {
    file(TRUSTED_ROOT)
}

/// Adds `identity` of `issuer` as the trusted signer, with the trusted root that the environment
/// names, to a call that only verifies.
pub fn add_identity(call: Command, identity: &str, issuer: &str) -> Command {
    add_trusted_root(name_identity(call, identity, issuer))
}

fn name_identity(call: Command, identity: &str, issuer: &str) -> Command {
    call.args(["--certificate-identity", identity, "--certificate-oidc-issuer", issuer])
}

/// Adds the trusted root that the environment names.
fn add_trusted_root(call: Command) -> Command {
    trusted_root().into_iter().fold(call, |call, path| call.arg("--trusted-root").arg(path))
}

/// Adds the builder that the environment names to a call of `notary` that writes or checks provenance.
pub fn add_builder(call: Command) -> Command {
    match env::var_os(BUILDER).filter(|it| !it.is_empty()) {
        Some(builder) => call.arg("--builder").arg(builder),
        None => call,
    }
}

/// The set variables with which cosign finds a key or an identity.
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

/// Generates a key pair beside `key`, without a password.
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

/// Builds `notary` for this host.
pub fn build(run: &Run) -> Command {
    crate::build(run, "notary")
}

/// `notary VERB`, run in the root.
pub fn call(run: &Run, verb: &str) -> Command {
    run.command(&path(run).to_string_lossy()).arg(verb)
}

/// Path of the program.
pub fn path(run: &Run) -> PathBuf {
    crate::path(run, "notary")
}

/// Prerequisites of any call of `notary`.
pub fn needs() -> Vec<Need> {
    vec![Need::Tool("cargo")]
}

/// A plan that builds `notary` first and depends on the content of the release.
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
