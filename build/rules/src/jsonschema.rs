// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What check-jsonschema says with `--output-format json`.

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// A document that a schema refuses, at one place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Told")]
pub struct Fault {
    /// The file, as it was named.
    pub filename: String,
    /// The place in it, as `$.a[0].b`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// The same as it is written.
#[derive(Deserialize)]
struct Told {
    filename: String,
    path: String,
    message: String,
    /// Where there are several schemas to choose from and none fits: what the nearest one says.
    best_match: Option<Place>,
}

#[derive(Deserialize)]
struct Place {
    path: String,
    message: String,
}

impl From<Told> for Fault {
    fn from(told: Told) -> Self {
        let Told { filename, path, message, best_match } = told;
        let Place { path, message } = best_match.unwrap_or(Place { path, message });
        Self { filename, path, message }
    }
}

/// A file that is not what it has to be at all.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Unreadable {
    /// The file, as it was named.
    pub filename: String,
    /// Why it can't be read.
    pub message: String,
}

/// The whole report.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Report {
    /// Documents that are refused.
    #[serde(default)]
    pub errors: Vec<Fault>,
    /// Files that can't be read.
    #[serde(default)]
    pub parse_errors: Vec<Unreadable>,
}

/// Reads a report.
///
/// # Errors
/// When it is none.
pub fn read(report: &[u8]) -> Result<Report> {
    serde_json::from_slice(report).context("check-jsonschema did not write the JSON it should")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_schemas_the_nearest_says_what_is_wrong() {
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
