// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verifies a release from what was published and the public key, or the name of who signed, alone: the one of
//! this work tree from what its registry serves, or any other, in a folder or a registry.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use engine::workspace::Job;
use engine::{Argument, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use programs::notary::{self, Engine};
use programs::registry::{self, Registry};
use release::{Manifest, Signer, layout};

/// `cargo xtask verify`.
pub struct Verify;

impl Step for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn about(&self) -> &'static str {
        "verify the release from what the registry serves, and the public key or who signed"
    }

    fn example(&self) -> &'static str {
        "--release target/dist/latest --key cosign.pub"
    }

    fn arguments(&self) -> &'static [Argument] {
        &[Argument::Engine(Job::Signatures), Argument::Verify]
    }

    fn can_be_up_to_date(&self) -> bool {
        true
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        notary::needs()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        Ok(notary::plan(run).command(registry::own(run)).command(verify(
            run,
            "127.0.0.1:PORT",
            &By::own(run),
        )))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        run.exec(log, &notary::build(run))?;
        let registry = Registry::start(run, log, self.name(), &registry::own(run))?;
        run.exec(log, &verify(run, &registry.host, &By::own(run)))?;
        Ok(Outcome::Done("VERIFIED".to_owned()))
    }
}

/// Who must have signed.
pub enum By {
    /// Whose public key is in this file.
    Key(PathBuf),
    /// Whoever the certificates name.
    Identity(Signer),
}

impl By {
    /// What the release of this work tree says of itself; before there is one, what is to be signed with.
    pub fn own(run: &Run) -> Self {
        let keyless = || run.engines().signatures().is_ok_and(|engine| engine == Engine::Keyless);
        let later = || Signer { identity: "NAME".to_owned(), issuer: "URL".to_owned() };
        let signer = match run.manifest() {
            Ok(manifest) => manifest.signer,
            Err(_) => keyless().then(later),
        };
        signer.map_or_else(|| Self::Key(run.dist().join(layout::PUBLIC_KEY)), Self::Identity)
    }

    /// Adds it to a call of `notary verify`, or of cosign, which has the same names.
    pub fn name(&self, command: Command) -> Command {
        match self {
            Self::Key(path) => command.arg("--key").arg(path),
            Self::Identity(signer) => {
                let command = command.arg("--certificate-identity").arg(&signer.identity);
                let command = command.arg("--certificate-oidc-issuer").arg(&signer.issuer);
                let root = notary::trusted_root();
                root.into_iter().fold(command, |it, path| it.arg("--trusted-root").arg(path))
            }
        }
    }
}

/// `notary verify` of what the registry at `host` serves, and that has to be signed `by` somebody.
pub fn verify(run: &Run, host: &str, by: &By) -> Command {
    let product = &run.workspace.product().product.name;
    let command = notary::call(run, "verify")
        .arg("--registry")
        .arg(format!("{host}/{product}:{}", run.version().text()))
        .args(["--product", product]);
    by.name(command)
}

/// The command that verifies the signed release in `dist`, as a person calls it from the root.
pub fn by_hand(run: &Run, manifest: &Manifest, dist: &Path) -> String {
    let by = manifest
        .signer
        .clone()
        .map_or_else(|| By::Key(dist.join(layout::PUBLIC_KEY)), By::Identity);
    let command = run.command("cargo").args(["xtask", "verify", "--release"]).arg(dist);
    by.name(command).line(run.workspace.root())
}

/// A verdict about a release that is not of this work tree.
pub struct Verdict {
    /// The report, as `notary verify` printed it.
    pub text: String,
    /// Its exit code.
    pub code: u8,
}

/// Verifies another release; `arguments` are those of `notary verify`, and paths among them start
/// where the user stands.
///
/// # Errors
/// When `notary` can't be built or run, or it could check nothing.
pub fn elsewhere(run: &Run, arguments: &[OsString]) -> Result<Verdict> {
    let log = run.tools.log(&run.workspace.scratch().join("logs"), Verify.name())?;
    run.exec(&log, &notary::build(run))?;
    let finished = run.attempt_machine(&log, &other(run, arguments)?)?;
    match finished.code() {
        Some(code @ (0 | 1)) => Ok(Verdict {
            text: String::from_utf8_lossy(finished.stdout()).into_owned(),
            code: u8::from(code != 0),
        }),
        _ => finished.success().map(|_| Verdict { text: String::new(), code: 0 }),
    }
}

/// What [`elsewhere`] would run.
///
/// # Errors
/// When the current folder is gone.
pub fn other(run: &Run, arguments: &[OsString]) -> Result<Command> {
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    let program = notary::path(run);
    Ok(Command::new(program.to_string_lossy(), here).arg("verify").args(arguments))
}
