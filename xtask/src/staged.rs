// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `validate --staged`: runs the commit hook's gates on the index.
//!
//! Checks the index out into a folder below `target/xtask/staged` and runs `validate --changed`
//! there, with Git's variables pointing to the repository and to a copy of the index. Work tree and
//! index stay unchanged; unstaged edits and untracked files are not in that folder.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use engine::workspace;
use foundation::{file, tree};
use xshell::{Shell, cmd};

/// The option, and its replacement for the run inside of the folder.
const OPTION: &str = "--staged";
const INSIDE: &str = "--changed";

/// Runs the gates and returns the exit code.
pub(crate) fn validate() -> Result<u8> {
    let here = std::env::current_dir().context("cannot read the current folder")?;
    let stage = Stage::check_out(&workspace::root(&here)?)?;
    let arguments = std::env::args_os().skip(1);
    let arguments = arguments.map(|it| if it == OPTION { OsString::from(INSIDE) } else { it });
    let status = Command::new("/proc/self/exe")
        .args(arguments)
        .current_dir(&stage.source)
        .env("GIT_DIR", &stage.repository)
        .env("GIT_WORK_TREE", &stage.source)
        .env("GIT_INDEX_FILE", &stage.index)
        .status()
        .context("cannot run xtask in the checked out index")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// A checkout of the index.
struct Stage {
    source: PathBuf,
    repository: PathBuf,
    index: PathBuf,
}

impl Stage {
    fn check_out(root: &Path) -> Result<Self> {
        let git = Shell::new().context("cannot read the current folder")?;
        git.change_dir(root);
        let repository = cmd!(git, "git rev-parse --absolute-git-dir").quiet().read();
        let repository = PathBuf::from(repository.context("cannot find the repository")?);
        // In a hook, Git sets the index of the commit, which differs from the default for `git
        // commit FILE`.
        let real = match std::env::var_os("GIT_INDEX_FILE") {
            Some(path) => root.join(path),
            None => repository.join("index"),
        };
        let folder = root.join("target/xtask/staged");
        let stage = Self { source: folder.join("source"), repository, index: folder.join("index") };
        tree::remove(&stage.source)?;
        stage.link(root)?;
        let context = || format!("cannot copy the index {}", real.display());
        fs::copy(&real, &stage.index).with_context(context)?;
        cmd!(git, "git checkout-index --all --force --index")
            .quiet()
            .env("GIT_DIR", &stage.repository)
            .env("GIT_WORK_TREE", &stage.source)
            .env("GIT_INDEX_FILE", &stage.index)
            .run()
            .context("cannot check out the index")?;
        Ok(stage)
    }

    /// Creates `target` with the tools of the work tree. Logs go to the usual folder; records of
    /// unchanged gates are separate.
    fn link(&self, root: &Path) -> Result<()> {
        let target = self.source.join("target");
        let scratch = self.index.with_file_name("scratch");
        let logs = root.join("target/xtask/logs");
        for folder in [&target, &scratch, &logs] {
            file::create_folder(folder)?;
        }
        tree::remove(&scratch.join("logs"))?;
        let links = [
            (root.join("target/tools"), target.join("tools")),
            (logs, scratch.join("logs")),
            (scratch, target.join("xtask")),
        ];
        for (to, link) in links {
            symlink(to, &link).with_context(|| format!("cannot create {}", link.display()))?;
        }
        Ok(())
    }
}
