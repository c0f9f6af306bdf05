// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What Git says about the work tree.

use std::path::Path;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

/// The commit that the work tree stands at.
#[derive(Debug)]
pub(super) struct State {
    /// Its full id.
    pub(super) commit: String,
    /// Its committer date, in seconds since 1970.
    pub(super) date: u64,
    /// Whether the work tree differs from it.
    pub(super) dirty: bool,
    /// The tags that point to it.
    pub(super) tags: Vec<Tag>,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag {
    /// Its name, such as `v1.2.3`.
    pub(super) name: String,
    /// Whether it is an object of its own, with an author, a date and perhaps a signature.
    pub(super) annotated: bool,
}

impl State {
    /// Asks Git in `root`.
    ///
    /// # Errors
    /// When Git is missing, `root` is in no repository, or the repository has no commit.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let git = Shell::new().context("cannot tell the current folder")?;
        git.change_dir(root);
        let head = cmd!(git, "git show --no-patch --no-show-signature --format=%H%x20%ct HEAD")
            .quiet()
            .ignore_stderr()
            .read()
            .with_context(|| {
                format!(
                    "cannot tell the commit of {}: versions and times come from Git, so it has to \
                     be installed, and this has to be a clone (or `git init`) with a commit",
                    root.display()
                )
            })?;
        let (commit, date) = head.split_once(' ').context("git show printed no commit and date")?;
        let date = date.parse().with_context(|| format!("git gave the date {date:?}"))?;
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
