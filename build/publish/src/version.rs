// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `cargo xtask version`: the lowest allowed next version, from commits, recipe schema and HTTP API.

use anyhow::{Context as _, Result, bail};
use cargo_metadata::semver::Version;
use changes::{Bump, next_version};
use engine::Run;
use serde::Serialize;

use super::history::{CommitRange, History, RequiredBump};

/// Current and required version.
#[derive(Debug, Serialize)]
pub struct VersionCheck {
    /// `version` of `[workspace.package]`.
    current: Version,
    /// The last stable release.
    last: Option<String>,
    /// The lowest version of the next release.
    least: Version,
    /// The required bump of each source.
    bumps: [RequiredBump; 3],
    /// Whether the current one is high enough.
    enough: bool,
    /// Why a release tag of the commit is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
}

/// Compares the version of the workspace with the history since the last stable release.
///
/// # Errors
/// [`git::Shallow`](foundation::git::Shallow) when the clone lacks the last release, and when Git
/// can't be run.
pub fn examine(run: &Run) -> Result<VersionCheck> {
    let ends = CommitRange::read(run, None)?;
    let bumps = History::read(run, &ends)?.bumps();
    let current = read_current(run)?;
    let most = bumps.iter().map(|it| it.bump).max().unwrap_or(Bump::None);
    let least = match find_last(&ends)? {
        Some(last) => next_version(&last, most),
        // The first release may be any.
        None => current.clone(),
    };
    let (enough, tag) = (current >= least, run.workspace.lightweight_release());
    Ok(VersionCheck { current, last: ends.from, least, bumps, enough, tag })
}

/// Refuses a release whose version is lower than its changes require.
///
/// # Errors
/// With the commit, or the path in the schema or API, that requires the highest.
pub fn require(run: &Run) -> Result<()> {
    examine(run)?.refusal().map_or(Ok(()), |refusal| bail!(refusal))
}

/// `version` of `[workspace.package]`.
pub(crate) fn read_current(run: &Run) -> Result<Version> {
    Version::parse(&run.workspace.base_version().to_string()).context("version in Cargo.toml")
}

/// The version of the last stable release.
pub(crate) fn find_last(ends: &CommitRange) -> Result<Option<Version>> {
    let parse = |tag: &String| {
        Version::parse(tag.trim_start_matches('v'))
            .with_context(|| format!("the tag {tag} is not a version"))
    };
    ends.from.as_ref().map(parse).transpose()
}

impl VersionCheck {
    /// 1 where a release of the commit is refused, else 0.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.refusal().is_some())
    }

    /// Why a release of the commit is refused, if it is.
    fn refusal(&self) -> Option<String> {
        if self.enough {
            return self.tag.clone();
        }
        let most = self.bumps.iter().max_by_key(|it| it.bump)?;
        let (current, least) = (&self.current, &self.least);
        Some(format!(
            "version {current} is too low: the changes require {least} ({}: {})\n\
             fix: cargo xtask version bump",
            most.source, most.because
        ))
    }

    /// As a table.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut row = |name: &str, value: &str, because: &str| {
            let line = format!("{name:14} {value:8} {because}");
            out.push_str(&format!("{}\n", line.trim_end()));
        };
        row("current", &self.current.to_string(), "");
        row("last release", self.last.as_deref().unwrap_or("none"), "");
        for it in &self.bumps {
            let bump = format!("{:?}", it.bump).to_lowercase();
            row(it.source, &bump, &it.because);
        }
        row("next release", &self.least.to_string(), "or higher");
        if let Some(refusal) = self.refusal() {
            out.push_str(&format!("\n{refusal}\n"));
        }
        out
    }
}
