// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds a release from nothing: a clone of the commit with a new target folder. Only package
//! files, which the locks pin by digest, come from the work tree.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use engine::{Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use foundation::tree;
use release::{Manifest, layout};

use crate::second::{self, STEPS};
use crate::{conclude, matrix};

/// The build of `ci release`.
pub struct CleanBuild;

/// Folder of the clone, relative to the root.
const FOLDER: &str = "target/xtask/clean";

impl Step for CleanBuild {
    fn describe(&self) -> Description {
        Description::step(
            "clean-build",
            "clone the commit, and build the whole release from nothing",
        )
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        let own = [Need::Tool("git"), Need::Space(8 << 30)];
        own.into_iter().chain(STEPS.iter().flat_map(|step| step.needs(run))).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new()
            .reads(Input::Source(PathBuf::new()))
            .command(clone(run))
            .command(check_out(run))
            .native("copy the cache of package files");
        let plan = commands(run)?.into_iter().fold(plan, Plan::command);
        Ok(plan.native("move the release to target/dist").writes(run.dist_in_plan()))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        tree::remove(&folder(run))?;
        run.exec(log, &clone(run))?;
        run.exec(log, &check_out(run))?;
        second::copy_packages(run, &folder(run))?;
        for command in commands(run)? {
            run.exec(log, &command)?;
        }
        let outcome = take(run, log)?;
        if matches!(outcome, Outcome::Done(_)) {
            tree::remove(&folder(run))?;
        }
        Ok(outcome)
    }
}

fn folder(run: &Run) -> PathBuf {
    run.workspace.root().join(FOLDER)
}

fn clone(run: &Run) -> Command {
    run.command("git")
        .args(["clone", "--quiet", "--shared", "--no-checkout"])
        .arg(run.workspace.root())
        .arg(folder(run))
}

fn check_out(run: &Run) -> Command {
    run.command("git").arg("-C").arg(folder(run)).args([
        "checkout",
        "--quiet",
        "--detach",
        run.workspace.commit(),
    ])
}

/// The commands that build the release in the clone, with this program.
fn commands(run: &Run) -> Result<Vec<Command>> {
    let program = std::env::current_exe().context("cannot determine the path of this program")?;
    let of_step = |step: &&'static dyn Step| {
        let command = Command::new(program.to_string_lossy(), folder(run))
            .args([step.name(), "--yes", "--jobs", &run.options.jobs.to_string()])
            .without_env("CARGO_TARGET_DIR")
            // The commit may have several release tags.
            .env("GITHUB_REF_TYPE", "tag")
            .env("GITHUB_REF_NAME", layout::tag(run.version().text()));
        second::with_options(run, *step, command)
    };
    Ok(STEPS.iter().map(of_step).collect())
}

/// Moves the new release to `target/dist`. A release that is signed already, by a run that was
/// interrupted later, stays if it has the same content.
fn take(run: &Run, log: &StepLog) -> Result<Outcome> {
    let (new, old) = (folder(run).join(run.dist_in_plan()), run.dist());
    let read = |path: PathBuf| -> Result<Manifest> {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Manifest::parse(&bytes).with_context(|| format!("in {}", path.display()))
    };
    let ours = read(new.join(layout::MANIFEST))?;
    if old.join(layout::signature(layout::MANIFEST)).exists() {
        let theirs = read(old.join(layout::MANIFEST))?;
        let rows = matrix::compare_manifests((&new, &ours), (&old, &theirs))?;
        return conclude(run, log, Vec::new(), &rows, &old);
    }
    tree::remove(&old)?;
    if let Some(dist) = old.parent() {
        fs::create_dir_all(dist).with_context(|| format!("cannot create {}", dist.display()))?;
    }
    fs::rename(&new, &old)
        .with_context(|| format!("cannot move {} to {}", new.display(), old.display()))?;
    // Also points `latest` to it.
    run.update_manifest(|_| Ok(()))?;
    let (files, images) = (ours.artifacts.len(), ours.images.len());
    Ok(Outcome::Done(format!("{files} files and {images} images")))
}
