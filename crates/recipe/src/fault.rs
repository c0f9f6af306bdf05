// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Faults of a recipe, in the format of the controller's API.

use std::fmt;

use serde::Serialize;

/// Most faults that are reported: a recipe can consist of nothing else.
const MAX_FAULTS: usize = 1000;
/// The longest pointer, in characters: a name in a recipe can be as long as the recipe.
const MAX_PATH_CHARS: usize = 512;

/// One fault: a position and a rule, never the value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fault {
    /// JSON pointer (RFC 6901) to the field, or to where a missing field should be; empty for the
    /// recipe as a whole.
    pub path: String,
    /// The violated keyword of JSON Schema, or one of our own: `json` (not JSON), `maxBytes` (too
    /// many bytes), `duplicate` (a repeated member).
    pub code: &'static str,
    /// What is wrong, as a sentence about the field.
    pub message: String,
}

impl Fault {
    /// A fault at `path`.
    pub(crate) fn new(path: impl Into<String>, code: &'static str, message: String) -> Self {
        let mut path = path.into();
        if let Some((end, _)) = path.char_indices().nth(MAX_PATH_CHARS) {
            path.truncate(end);
            path.push('…');
        }
        Self { path, code, message }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.path.is_empty() { "the recipe" } else { &self.path };
        write!(f, "{place} {} ({})", self.message, self.code)
    }
}

/// A refused recipe with all of its faults. Serialises to
/// `{"error":"validation_error","message":…,"details":[{"path":…,"code":…,"message":…}]}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{message}: {}", .details.iter().map(Fault::to_string).collect::<Vec<_>>().join("; "))]
pub struct ValidationError {
    error: ErrorKind,
    /// Summary in one sentence.
    pub message: String,
    /// Every fault, sorted by place.
    pub details: Vec<Fault>,
}

/// The value of `error` in the answer of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum ErrorKind {
    ValidationError,
}

impl ValidationError {
    /// The error for `details`, which are not empty.
    pub(crate) fn new(mut details: Vec<Fault>) -> Self {
        details.sort();
        details.dedup();
        let message = match details.len() {
            1 => "the recipe has a fault".to_owned(),
            count @ ..=MAX_FAULTS => format!("the recipe has {count} faults"),
            count => format!("the recipe has {count} faults, of which these are {MAX_FAULTS}"),
        };
        details.truncate(MAX_FAULTS);
        Self { error: ErrorKind::ValidationError, message, details }
    }

    /// Whether the recipe could not be parsed, because it is too large or not JSON.
    pub fn is_unreadable(&self) -> bool {
        self.details
            .iter()
            .any(|fault| fault.path.is_empty() && matches!(fault.code, "json" | "maxBytes"))
    }
}

/// The JSON pointer to member `name` of `pointer` (RFC 6901, section 3).
pub(crate) fn pointer_to(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
