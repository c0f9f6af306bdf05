// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A plan: all actions of a step, as data, created before any is executed.
//!
//! `--dry-run` prints the same value that is executed. File contents are never printed: text, JSON
//! and logs have their size and SHA-256.

use std::fmt::{self, Display};

use recipe::sha256_hex;
use serde::Serialize;

use crate::action::Action;

/// The actions of one step, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Plan {
    /// The subcommand, such as `config-drive`.
    pub(crate) step: &'static str,
    /// The actions in order. Empty if the recipe does not need this step.
    pub(crate) actions: Vec<Action>,
}

impl Plan {
    /// Digest of the plan's JSON: lower-case hex SHA-256.
    ///
    /// It covers file contents through their digests.
    pub(crate) fn digest(&self) -> anyhow::Result<String> {
        Ok(sha256_hex(&serde_json::to_vec(self)?))
    }
}

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.actions.is_empty() {
            return writeln!(f, "{}: nothing to do", self.step);
        }
        writeln!(f, "{}: {} actions", self.step, self.actions.len())?;
        for (i, action) in self.actions.iter().enumerate() {
            writeln!(f, "{:>3}. {action}", i + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_never_shown() {
        let action = Action::WriteFile {
            path: "/x".into(),
            mode: 0o600,
            contents: String::from("hunter2").into(),
        };
        let json = serde_json::to_string(&action).unwrap();
        let shown = format!("{action} {action:?} {json}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(json.contains(r#""size":7"#) && json.contains(r#""mode":"0600""#), "{json}");
    }

    #[test]
    fn other_contents_are_another_plan() {
        let plan = |text: &str| Plan {
            step: "config-drive",
            actions: vec![Action::WriteFile {
                path: "/x".into(),
                mode: 0o600,
                contents: text.to_owned().into(),
            }],
        };
        assert_eq!(plan("a").digest().unwrap(), plan("a").digest().unwrap());
        assert_ne!(plan("a").digest().unwrap(), plan("b").digest().unwrap());
    }
}
