// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads the output of check-jsonschema with `--output-format json`.

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// A validation error of a document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Serialised")]
pub struct Fault {
    /// The file, as named on the command line.
    pub filename: String,
    /// Place in the document, such as `$.a[0].b`.
    pub path: String,
    /// Error message.
    pub message: String,
}

/// The serialised form.
#[derive(Deserialize)]
struct Serialised {
    filename: String,
    path: String,
    message: String,
    /// For several alternative schemas, the error of the best match.
    best_match: Option<Place>,
}

#[derive(Deserialize)]
struct Place {
    path: String,
    message: String,
}

impl From<Serialised> for Fault {
    fn from(fault: Serialised) -> Self {
        let Serialised { filename, path, message, best_match } = fault;
        let Place { path, message } = best_match.unwrap_or(Place { path, message });
        Self { filename, path, message }
    }
}

/// A file that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Unreadable {
    /// The file, as named on the command line.
    pub filename: String,
    /// Error message.
    pub message: String,
}

/// The whole report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Report {
    /// Invalid documents.
    #[serde(default)]
    pub errors: Vec<Fault>,
    /// Unreadable files.
    #[serde(default)]
    pub parse_errors: Vec<Unreadable>,
}

/// Parses a report.
pub fn read(report: &[u8]) -> Result<Report> {
    serde_json::from_slice(report).context("check-jsonschema did not print valid JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_match_of_several_schemas_is_reported() {
        let report = r#"{"status": "fail", "errors": [
            {"filename": "a", "path": "$.x", "message": "too long", "has_sub_errors": false},
            {"filename": "b", "path": "$.y", "message": "fits none", "has_sub_errors": true,
             "best_match": {"path": "$.y.z", "message": "no number"}}
        ]}"#;
        let faults = read(report.as_bytes()).unwrap().errors;
        let faults: Vec<_> =
            faults.iter().map(|it| (it.path.as_str(), it.message.as_str())).collect();
        assert_eq!(faults, [("$.x", "too long"), ("$.y.z", "no number")]);
    }
}
