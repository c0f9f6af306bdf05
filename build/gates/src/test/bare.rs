// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `test --bare`: runs the tests with all optional programs hidden.
//!
//! A test with an undeclared program requirement passes on every host that has the program, and
//! fails elsewhere. Here each test must pass or record a skip. The tests run in a mount namespace:
//! the folders of `PATH` contain only the programs of `build/gates/data/base-programs.txt`, and
//! folders with other files of the catalogue are empty. The test binaries of the gate `test` are
//! reused.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use engine::tool::{programs, spec};
use engine::{Description, Input, Need, Outcome, Plan, Run, Skip, Step, StepLog};
use foundation::command::Command;
use foundation::file;

use super::{counters, has_nextest, nextest, skips, with_nextest};

/// `cargo xtask test --bare`.
pub struct BareTest;

const SCRIPT: &str = "build/gates/data/bare.sh";
const NAMES: &str = "build/gates/data/base-programs.txt";

impl Step for BareTest {
    fn describe(&self) -> Description {
        Description::step("test-bare", "run all tests with optional programs hidden")
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        ["cargo", "cargo-nextest", "unshare"].map(Need::Tool).into()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let compile = counters::set_without_counts(run, compile(run));
        let tests = counters::set_without_counts(run, skips::set(run, hide_programs(run)));
        Ok(Plan::new()
            .command(compile)
            .command(tests)
            .reads(Input::Source(PathBuf::new()))
            .reads(Input::Tool("cargo"))
            .reads(Input::Tool("cargo-nextest")))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        if !has_nextest(run) {
            let missing = spec("cargo-nextest").context("cargo-nextest is not in the catalogue")?;
            let tool = "cargo-nextest is not installed".to_owned();
            return Ok(Outcome::Skipped(Skip::MissingTool { tool, fix: missing.fix() }));
        }
        run.exec(log, &counters::without_counts(run, compile(run))?)?;
        file::create_folder(&scratch(run))?;
        let tests = counters::without_counts(run, skips::record(run, hide_programs(run))?)?;
        with_nextest(run, log, &tests)?.judgement(run, true)
    }
}

fn compile(run: &Run) -> Command {
    nextest(run).arg("--no-run")
}

/// The test command in a mount namespace with the programs hidden.
fn hide_programs(run: &Run) -> Command {
    let root = run.workspace.root();
    let tests = nextest(run);
    // Unprivileged users may create a mount namespace only inside a user namespace; root rights are
    // then limited to it.
    let user: &[&str] =
        if rustix::process::geteuid().is_root() { &[] } else { &["--user", "--map-root-user"] };
    run.command("unshare")
        .args(user)
        .args(["--mount", "--propagation", "private", "sh"])
        .arg(root.join(SCRIPT))
        .arg(root.join(NAMES))
        .arg(scratch(run))
        .args(folders(&run.workspace.target()))
        .arg("--")
        .arg(&tests.program)
        .args(&tests.args)
}

fn scratch(run: &Run) -> PathBuf {
    run.workspace.scratch().join("bare")
}

/// Folders of reference files outside of `PATH`: catalogue files, programs unpacked by `setup`, and
/// installed kernels.
fn folders(target: &Path) -> BTreeSet<PathBuf> {
    let files = programs().filter_map(|spec| Some(Path::new(spec.name).parent()?.to_owned()));
    let unpacked = std::fs::read_dir(target.join("tools")).into_iter().flatten().flatten();
    let unpacked = unpacked.map(|entry| entry.path()).filter(|it| !it.ends_with("bin"));
    files.filter(|it| it.is_absolute()).chain(unpacked).chain(["/boot".into()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_catalogue_and_unpacked_programs_are_hidden() {
        let target = tempfile::tempdir().unwrap();
        let [bin, unpacked] = ["bin", "unpacked"].map(|it| target.path().join("tools").join(it));
        for folder in [&bin, &unpacked] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let folders = folders(target.path());
        for folder in ["/usr/share/OVMF", "/usr/lib/ISOLINUX", "/boot"] {
            assert!(folders.contains(Path::new(folder)), "{folder}: {folders:?}");
        }
        assert!(folders.contains(&unpacked) && !folders.contains(&bin), "{folders:?}");
        assert!(folders.iter().all(|it| it.is_absolute() && it != Path::new("/")));
    }
}
