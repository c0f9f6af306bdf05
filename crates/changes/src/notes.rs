// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The data of release notes.

use serde::Serialize;

use crate::api::ApiChange;
use crate::range::Range;

/// What the notes of one release say. Times do not appear: the same history gives the same notes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notes {
    /// The product's title.
    pub title: String,
    /// The version, or the end of the range.
    pub version: String,
    /// The release before, or the start of the range; None for a first release.
    pub since: Option<String>,
    /// Commits.
    pub range: Range,
    /// Changes of the recipe schema.
    pub schema: Vec<SchemaNote>,
    /// Changes of the HTTP API.
    pub api: Vec<ApiChange>,
    /// Files and images of the release, where it is built.
    pub artifacts: Vec<ArtifactNote>,
}

/// A change of the recipe schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaNote {
    /// Whether a recipe that was accepted may be refused.
    pub breaking: bool,
    /// JSON pointer into the schema.
    pub pointer: String,
}

/// A file or an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtifactNote {
    /// Path or repository.
    pub name: String,
    /// `sha256:HEX`.
    pub digest: String,
}
