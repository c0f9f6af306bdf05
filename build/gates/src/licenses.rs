// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: the licences of all crates are compatible with ours, and those of image packages allow
//! distribution beside our programs.

mod policy;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use debian::lock::{Lock, Locked};
use engine::{Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::file;
use foundation::finding::Finding;
use foundation::text::count;
use rust::metadata;

use self::policy::{Dependency, Policy, check, check_packages, stale_clarifications};

/// `cargo xtask licenses`.
pub struct Licenses;

impl Step for Licenses {
    fn describe(&self) -> Description {
        Description::gate(
            "licenses",
            "check that licences of crates and image packages are compatible with AGPL-3.0",
        )
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("cargo")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new()
            .command(metadata::command(run.workspace.root()))
            .native("check all licences against the allowlist in release.toml")
            .reads(Input::Source(PathBuf::from("Cargo.lock")))
            .reads(Input::Source(PathBuf::from("release.toml")))
            .reads(Input::Tool("cargo"));
        let plan = metadata::manifests(&run.workspace.paths()?)
            .fold(plan, |plan, manifest| plan.reads(Input::Source(manifest)));
        let bases = &run.workspace.product().bases;
        if bases.is_empty() {
            return Ok(plan);
        }
        let plan = plan.native("the same with the image packages in the locks");
        Ok(bases.iter().fold(plan, |plan, base| plan.reads(Input::Source(base.lock.clone()))))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let lock = fs::read_to_string(run.workspace.root().join("Cargo.lock"))
            .context("cannot read Cargo.lock")?;
        let dependencies = dependencies(run, log)?;
        let configured = &run.workspace.product().gates.licenses;
        let policy =
            Policy { allow: configured.allow.clone(), clarify: configured.clarify.clone() };
        let mut findings = check(&dependencies, &policy, &lock);
        let (of_packages, packages) = packages(run)?;
        findings.extend(of_packages);
        findings.sort();
        let mut fact = count(dependencies.len(), "crate");
        if packages > 0 {
            fact = format!("{fact}, {}", count(packages, "image package"));
        }
        Ok(Outcome::of(findings, fact))
    }
}

/// Findings on image packages, and the number of packages.
fn packages(run: &Run) -> Result<(Vec<Finding>, usize)> {
    let product = run.workspace.product();
    let configured = &product.gates.licenses.images;
    let policy = Policy { allow: configured.allow.clone(), clarify: configured.clarify.clone() };
    let paths: BTreeSet<_> = product.bases.iter().map(|base| &base.lock).collect();
    let mut findings = Vec::new();
    let mut locks = Vec::new();
    for path in paths {
        let whole = run.workspace.root().join(path);
        let lock = Lock::read(&whole)?;
        let text = file::read_text(&whole)?;
        findings.extend(check_packages(&lock, &path.to_string_lossy(), &text, &policy));
        locks.push(lock);
    }
    findings.extend(stale_clarifications(locks.iter(), &policy));
    let names: BTreeSet<_> =
        locks.iter().flat_map(|lock| &lock.packages).map(Locked::label).collect();
    Ok((findings, names.len()))
}

/// Third-party crates of the workspace.
fn dependencies(run: &Run, log: &StepLog) -> Result<Vec<Dependency>> {
    let output = run.ask(log, &metadata::command(run.workspace.root()))?;
    Ok(metadata::read(output)?
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
