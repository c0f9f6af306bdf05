// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `cargo xtask notes`: release notes of a range of commits, as Markdown or JSON.

use anyhow::Result;
use changes::{ArtifactNote, Notes};
use engine::Run;

use super::history::{Ends, History};

/// Release notes, or why there are none.
#[derive(Debug)]
pub enum Page {
    /// The notes.
    Notes(Box<Notes>),
    /// The clone does not have the history; the text names the fix.
    Unknown(String),
}

/// Composes the notes of `range` (`FROM..TO`); without it, of everything since the last stable release, with the
/// artifacts of the work tree's release where they are built.
///
/// # Errors
/// When Git does not know the range, or a document in it can't be read.
pub fn compose(run: &Run, range: Option<&str>) -> Result<Page> {
    let ends = Ends::read(run, range)?;
    if let Some(reason) = ends.unknown(run)? {
        return Ok(Page::Unknown(reason));
    }
    let History { range: commits, schema, api } = History::read(run, &ends)?;
    let artifacts = if range.is_none() { artifacts(run) } else { Vec::new() };
    let version = match ends.to.as_str() {
        "HEAD" => run.version().text(),
        tag => tag.trim_start_matches('v'),
    };
    Ok(Page::Notes(Box::new(Notes {
        title: run.workspace.product().product.title.clone(),
        version: version.to_owned(),
        since: ends.from.map(|from| from.trim_start_matches('v').to_owned()),
        range: commits,
        schema,
        api,
        artifacts,
    })))
}

/// Files and images of the release that was built last, if it is of this commit.
fn artifacts(run: &Run) -> Vec<ArtifactNote> {
    let Ok(manifest) = run.manifest() else { return Vec::new() };
    let files = manifest.artifacts.iter().map(|it| (it.path.clone(), it.sha256.clone()));
    let images = manifest.images.iter().map(|it| (it.repository.clone(), it.digest.clone()));
    let note = |(name, digest): (String, String)| {
        let digest = if digest.contains(':') { digest } else { format!("sha256:{digest}") };
        ArtifactNote { name, digest }
    };
    files.chain(images).map(note).collect()
}
