// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: every crate that we build on has a licence that is compatible with ours.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cargo_metadata::MetadataCommand;

use super::{Input, Need, Outcome, Plan, Step, StepLog};
use crate::ops::command::Command;
use crate::ops::licenses::{Dependency, Policy, check};
use crate::run::Run;

/// `cargo xtask licenses`.
pub(crate) struct Licenses;

impl Step for Licenses {
    fn name(&self) -> &'static str {
        "licenses"
    }

    fn about(&self) -> &'static str {
        "stop crates whose licence is not compatible with AGPL-3.0"
    }

    fn is_gate(&self) -> bool {
        true
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("cargo")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        Ok(Plan::new()
            .command(metadata(run))
            .native("hold every licence against the list in release.toml")
            .reads(Input::Source(PathBuf::from("Cargo.lock")))
            .reads(Input::Source(PathBuf::from("release.toml")))
            .reads(Input::Tool("cargo")))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let lock = fs::read_to_string(run.workspace.root().join("Cargo.lock"))
            .context("cannot read Cargo.lock")?;
        let dependencies = dependencies(run, log)?;
        let configured = &run.workspace.product().gates.licenses;
        let policy =
            Policy { allow: configured.allow.clone(), clarify: configured.clarify.clone() };
        let mut findings = check(&dependencies, &policy, &lock);
        findings.sort();
        Ok(if findings.is_empty() {
            Outcome::Done(format!("{} crates", dependencies.len()))
        } else {
            Outcome::Found(findings)
        })
    }
}

fn metadata(run: &Run) -> Command {
    run.command("cargo").args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform=x86_64-unknown-linux-gnu",
    ])
}

/// The crates of others that the workspace is built from.
fn dependencies(run: &Run, log: &StepLog) -> Result<Vec<Dependency>> {
    let output = run.capture(log, &metadata(run))?;
    let text = String::from_utf8(output).context("cargo metadata did not write UTF-8")?;
    let metadata = MetadataCommand::parse(text).context("cargo metadata wrote something else")?;
    Ok(metadata
        .packages
        .iter()
        .filter(|package| package.source.is_some())
        .map(|package| Dependency {
            name: package.name.to_string(),
            version: package.version.to_string(),
            license: package.license.clone(),
        })
        .collect())
}
