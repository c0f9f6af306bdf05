// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verifies a release from what was published and the public key alone: the one of this work tree from what its registry
//! serves, or any other, in a folder or a registry.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use release::layout;

use super::registry::{self, Registry};
use super::{Need, Outcome, Plan, Step, StepLog, notary};
use crate::ops::command::Command;
use crate::run::Run;

/// `cargo xtask verify`.
pub(crate) struct Verify;

impl Step for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn about(&self) -> &'static str {
        "verify the release from what the registry serves and the public key"
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        notary::needs()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        Ok(notary::plan(run).command(registry::own(run)).command(verify(
            run,
            "127.0.0.1:PORT",
            &own_key(run),
        )))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        run.exec(log, &notary::build(run))?;
        let registry = Registry::start(run, log, self.name(), &registry::own(run))?;
        run.exec(log, &verify(run, &registry.host, &own_key(run)))?;
        Ok(Outcome::Done("VERIFIED".to_owned()))
    }
}

/// The public key that is part of the release.
pub(super) fn own_key(run: &Run) -> PathBuf {
    run.dist().join(layout::PUBLIC_KEY)
}

/// `notary verify` of what the registry at `host` serves, with the public key in the file `key`.
pub(super) fn verify(run: &Run, host: &str, key: &Path) -> Command {
    let product = &run.workspace.product().product.name;
    notary::call(run, "verify")
        .arg("--registry")
        .arg(format!("{host}/{product}:{}", run.version().text()))
        .arg("--key")
        .arg(key)
}

/// A verdict about a release that is not of this work tree.
pub(crate) struct Verdict {
    /// The report, as `notary verify` printed it.
    pub(crate) text: String,
    /// Its exit code.
    pub(crate) code: u8,
}

/// Verifies another release; `arguments` are those of `notary verify`, and paths among them start
/// where the user stands.
///
/// # Errors
/// When `notary` can't be built or run, or it could check nothing.
pub(crate) fn elsewhere(run: &Run, arguments: &[OsString]) -> Result<Verdict> {
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
pub(crate) fn other(run: &Run, arguments: &[OsString]) -> Result<Command> {
    let here = std::env::current_dir().context("cannot tell the current folder")?;
    let program = notary::path(run);
    Ok(Command::new(program.to_string_lossy(), here).arg("verify").args(arguments))
}
