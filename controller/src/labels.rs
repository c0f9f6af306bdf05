// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Labels of servers, such as `site=berlin`, and groups of servers selected by labels.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use rusqlite::ToSql;
use rusqlite::types::ToSqlOutput;
use serde::{Deserialize, Serialize};

/// Maximum number of labels of a server or group.
const MOST: usize = 32;
/// Maximum length of a label's name and of its value, in bytes.
const LONGEST: usize = 63;

/// A malformed label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected NAME=VALUE, each 1 to {LONGEST} characters of A-Z, a-z, 0-9, '-', '_' and '.', and at most {MOST} labels"
)]
pub struct LabelError;

/// Labels of a server, or those that select a group of servers. Sorted by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Labels(BTreeMap<String, String>);

impl TryFrom<BTreeMap<String, String>> for Labels {
    type Error = LabelError;

    fn try_from(labels: BTreeMap<String, String>) -> Result<Self, LabelError> {
        let good = |text: &str| {
            (1..=LONGEST).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let all =
            labels.len() <= MOST && labels.iter().all(|(name, value)| good(name) && good(value));
        if all { Ok(Self(labels)) } else { Err(LabelError) }
    }
}

impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}

impl Labels {
    /// Parses `NAME=VALUE` texts.
    ///
    /// # Errors
    /// If a label is malformed, a name occurs twice, or there are too many.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, LabelError> {
        let mut labels = BTreeMap::new();
        for text in texts {
            let (name, value) = text.as_ref().split_once('=').ok_or(LabelError)?;
            if labels.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(LabelError);
            }
        }
        labels.try_into()
    }

    /// Returns whether there are no labels.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Serializes the labels as a JSON object, as stored in the database.
    pub fn to_json(&self) -> String {
        serde_json::json!(self.0).to_string()
    }
}

impl FromStr for Labels {
    type Err = LabelError;

    /// Parses `NAME=VALUE,NAME=VALUE`.
    fn from_str(text: &str) -> Result<Self, LabelError> {
        Self::parse(text.split(','))
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        f.write_str(&labels.join(","))
    }
}

/// A set of servers, such as those that a user may access: all, or those of some groups. Binds as the SQL parameter of
/// [`IN_SCOPE`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(Option<String>);

/// SQL condition: a row of `servers` is in `:scope` if it has all labels of one group.
pub const IN_SCOPE: &str = "(:scope IS NULL OR EXISTS (SELECT 1 FROM json_each(:scope) AS team \
     WHERE NOT EXISTS (SELECT 1 FROM json_each(team.value) AS wanted \
     WHERE json_extract(servers.labels, '$.\"' || wanted.key || '\"') IS NOT wanted.value)))";

impl Scope {
    /// Every server.
    pub const ALL: Self = Self(None);

    /// Scope of the servers that have all labels of one of these groups.
    pub fn groups<'a>(groups: impl IntoIterator<Item = &'a Labels>) -> Self {
        let groups: Vec<&BTreeMap<String, String>> =
            groups.into_iter().map(|group| &group.0).collect();
        Self(Some(serde_json::json!(groups).to_string()))
    }

    /// Returns whether the scope includes every server.
    pub fn is_all(&self) -> bool {
        self.0.is_none()
    }
}

impl ToSql for Scope {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_and_written() {
        let labels: Labels = "site=berlin,rack=r-7".parse().unwrap();
        assert_eq!(labels.to_string(), "rack=r-7,site=berlin");
        assert_eq!(labels.to_json(), r#"{"rack":"r-7","site":"berlin"}"#);
        assert_eq!(serde_json::from_str::<Labels>(&labels.to_json()).unwrap(), labels);
        let long = format!("a={}", "x".repeat(LONGEST + 1));
        for bad in ["", "a", "a=", "=b", "a=b,a=c", "a=b c", "a\"=b", &long] {
            assert_eq!(bad.parse::<Labels>(), Err(LabelError), "{bad}");
        }
        let many = (0..=MOST).map(|number| format!("a{number}=b"));
        assert!(Labels::parse(many).is_err());
        assert!(serde_json::from_str::<Labels>(r#"{"a b":"c"}"#).is_err());
    }
}
