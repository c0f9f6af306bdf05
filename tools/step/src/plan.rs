// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A plan: what a step is going to do, as data, before it does any of it.
//!
//! `--dry-run` prints the plan and the executor carries out that same value, so what was shown is
//! what runs. File contents are part of a plan but are never shown: text, JSON and logs hold their
//! size and SHA-256.

use std::fmt::{self, Display};

use recipe::sha256_hex;
use serde::Serialize;

use crate::action::Action;

/// The actions of one step, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Plan {
    /// The subcommand, such as `config-drive`.
    pub(crate) step: &'static str,
    /// What is to be done, first to last. Empty where the recipe asks nothing of this step.
    pub(crate) actions: Vec<Action>,
}

impl Plan {
    /// Digest of what is asked: lower-case hex SHA-256 of the plan as JSON.
    ///
    /// Contents take part through their digest, so two plans with one digest do the same.
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
