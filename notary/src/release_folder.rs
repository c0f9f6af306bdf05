// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A complete release folder that matches its manifest, ready to be signed or published.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use files::Mode;
use oci::{Digest, Layout};
use release::test_artifacts::{NON_PRODUCTION, is_test_repository};
use release::{Architecture, Artifact, Image, Manifest, Signer, layout};
use signing::{Sha256, sha256, sha256_from_hex};
use verify::Folder;

/// A release folder, compared with its manifest.
pub(crate) struct ReleaseFolder {
    pub(crate) root: PathBuf,
    pub(crate) manifest: Manifest,
}

impl ReleaseFolder {
    /// Reads the manifest and compares all files and images with it.
    pub(crate) fn open(root: &Path) -> Result<Self> {
        let path = root.join(layout::MANIFEST);
        let bytes = fs::read(&path).with_context(|| {
            format!("cannot read {}: expected a release folder", path.display())
        })?;
        let manifest = Manifest::parse(&bytes).with_context(|| format!("in {}", root.display()))?;
        for image in &manifest.images {
            // The comparison below reports unreadable images.
            if is_test_artifact(root, image).unwrap_or_default() {
                bail!("{} is a test artifact, which must not be in a release", image.repository);
            }
        }
        let faults = verify::contents(&Folder::scan(root)?, &manifest);
        if !faults.is_empty() {
            let line = |fault: &verify::Fault| format!("\n  {}: {}", fault.place, fault.problem);
            let lines: String = faults.iter().map(line).collect();
            bail!("{} does not match its {}:{lines}", root.display(), layout::MANIFEST);
        }
        Ok(Self { root: root.to_owned(), manifest })
    }

    /// All files with their digests.
    pub(crate) fn files(&self) -> impl Iterator<Item = Result<(&Artifact, Sha256)>> {
        self.manifest.artifacts.iter().map(|file| Ok((file, digest(&file.sha256)?)))
    }

    /// All images with their digests.
    pub(crate) fn images(&self) -> impl Iterator<Item = Result<(&Image, Sha256)>> {
        self.manifest.images.iter().map(|image| Ok((image, digest(&image.digest)?)))
    }

    /// Digests of the manifests in the index of `image`, by architecture; empty if `image` is not
    /// an index.
    pub(crate) fn parts(&self, image: &Image) -> Result<Vec<(Architecture, Digest)>> {
        if image.parts().is_empty() {
            return Ok(Vec::new());
        }
        let layout = Layout::open(self.root.join(&image.layout))?;
        let path = layout.blob_path(&image.digest.parse::<Digest>()?);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let index = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not an index", path.display()))?;
        let parts = verify::parts(&index);
        let signed = image.parts().iter().map(|architecture| {
            let part = parts.get(architecture).with_context(|| {
                format!("the index of {} has no image for {}", image.repository, architecture.oci())
            })?;
            Ok((*architecture, part.clone()))
        });
        signed.collect()
    }

    /// Writes the signing identity to the manifest; returns the manifest's digest.
    pub(crate) fn name_signer(&mut self, signer: Option<Signer>) -> Result<Sha256> {
        if self.manifest.signer != signer {
            self.manifest.signer = signer;
            self.write(layout::MANIFEST, self.manifest.to_json()?.as_bytes())?;
        }
        Ok(sha256(&self.read(layout::MANIFEST)?))
    }

    /// Removes a file of the release, if it exists.
    pub(crate) fn remove(&self, path: &str) -> Result<()> {
        let path = self.root.join(path);
        files::remove_file(&path)
            .map(drop)
            .with_context(|| format!("cannot remove {}", path.display()))
    }

    /// Writes a file of the release; `path` is relative to it.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.root.join(path);
        fs::create_dir_all(files::parent(&path))
            .and_then(|()| files::write(&path, Mode::Exact(0o644), bytes))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reads a file of the release.
    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>> {
        let path = self.root.join(path);
        fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    }
}

/// Returns true if `image` is a test artifact, which is never signed or published in a release.
pub(crate) fn is_test_artifact(root: &Path, image: &Image) -> Result<bool> {
    if is_test_repository(&image.repository) {
        return Ok(true);
    }
    let layout = Layout::open(root.join(&image.layout))?;
    let path = layout.blob_path(&image.digest.parse::<Digest>()?);
    is_labelled(&fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?)
}

/// Returns true if the manifest or index `bytes` has the label for non-production artifacts.
pub(crate) fn is_labelled(bytes: &[u8]) -> Result<bool> {
    #[derive(serde::Deserialize)]
    struct Document {
        #[serde(default)]
        annotations: BTreeMap<String, String>,
    }
    let document: Document = serde_json::from_slice(bytes).context("its manifest is malformed")?;
    Ok(document.annotations.contains_key(NON_PRODUCTION))
}

/// Parses a digest of the manifest. The comparison has verified it, so a failure is a bug.
pub(crate) fn digest(text: &str) -> Result<Sha256> {
    sha256_from_hex(text.strip_prefix("sha256:").unwrap_or(text))
        .with_context(|| format!("{text:?} is not a SHA-256 in lower-case hex"))
}
