// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Yanked releases of a static site, in its file `yanked.json`. Their files remain: other sites may link to them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use release::channels::Yank;

/// The file in the site.
const FILE: &str = "yanked.json";

/// Yanked releases by their versions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Yanked(BTreeMap<String, Yank>);

impl Yanked {
    /// Reads those of `site`.
    ///
    /// # Errors
    /// When the file cannot be read or is malformed.
    pub(super) fn read(site: &Path) -> Result<Self> {
        let path = site.join(FILE);
        let context = || format!("cannot read {}", path.display());
        let Some(bytes) = files::absent_is_none(fs::read(&path)).with_context(context)? else {
            return Ok(Self::default());
        };
        serde_json::from_slice(&bytes).map(Self).with_context(context)
    }

    /// Adds a release to those of `site`. The first yank of a release stays.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn add(&mut self, site: &Path, version: &str, yank: Yank) -> Result<()> {
        self.0.entry(version.to_owned()).or_insert(yank);
        let text = format!("{}\n", serde_json::to_string_pretty(&self.0)?);
        super::page(&site.join(FILE), &text)
    }

    /// Why the release is yanked, if it is.
    pub(super) fn get(&self, version: &str) -> Option<&Yank> {
        self.0.get(version)
    }

    /// When releases were yanked, in seconds since 1970.
    pub(super) fn times(&self) -> impl Iterator<Item = u64> {
        self.0.values().map(|it| it.since)
    }
}
