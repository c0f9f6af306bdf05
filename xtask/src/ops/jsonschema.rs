// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What check-jsonschema says with `--output-format json`.

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// A document that a schema refuses, at one place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Fault {
    /// The file, as it was named.
    pub(crate) filename: String,
    /// The place in it, as `$.a[0].b`.
    pub(crate) path: String,
    /// What is wrong.
    pub(crate) message: String,
}

/// A file that is not what it has to be at all.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Unreadable {
    /// The file, as it was named.
    pub(crate) filename: String,
    /// Why it can't be read.
    pub(crate) message: String,
}

/// The whole report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Report {
    /// Documents that are refused.
    #[serde(default)]
    pub(crate) errors: Vec<Fault>,
    /// Files that can't be read.
    #[serde(default)]
    pub(crate) parse_errors: Vec<Unreadable>,
}

/// Reads a report.
///
/// # Errors
/// When it is none.
pub(crate) fn read(report: &[u8]) -> Result<Report> {
    serde_json::from_slice(report).context("check-jsonschema did not write the JSON it should")
}
