// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Programs that are packages of Python or of Node.js: installed below `target/tools` from the index
//! that pip or npm is set up for, at pinned versions with checked sums.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::ops::command::{Command, quote};
use crate::ops::{atomic, tree};
use crate::run::Run;
use crate::steps::StepLog;

/// The pinned Python packages.
const PYTHON_LOCK: &str = "xtask/data/python/tools.txt";
/// The folder with the pinned npm packages and the scripts that use them.
const NODE_LOCK: &str = "xtask/data/node";

fn tools(run: &Run) -> PathBuf {
    run.workspace.target().join("tools")
}

/// The commands that make the Python environment.
pub(super) fn python_commands(run: &Run) -> Vec<Command> {
    let home = tools(run).join("python");
    let pip = home.join("bin/pip");
    vec![
        run.command("python3").args(["-m", "venv"]).arg(&home),
        run.command(&pip.to_string_lossy())
            .args(["install", "--quiet", "--disable-pip-version-check", "--no-input"])
            .args(["--only-binary=:all:", "--require-hashes", "--requirement", PYTHON_LOCK]),
    ]
}

/// Makes the Python environment, and links `programs` out of it into `target/tools/bin`.
///
/// # Errors
/// When a command fails, or a link can't be made.
pub(super) fn install_python(run: &Run, log: &StepLog, programs: &[&str]) -> Result<()> {
    for command in python_commands(run) {
        run.exec(log, &command)?;
    }
    let bin = tools(run).join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    for program in programs {
        let link = bin.join(program);
        tree::remove(&link)?;
        let target = tools(run).join("python/bin").join(program);
        symlink(&target, &link).with_context(|| format!("cannot make {}", link.display()))?;
    }
    Ok(())
}

/// The command that installs the npm packages, in the folder that the lock was copied to.
pub(super) fn node_command(run: &Run) -> Command {
    Command::new("npm", tools(run).join("node")).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ])
}

/// Installs the npm packages, and makes `program` in `target/tools/bin` run `script`.
///
/// # Errors
/// When npm fails, or a file can't be written.
pub(super) fn install_node(run: &Run, log: &StepLog, program: &str, script: &str) -> Result<()> {
    let home = tools(run).join("node");
    for name in ["package.json", "package-lock.json", script] {
        let from = run.workspace.root().join(NODE_LOCK).join(name);
        let content = fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
        atomic::write(&home.join(name), &content)?;
    }
    run.exec(log, &node_command(run))?;
    let script = home.join(script);
    let wrapper = format!("#!/bin/sh\nexec node {} \"$@\"\n", quote(script.as_os_str()));
    atomic::write_with(&tools(run).join("bin").join(program), 0o755, |file| {
        std::io::Write::write_all(file, wrapper.as_bytes())?;
        Ok(())
    })
}
