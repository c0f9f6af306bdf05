// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `validate --staged`: the gates of the commit hook on what would be committed.
//!
//! The index is checked out into a folder below `target/xtask/staged`, and `validate --changed` runs there. Git
//! finds its repository through variables, and reads a copy of the index: neither the work tree nor the real index
//! changes. Edits that are not staged and files that Git does not know are not in that folder.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use engine::workspace;
use foundation::tree;
use xshell::{Shell, cmd};

/// The option, and the one that the run inside of the folder has in its place.
const OPTION: &str = "--staged";
const INSIDE: &str = "--changed";

/// Runs the gates, and returns the exit code.
///
/// # Errors
/// When the index can't be checked out.
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

/// The index as a work tree of its own.
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
        // In a hook, Git names the index of the commit, which is another for `git commit FILE`.
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
            .context("cannot check out what would be committed")?;
        Ok(stage)
    }

    /// Makes the folder, with the tools of the work tree. Logs go where those of other runs go; what is
    /// remembered of gates is kept apart.
    fn link(&self, root: &Path) -> Result<()> {
        let target = self.source.join("target");
        let scratch = self.index.with_file_name("scratch");
        let logs = root.join("target/xtask/logs");
        for folder in [&target, &scratch, &logs] {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        tree::remove(&scratch.join("logs"))?;
        let links = [
            (root.join("target/tools"), target.join("tools")),
            (logs, scratch.join("logs")),
            (scratch, target.join("xtask")),
        ];
        for (to, link) in links {
            symlink(to, &link).with_context(|| format!("cannot make {}", link.display()))?;
        }
        Ok(())
    }
}
