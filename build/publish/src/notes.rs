// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `cargo xtask notes`: release notes of a range of commits, as Markdown or JSON.

use std::path::PathBuf;

use anyhow::Result;
use changes::{ArtifactNote, Notes};
use engine::Run;
use foundation::git;
use release::{Manifest, layout};

use super::history::{CommitRange, History};
use super::security;

/// Composes the notes of `range` (`FROM..TO`); without it, of everything since the last stable
/// release. They have artifacts and advisories where the release at the end of the range is in
/// `target/dist`.
///
/// # Errors
/// [`git::Shallow`] when the clone lacks the last release, and when Git does not know the range, or
/// a document in it can't be read.
pub fn compose(run: &Run, range: Option<&str>) -> Result<Notes> {
    let ends = CommitRange::read(run, range)?;
    let History { range, schema, api } = History::read(run, &ends)?;
    let version = match ends.to.as_str() {
        "HEAD" => run.version().text(),
        tag => tag.trim_start_matches('v'),
    };
    let since = ends.from.as_deref().map(|from| from.trim_start_matches('v'));
    let manifest = manifest(run, version, &ends.to)?;
    let security = match &manifest {
        Some(_) => {
            let old = since.map(|it| folder(run, it));
            security::compare(run, old.as_deref(), &folder(run, version))?
        }
        None => None,
    };
    Ok(Notes {
        title: run.workspace.product().product.title.clone(),
        version: version.to_owned(),
        since: since.map(str::to_owned),
        range,
        schema,
        api,
        security,
        artifacts: manifest.map(artifacts).unwrap_or_default(),
    })
}

/// The folder of the release `version`.
fn folder(run: &Run, version: &str) -> PathBuf {
    if version == run.version().text() {
        return run.dist();
    }
    run.workspace.target().join("dist").join(version)
}

/// The manifest of the release `version`, if it was built of the commit `end`.
fn manifest(run: &Run, version: &str, end: &str) -> Result<Option<Manifest>> {
    let Ok(bytes) = std::fs::read(folder(run, version).join(layout::MANIFEST)) else {
        return Ok(None);
    };
    let manifest = Manifest::parse(&bytes)?;
    let commit = git::commit_of(run.workspace.root(), end)?;
    Ok((commit.as_deref() == Some(&manifest.source.commit)).then_some(manifest))
}

/// Files and images of a release.
fn artifacts(manifest: Manifest) -> Vec<ArtifactNote> {
    let files = manifest.artifacts.into_iter().map(|it| (it.path, it.sha256));
    let images = manifest.images.into_iter().map(|it| (it.repository, it.digest));
    let note = |(name, digest): (String, String)| {
        let digest = if digest.contains(':') { digest } else { format!("sha256:{digest}") };
        ArtifactNote { name, digest }
    };
    files.chain(images).map(note).collect()
}
