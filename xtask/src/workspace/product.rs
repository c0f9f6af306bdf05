// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The model of `release.toml`: the product as data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

/// `release.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Product {
    /// Names of the whole.
    pub(crate) product: Identity,
    /// Executables that are delivered.
    #[serde(rename = "binary")]
    pub(crate) binaries: Vec<Binary>,
    /// Tool images.
    #[serde(rename = "image", default)]
    pub(crate) images: Vec<Image>,
    /// The engine that does each job: `images`, `sbom`, `signatures`.
    #[serde(default)]
    pub(crate) engines: BTreeMap<String, String>,
}

/// Names of the whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    /// One word, part of file names.
    pub(crate) name: String,
    /// As people write it.
    pub(crate) title: String,
    /// Who makes it.
    pub(crate) vendor: String,
    /// SPDX licence expression.
    pub(crate) license: String,
    /// Where the source is published.
    pub(crate) source: String,
}

/// An executable that is delivered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Binary {
    /// The name of the executable.
    pub(crate) name: String,
    /// The package of the workspace that it is built from.
    pub(crate) package: String,
    /// The forms in which it is delivered.
    pub(crate) deliver: Vec<Deliver>,
    /// Files beside it in the archive: path in the archive to path in the source.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, PathBuf>,
}

/// A form in which an executable is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Deliver {
    /// An archive with what belongs to it.
    #[serde(rename = "tar.gz")]
    TarGz,
    /// The executable itself.
    #[serde(rename = "raw")]
    Raw,
}

/// A tool image.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Image {
    /// Repository without a registry.
    pub(crate) name: String,
    /// The folder with its Containerfile.
    pub(crate) context: PathBuf,
    /// As people write it; a label.
    pub(crate) title: String,
    /// One line; a label.
    pub(crate) description: String,
    /// The base that it is built on.
    pub(crate) base: String,
}

impl Product {
    /// Reads `release.toml` at `root`.
    ///
    /// # Errors
    /// When it can't be read or is malformed; the message holds line, column and expected form.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let path = root.join("release.toml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is malformed", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let product: Self = toml::from_str(text)?;
        let mut names: Vec<_> = product.binaries.iter().map(|it| &it.name).collect();
        names.extend(product.images.iter().map(|it| &it.name));
        names.sort_unstable();
        if let Some([name, _]) = names.array_windows().find(|[a, b]| a == b) {
            bail!("{name:?} is declared twice: names of binaries and images are unique");
        }
        Ok(product)
    }
}
