// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A release folder that is about to be signed or published: whole, and as its manifest says.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use release::{Artifact, Image, Manifest, layout};
use sigstore::{Sha256, sha256, sha256_from_hex};
use verify::Folder;

/// A folder whose files and images were compared with its manifest.
pub(crate) struct ReleaseFolder {
    pub(crate) root: PathBuf,
    pub(crate) manifest: Manifest,
    /// SHA-256 of `release.json`.
    pub(crate) manifest_digest: Sha256,
}

impl ReleaseFolder {
    /// Reads the manifest and compares everything that it names with what is there.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let path = root.join(layout::MANIFEST);
        let bytes = fs::read(&path)
            .with_context(|| format!("cannot read {}; is this a release?", path.display()))?;
        let manifest = Manifest::parse(&bytes).with_context(|| format!("in {}", root.display()))?;
        let faults = verify::contents(&Folder::scan(root)?, &manifest);
        if !faults.is_empty() {
            let lines = faults.iter().fold(String::new(), |mut text, fault| {
                // Writing to a String can't fail.
                let _infallible = write!(text, "\n  {}: {}", fault.place, fault.problem);
                text
            });
            bail!("{} is not what its {} says:{lines}", root.display(), layout::MANIFEST);
        }
        Ok(Self { root: root.to_owned(), manifest, manifest_digest: sha256(&bytes) })
    }

    /// Each file with its digest.
    pub(crate) fn files(&self) -> impl Iterator<Item = Result<(&Artifact, Sha256)>> {
        self.manifest.artifacts.iter().map(|file| Ok((file, digest(&file.sha256)?)))
    }

    /// Each image with its digest.
    pub(crate) fn images(&self) -> impl Iterator<Item = Result<(&Image, Sha256)>> {
        self.manifest.images.iter().map(|image| Ok((image, digest(&image.digest)?)))
    }

    /// Writes a file of the release; `path` is relative to it.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        crate::write::replace(&self.root.join(path), bytes)
    }

    /// Reads a file of the release.
    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>> {
        let path = self.root.join(path);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// Digests were compared with what is there, so a malformed one can't get here.
fn digest(text: &str) -> Result<Sha256> {
    sha256_from_hex(text.strip_prefix("sha256:").unwrap_or(text))
        .with_context(|| format!("{text:?} is no SHA-256 in lower-case hex"))
}
