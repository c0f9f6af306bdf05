// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Installs Python and npm packages below `target/tools` from the index that pip or npm is
//! configured for, in pinned versions with checksums.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use engine::{Run, StepLog};
use foundation::command::{Command, quote};
use foundation::{atomic, file, tree};

/// Pinned Python packages.
const PYTHON_LOCK: &str = "xtask/data/python/tools.txt";
/// Folder with pinned npm packages and the scripts that use them.
const NODE_LOCK: &str = "xtask/data/node";

/// Global configuration of Debian's npm.
const NPM_CONFIGURATION: &str = "/etc/npmrc";

fn tools(run: &Run) -> PathBuf {
    run.workspace.target().join("tools")
}

/// The commands that create the Python environment.
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

/// Creates the Python environment and links its `programs` into `target/tools/bin`.
pub(super) fn install_python(run: &Run, log: &StepLog, programs: &[&str]) -> Result<()> {
    for command in python_commands(run) {
        run.exec(log, &command)?;
    }
    let bin = tools(run).join("bin");
    file::create_folder(&bin)?;
    for program in programs {
        let link = bin.join(program);
        tree::remove(&link)?;
        let target = tools(run).join("python/bin").join(program);
        symlink(&target, &link).with_context(|| format!("cannot create {}", link.display()))?;
    }
    Ok(())
}

/// Number of Python packages in the lock.
pub(super) fn python_count(run: &Run) -> Result<usize> {
    let path = run.workspace.root().join(PYTHON_LOCK);
    let lock = file::read_text(&path)?;
    Ok(lock.lines().filter(|line| line.contains("==") && !line.starts_with('#')).count())
}

/// Whether `python3` can create virtual environments, which Debian packages separately.
pub(super) fn makes_environments(run: &Run, log: &StepLog) -> Result<bool> {
    if run.tools.check("python3").is_err() {
        return Ok(false);
    }
    let command = run.command("python3").args(["-c", "import ensurepip, venv"]);
    Ok(run.attempt(log, &command)?.code() == Some(0))
}

/// The command that installs the npm packages, in the folder that the lock was copied to.
pub(super) fn node_command(run: &Run) -> Command {
    let command = Command::new("npm", tools(run).join("node")).args([
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--loglevel=error",
    ]);
    // An npm from elsewhere does not read Debian's global configuration by default.
    if Path::new(NPM_CONFIGURATION).exists() {
        return command.env("npm_config_globalconfig", NPM_CONFIGURATION);
    }
    command
}

/// Installs the npm packages and creates `target/tools/bin/PROGRAM`, which runs `script`.
pub(super) fn install_node(run: &Run, log: &StepLog, program: &str, script: &str) -> Result<()> {
    let home = tools(run).join("node");
    for name in ["package.json", "package-lock.json", script] {
        let from = run.workspace.root().join(NODE_LOCK).join(name);
        let content = file::read(&from)?;
        atomic::write(&home.join(name), &content)?;
    }
    run.exec(log, &node_command(run))?;
    let node = run.tools.find("node").context("node is not installed: cargo xtask setup")?;
    let [node, script] = [node, home.join(script)].map(|path| quote(path.as_os_str()));
    let wrapper = format!("#!/bin/sh\nexec {node} {script} \"$@\"\n");
    atomic::write_executable(&tools(run).join("bin").join(program), wrapper.as_bytes())
}
