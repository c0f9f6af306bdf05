// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Files of a release to publish: only those referenced by its manifest.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use oci::Digest;
use verify::Folder;

use crate::release_folder::ReleaseFolder;

/// A file of a release outside of the image layouts, with the digest of its content.
#[derive(Debug)]
pub(crate) struct ReleaseFile {
    /// Path relative to the folder, with `/`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Collects the files, sorted by name.
///
/// # Errors
/// When a signature is missing; all other files were checked when the folder was opened.
pub(crate) fn collect(release: &ReleaseFolder) -> Result<Vec<ReleaseFile>> {
    let manifest = &release.manifest;
    let artifacts: BTreeMap<_, _> = manifest.artifacts.iter().map(|it| (&it.path, it)).collect();
    let mut names = verify::paths(manifest, manifest.into());
    names.sort();
    let file = |name: String| match artifacts.get(&name) {
        Some(artifact) => Ok(ReleaseFile {
            path: release.root.join(&name),
            digest: format!("sha256:{}", artifact.sha256).parse()?,
            size: artifact.size,
            name,
        }),
        None => ReleaseFile::read(release, name),
    };
    names.into_iter().map(file).collect()
}

/// Collects the rebuild attestations in the folder, which are no part of the release.
pub(super) fn rebuilds(release: &ReleaseFolder) -> Result<Vec<ReleaseFile>> {
    let names = verify::rebuild::paths(&Folder::scan(&release.root)?);
    names.into_iter().map(|name| ReleaseFile::read(release, name)).collect()
}

impl ReleaseFile {
    fn read(release: &ReleaseFolder, name: String) -> Result<Self> {
        let path = release.root.join(&name);
        let context = || {
            format!(
                "cannot read {}; sign and attest the release before it is published",
                path.display()
            )
        };
        let file = File::open(&path).with_context(context)?;
        let (digest, size) = Digest::sha256_of(file).with_context(context)?;
        Ok(Self { name, path, digest, size })
    }
}
