// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Components that an SBOM lists.

use std::path::Path;

use serde::Deserialize;

use super::file::{self, Known, show_path};

/// Components in the described file or image, without those that only ran during its build.
#[derive(Debug)]
pub(crate) struct Sbom(pub(crate) Vec<Component>);

/// A component of a `CycloneDX` document.
#[derive(Debug, Deserialize)]
pub(crate) struct Component {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) scope: Option<String>,
    #[serde(default)]
    pub(crate) licenses: Vec<License>,
}

/// Licences of a component.
#[derive(Debug, Deserialize)]
pub(crate) struct License {
    pub(crate) expression: String,
}

/// Reads the `CycloneDX` document at `path`.
pub(crate) fn read(root: &Path, path: &Path) -> Known<Sbom> {
    #[derive(Deserialize)]
    struct Document {
        components: Vec<Component>,
    }
    let bytes = file::read(root, path, "run `cargo xtask sbom`")?;
    let document: Document = serde_json::from_slice(&bytes)
        .map_err(|error| format!("{} is malformed: {error}.", show_path(root, path)))?;
    let is_required = |it: &Component| it.scope.as_deref() != Some("excluded");
    Ok(Sbom(document.components.into_iter().filter(is_required).collect()))
}
