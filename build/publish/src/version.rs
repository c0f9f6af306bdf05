// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `cargo xtask version`: what the next version must be at least, from commits, recipe schema and HTTP API.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use cargo_metadata::semver::Version;
use changes::{Bump, next_version};
use engine::Run;
use serde::Serialize;

use super::history::{Demand, Ends, History};

/// What the version is and must be.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// `version` of `[workspace.package]`.
    current: String,
    /// The last stable release.
    last: Option<String>,
    /// The least that the next release may be.
    least: String,
    /// By source.
    demands: [Demand; 3],
    /// Whether the current one is high enough.
    enough: bool,
    /// Why part of the history is missing, with the command that fetches it.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

/// Compares the version of the workspace with the history since the last stable release.
///
/// # Errors
/// When Git can't be run, or a tag is not a version.
pub fn examine(run: &Run) -> Result<Verdict> {
    let ends = Ends::read(run, None)?;
    let history = History::read(run, &ends)?;
    let current = run.workspace.base_version().to_string();
    let parsed = Version::parse(&current).context("version in Cargo.toml")?;
    let demands = history.demands();
    let least = match &ends.from {
        Some(tag) => {
            let last = Version::parse(tag.trim_start_matches('v'))
                .with_context(|| format!("the tag {tag} is not a version"))?;
            let most = demands.iter().map(|demand| demand.bump).max().unwrap_or(Bump::None);
            next_version(&last, most)
        }
        // The first release may be any.
        None => parsed.clone(),
    };
    let unknown = ends.unknown(run)?;
    let enough = parsed >= least;
    Ok(Verdict { current, last: ends.from, least: least.to_string(), demands, enough, unknown })
}

impl Verdict {
    /// 0, 1 where the version must grow, 3 where the history is not known.
    pub fn exit_code(&self) -> u8 {
        match (&self.unknown, self.enough) {
            (Some(_), _) => 3,
            (None, true) => 0,
            (None, false) => 1,
        }
    }

    /// Why a release of the current version is refused, if it is.
    pub fn refusal(&self) -> Option<String> {
        if let Some(unknown) = &self.unknown {
            return Some(unknown.clone());
        }
        let most = self.demands.iter().max_by_key(|demand| demand.bump)?;
        let (current, least) = (&self.current, &self.least);
        (!self.enough).then(|| {
            format!(
                "version {current} is too low: the {} demand {least} ({}); \
                 fix: set version = \"{least}\" in [workspace.package] of Cargo.toml",
                most.source, most.because
            )
        })
    }

    /// As a table.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut row = |name: &str, value: &str, because: &str| {
            let line = format!("{name:14} {value:8} {because}");
            let _infallible = writeln!(out, "{}", line.trim_end());
        };
        row("current", &self.current, "");
        row("last release", self.last.as_deref().unwrap_or("none"), "");
        for demand in &self.demands {
            let bump = format!("{:?}", demand.bump).to_lowercase();
            row(demand.source, &bump, &demand.because);
        }
        row("next release", &self.least, "or higher");
        if let Some(refusal) = self.refusal() {
            let _infallible = writeln!(out, "\n{refusal}");
        }
        out
    }
}
