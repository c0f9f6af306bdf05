// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Changes since the last release: commits, and changes of the recipe schema and the HTTP API. Read by the commands
//! `version` and `notes`.

use anyhow::{Context as _, Result, bail};
use changes::{ApiChange, Bump, Range, SchemaNote};
use engine::Run;
use foundation::git;
use rules::schema::{self, Class};
use serde_json::Value;

/// A range of commits, as shown and as passed to Git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommitRange {
    /// The release before; None for a first release.
    pub(crate) from: Option<String>,
    /// A tag, a commit or `HEAD`.
    pub(crate) to: String,
}

/// Commits and documents of the range.
#[derive(Debug)]
pub(crate) struct History {
    /// Commits.
    pub(crate) range: Range,
    /// Changes of the schema that recipes are written for.
    pub(crate) schema: Vec<SchemaNote>,
    /// Changes of the API.
    pub(crate) api: Vec<ApiChange>,
}

impl CommitRange {
    /// Reads `FROM..TO`, `FROM..` or `TO`; without any, from the last stable release to `HEAD`. A stable release
    /// is compared with the stable one before it, not with its own candidates.
    ///
    /// # Errors
    /// [`git::Shallow`] when the clone lacks the last release, when it has no such end, and when Git can't be run.
    pub(crate) fn read(run: &Run, text: Option<&str>) -> Result<Self> {
        let root = run.workspace.root();
        let (from, to) = match text.map(|it| it.split_once("..").ok_or(it)) {
            Some(Ok((from, to))) => (Some(from), to),
            Some(Err(to)) => (None, to),
            None => (None, "HEAD"),
        };
        let to = if to.is_empty() { "HEAD" } else { to }.to_owned();
        let from = from.filter(|it| !it.is_empty());
        for end in from.into_iter().chain([to.as_str()]) {
            // Git would read it as an option.
            if end.starts_with('-') || git::commit_of(root, end)?.is_none() {
                bail!(
                    "{end:?} is not a tag or commit of this clone\n\
                     fix: git fetch --tags, or give one that `git tag` or `git log` lists"
                );
            }
        }
        let from = match from {
            Some(from) => Some(from.to_owned()),
            None => git::last_release(root, &format!("{to}^"))?,
        };
        if from.is_none() && git::is_shallow(root)? {
            bail!(git::Shallow);
        }
        Ok(Self { from, to })
    }
}

impl History {
    /// Reads the commits, and both documents at the start and the end.
    ///
    /// # Errors
    /// When Git does not know a revision, or a document is not JSON.
    pub(crate) fn read(run: &Run, ends: &CommitRange) -> Result<Self> {
        let root = run.workspace.root();
        let range = match &ends.from {
            Some(from) => format!("{from}..{}", ends.to),
            None => ends.to.clone(),
        };
        let range = changes::collect(&git::commits(root, &range)?);
        let rules = run.workspace.product().gates.schema.as_ref();
        let (Some(from), Some(rules)) = (&ends.from, rules) else {
            return Ok(Self { range, schema: Vec::new(), api: Vec::new() });
        };
        let document = |commit: &str, path: &str| -> Result<Option<Value>> {
            let text = git::show(root, commit, path)?;
            let value = text.map(|text| serde_json::from_str(&text)).transpose();
            value.with_context(|| format!("{path} of {commit} is not JSON"))
        };
        let newest = |commit: &str| -> Result<Option<Value>> {
            let paths = git::list(root, commit, &rules.folder)?;
            let newest =
                paths.iter().filter_map(|path| Some((schema::file_version(path)?, path))).max();
            newest.map_or(Ok(None), |(_, path)| document(commit, path))
        };
        let schema = match (newest(from)?, newest(&ends.to)?) {
            (Some(old), Some(new)) => schema::changes(&old, &new),
            _ => Vec::new(),
        };
        let schema = schema.into_iter().map(|change| SchemaNote {
            breaking: change.class == Class::Breaking,
            pointer: change.pointer,
            what: change.what,
        });
        let api = match &rules.api {
            Some(path) => match (document(from, path)?, document(&ends.to, path)?) {
                (Some(old), Some(new)) => changes::api_changes(&old, &new),
                _ => Vec::new(),
            },
            None => Vec::new(),
        };
        Ok(Self { range, schema: schema.collect(), api })
    }

    /// The version bump that each source requires, and the change that requires it.
    pub(crate) fn bumps(&self) -> [RequiredBump; 3] {
        let commits = self.range.changes.iter().map(|change| {
            let commit = change.commit.get(..10).unwrap_or(&change.commit);
            (Bump::required_by(change), format!("{commit} {}", change.summary))
        });
        let schema = self.schema.iter().map(|change| {
            let bump = if change.breaking { Bump::Major } else { Bump::Minor };
            (bump, format!("{}: {}", change.pointer, change.what))
        });
        let api = self
            .api
            .iter()
            .map(|change| (change.bump, format!("{} {}", change.pointer, change.what)));
        [
            RequiredBump::most("commits", commits),
            RequiredBump::most("recipe schema", schema),
            RequiredBump::most("HTTP API", api),
        ]
    }
}

/// The bump that one source requires.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct RequiredBump {
    /// The source.
    pub(crate) source: &'static str,
    /// The required version bump.
    pub(crate) bump: Bump,
    /// The first change that requires it; empty if none does.
    pub(crate) because: String,
}

impl RequiredBump {
    fn most(source: &'static str, bumps: impl Iterator<Item = (Bump, String)>) -> Self {
        let none = Self { source, bump: Bump::None, because: String::new() };
        bumps.fold(
            none,
            |most, (bump, because)| {
                if bump > most.bump { Self { source, bump, because } } else { most }
            },
        )
    }
}
