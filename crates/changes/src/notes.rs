// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The data of release notes.

use serde::Serialize;

use crate::api::ApiChange;
use crate::range::Range;

/// The content of release notes. It has no times: the same history gives the same notes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notes {
    /// The product's title.
    pub title: String,
    /// The version, or the end of the range.
    pub version: String,
    /// The previous release, or the start of the range; `None` for a first release.
    pub since: Option<String>,
    /// Commits.
    pub range: Range,
    /// Changes of the recipe schema.
    pub schema: Vec<SchemaNote>,
    /// Changes of the HTTP API.
    pub api: Vec<ApiChange>,
    /// Advisories, if the release is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security: Option<Security>,
    /// Files and images of the release, if it is built.
    pub artifacts: Vec<ArtifactNote>,
}

/// Advisories for the components in the SBOMs of a release and of the previous one.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Security {
    /// Those of the previous release that this one does not have.
    pub fixed: Vec<AdvisoryNote>,
    /// Those of this release.
    pub open: Vec<AdvisoryNote>,
    /// What was not compared, with the reason.
    pub gaps: Vec<String>,
}

/// An advisory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AdvisoryNote {
    /// `RUSTSEC-YYYY-NNNN`, or the Debian source package with the fix, `NAME@VERSION`.
    pub id: String,
    /// The component with its version.
    pub component: String,
    /// Title; empty for Debian's.
    pub title: String,
}

/// A change of the recipe schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SchemaNote {
    /// Whether an accepted recipe may now be refused.
    pub breaking: bool,
    /// JSON pointer into the schema.
    pub pointer: String,
    /// What changed.
    pub what: String,
}

/// A file or an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ArtifactNote {
    /// Path or repository.
    pub name: String,
    /// `sha256:HEX`.
    pub digest: String,
}
