// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! State of the work tree, read from Git.

use std::path::Path;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

/// State of the checked-out commit.
#[derive(Debug)]
pub(super) struct State {
    /// Full commit id.
    pub(super) commit: String,
    /// Committer date in seconds since 1970.
    pub(super) date: u64,
    /// Whether the work tree has changes.
    pub(super) dirty: bool,
    /// Tags that point to the commit.
    pub(super) tags: Vec<Tag>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    /// Name, such as `v1.2.3`.
    pub(super) name: String,
    /// Whether it is an annotated tag (an object of its own).
    pub(super) annotated: bool,
}

impl State {
    /// Reads the state of the repository at `root`.
    ///
    /// # Errors
    /// When Git is missing, `root` is in no repository, or the repository has no commit.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let git = Shell::new().context("cannot determine the current folder")?;
        git.change_dir(root);
        let head = cmd!(git, "git show --no-patch --no-show-signature --format=%H%x20%ct HEAD")
            .quiet()
            .ignore_stderr()
            .read()
            .with_context(|| {
                format!(
                    "cannot read the commit of {}: versions and timestamps come from Git, so it has to \
                     be installed, and this has to be a clone (or `git init`) with a commit",
                    root.display()
                )
            })?;
        let (commit, date) = head.split_once(' ').context("git show printed no commit and date")?;
        let date = date.parse().with_context(|| format!("git printed the date {date:?}"))?;
        let status = cmd!(git, "git status --porcelain").quiet().read()?;
        let format = "%(objecttype) %(refname:strip=2)";
        let tags = cmd!(git, "git for-each-ref --points-at HEAD --format={format} refs/tags");
        let tags = tags.quiet().read()?;
        Ok(Self {
            commit: commit.to_owned(),
            date,
            dirty: !status.is_empty(),
            tags: tags
                .lines()
                .filter_map(|line| line.split_once(' '))
                .map(|(kind, name)| Tag { name: name.to_owned(), annotated: kind == "tag" })
                .collect(),
        })
    }
}
