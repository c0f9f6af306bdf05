// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What Git says about changes: since a commit, and since when.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

/// Where others' work comes from, in the order in which it is looked for.
const MAIN: &[&str] = &["origin/HEAD", "origin/main", "main"];

fn shell(root: &Path) -> Result<Shell> {
    let shell = Shell::new().context("cannot tell the current folder")?;
    shell.change_dir(root);
    Ok(shell)
}

/// The commit that a change starts from: the last one that it shares with the branch that it is
/// for, which GitHub names in `GITHUB_BASE_REF`; else the commit that is checked out.
///
/// # Errors
/// When Git is missing or the repository has no commit.
pub(crate) fn base(root: &Path) -> Result<String> {
    let git = shell(root)?;
    let target = std::env::var("GITHUB_BASE_REF").ok().filter(|name| !name.is_empty());
    let target = target.map(|name| format!("origin/{name}"));
    for branch in target.as_deref().into_iter().chain(MAIN.iter().copied()) {
        let found = cmd!(git, "git merge-base HEAD {branch}").quiet().ignore_stderr().read();
        if let Ok(commit) = found {
            return Ok(commit);
        }
    }
    cmd!(git, "git rev-parse HEAD").quiet().read().context("cannot tell the commit")
}

/// The files that differ from `commit`, new ones that are not ignored included; removed ones not.
///
/// # Errors
/// When Git is missing or does not know the commit.
pub(crate) fn changed(root: &Path, commit: &str) -> Result<BTreeSet<String>> {
    let git = shell(root)?;
    let differ = cmd!(git, "git diff --name-only --no-renames --diff-filter=d -z {commit} --")
        .quiet()
        .read()
        .with_context(|| format!("cannot tell what changed since {commit}"))?;
    let new = new_files(&git)?;
    let names = |text: &str| -> Vec<String> {
        text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    Ok(names(&differ).into_iter().chain(names(&new)).collect())
}

fn new_files(git: &Shell) -> Result<String> {
    cmd!(git, "git ls-files -z --others --exclude-standard")
        .quiet()
        .read()
        .context("cannot list the new files")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_from_a_repository() {
        let folder = tempfile::tempdir().unwrap();
        let git = shell(folder.path()).unwrap();
        let run = |args: &[&str]| {
            let who = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
            cmd!(git, "git {who...} {args...}").quiet().ignore_stdout().run().unwrap();
        };
        run(&["init", "--quiet", "--initial-branch=main"]);
        for name in ["kept", "edited", "removed"] {
            std::fs::write(folder.path().join(name), "one\n").unwrap();
        }
        run(&["add", "."]);
        run(&["commit", "--quiet", "-m", "one"]);
        let first = base(folder.path()).unwrap();
        run(&["checkout", "--quiet", "-b", "change"]);
        std::fs::write(folder.path().join("edited"), "one\ntwo\n").unwrap();
        std::fs::remove_file(folder.path().join("removed")).unwrap();
        run(&["commit", "--quiet", "--all", "-m", "two"]);
        std::fs::write(folder.path().join("new"), "a\nb\n").unwrap();

        assert_eq!(base(folder.path()).unwrap(), first);
        let changed = changed(folder.path(), &first).unwrap();
        assert_eq!(changed, BTreeSet::from(["edited".to_owned(), "new".to_owned()]));
    }
}
