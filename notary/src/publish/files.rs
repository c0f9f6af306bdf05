// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The files of a release folder that are published: those that its manifest leads to, checked first.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oci::Digest;
use release::{Manifest, layout};
use verify::Folder;

/// A file of a release, with its content's digest as found on disk.
#[derive(Debug)]
pub(super) struct ReleaseFile {
    /// Relative to the folder, with `/`.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// Reads `release.json` in `folder`.
pub(super) fn read_manifest(folder: &Path) -> Result<Manifest> {
    let path = folder.join(layout::MANIFEST);
    let bytes = fs::read(&path)
        .with_context(|| format!("{}: reading the record of the release", path.display()))?;
    Manifest::parse(&bytes).with_context(|| path.display().to_string())
}

/// Checks files and images against `manifest`, and collects all files outside the image layouts, sorted
/// by name. A file that the manifest does not lead to is left where it is.
///
/// # Errors
/// When a content differs, or a file is missing; all differences are named.
pub(super) fn collect(manifest: &Manifest, folder: &Path) -> Result<Vec<ReleaseFile>> {
    let faults = verify::contents(&Folder::scan(folder)?, manifest);
    if !faults.is_empty() {
        let lines: Vec<String> =
            faults.iter().map(|fault| format!("\n  {}: {}", fault.place, fault.problem)).collect();
        bail!(
            "{} is not the release that its release.json describes:{}",
            folder.display(),
            lines.concat()
        );
    }
    let mut names = verify::paths(manifest);
    names.sort();
    names.into_iter().map(|name| ReleaseFile::read(folder, name)).collect()
}

impl ReleaseFile {
    fn read(folder: &Path, name: String) -> Result<Self> {
        let path = folder.join(&name);
        let context = || {
            format!("{}: sign and attest the release before it is published", path.display())
        };
        let file = File::open(&path).with_context(context)?;
        let (digest, size) = Digest::sha256_of(file).with_context(context)?;
        Ok(Self { name, path, digest, size })
    }
}
