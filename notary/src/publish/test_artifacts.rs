// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary push-test-artifacts`: pushes operating systems for tests to a separate namespace.
//!
//! They are never signed, so that no policy accepts them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use oci::{Digest, Layout, Namespace};
use release::layout::tag as version_tag;
use release::test_artifacts::{NON_PRODUCTION, RECORD};
use release::{TestArtifact, TestArtifacts};

use super::Destination;
use super::plan::{Plan, contents};
use super::planned::{PlannedTag, RepositoryPlan, TagRule};
use crate::release_folder::is_labelled;

/// Where they are and where they go.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder with test-artifacts.json.
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    #[command(flatten)]
    destination: Destination,
}

/// Runs the command.
///
/// # Errors
/// When an artifact differs from its record or has no label, or when the registry refuses something.
pub(crate) fn run(args: &Args) -> Result<()> {
    let path = args.from.join(RECORD);
    let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let record = TestArtifacts::parse(&bytes).with_context(|| format!("in {}", path.display()))?;
    let repositories = record.artifacts.iter().map(|artifact| {
        repository(&args.from, &record.version, artifact, &args.destination.to)
            .with_context(|| format!("test artifact {}", artifact.name))
    });
    args.destination.send(&Plan { repositories: repositories.collect::<Result<_>>()? })
}

fn repository(
    folder: &Path,
    version: &str,
    artifact: &TestArtifact,
    target: &Namespace,
) -> Result<RepositoryPlan> {
    let layout = Layout::open(folder.join(&artifact.name))?;
    let index = layout.index()?;
    let [root] = index.manifests().as_slice() else {
        bail!("{} has not exactly one artifact", layout.root().display());
    };
    ensure!(
        root.digest().as_ref() == artifact.digest,
        "the record has {}, the layout has {}",
        artifact.digest,
        root.digest()
    );
    let digest = Digest::try_from(root.digest())?;
    let root = oci::artifact::descriptor(root.media_type().as_ref(), &digest, root.size());
    let (blobs, manifests) = contents(&layout, &root)?;
    for document in &manifests {
        ensure!(
            is_labelled(&document.bytes)?,
            "{} has no annotation {NON_PRODUCTION}",
            document.digest
        );
    }
    let root = manifests.last().cloned().context("its layout is empty")?;
    let tag = version_tag(version).parse().context("the version can't be a tag")?;
    Ok(RepositoryPlan {
        name: target.repository(&artifact.repository())?,
        blobs,
        manifests,
        referrers: Vec::new(),
        legacy_signatures: Vec::new(),
        root,
        // Each belongs to one commit and can be rebuilt, so a tag may be replaced.
        tags: vec![PlannedTag { tag, rule: TagRule::Moves }],
    })
}
