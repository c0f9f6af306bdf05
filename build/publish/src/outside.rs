// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verifies a published release as a user does: from an empty folder, without credentials, with the
//! public addresses and the public key or identity alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use engine::workspace::Assets;
use engine::{Description, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use foundation::tree;
use programs::notary;
use programs::target::{self, Target};
use release::layout;

use crate::pages;
use crate::verify::TrustedSigner;

/// The last step of `ci release`.
pub struct VerifyPublished;

/// Variables with which a program finds credentials or files of the user.
const OF_USERS: [&str; 4] =
    ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"];

impl Step for VerifyPublished {
    fn describe(&self) -> Description {
        Description::step(
            "verify-outside",
            "verify what was published from an empty folder, without credentials",
        )
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        notary::needs()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = notary::plan(run).native("empty the folder that the user works in");
        Ok(commands(run)?.into_iter().fold(plan, Plan::command))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        run.exec(log, &notary::build(run))?;
        let folder = folder(run);
        tree::remove(&folder)?;
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        if let TrustedSigner::Key(key) = TrustedSigner::from_run(run) {
            // The only input: a user does not have the release folder.
            fs::copy(&key, folder.join(layout::PUBLIC_KEY))
                .with_context(|| format!("cannot copy {}", key.display()))?;
        }
        let commands = commands(run)?;
        for command in &commands {
            run.exec(log, command)?;
        }
        tree::remove(&folder)?;
        Ok(Outcome::Done(format!("VERIFIED by {} commands", commands.len())))
    }
}

/// The user's folder.
fn folder(run: &Run) -> PathBuf {
    run.workspace.scratch().join("outside")
}

fn commands(run: &Run) -> Result<Vec<Command>> {
    let Some(target) = target::find_target(run)? else {
        bail!(
            "the release is only in the local registry: publish it with --to, then verify it with the same --to"
        )
    };
    let folder = folder(run);
    let mut commands = vec![verify(run, &target, &folder)];
    if let Some(Assets::Folder(site)) = pages::find_assets(run)? {
        let page = site.join(layout::tag(run.version().text()));
        let sums = Command::new("sha256sum", page).args(["--check", "--strict", "--quiet"]);
        commands.push(sums.arg(layout::CHECKSUMS));
    }
    Ok(commands)
}

/// `notary verify` of the version in the registry.
fn verify(run: &Run, target: &Target, folder: &Path) -> Command {
    let program = notary::path(run);
    let call = Command::new(program.to_string_lossy(), folder)
        .arg("verify")
        .arg("--registry")
        .arg(format!("{}:{}", target.namespace.with_scheme(), run.version().text()))
        .args(["--product", &run.workspace.product().product.name]);
    let call = match TrustedSigner::from_run(run) {
        TrustedSigner::Key(_) => TrustedSigner::Key(PathBuf::from(layout::PUBLIC_KEY)).name(call),
        by @ TrustedSigner::Identity(_) => by.name(call),
    };
    let public = Target { auth: None, ..target.clone() };
    let call = public.add_access(notary::add_builder(call)).env("HOME", folder);
    OF_USERS.into_iter().fold(call, Command::without_env)
}
