// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A gate's finding: fault, place, rule and fix.
//!
//! A gate returns all its findings at once. The JSON, SARIF and `JUnit` reports are made from them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A finding of a gate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Finding {
    /// Path from the workspace root, with `/`.
    pub file: String,
    /// Line, from 1; `None` for a whole file.
    pub line: Option<usize>,
    /// Rule id, unique in its gate: `private-key`, `missing-label`.
    pub rule: String,
    /// The fault.
    pub message: String,
    /// How to fix it: a command or a sentence.
    pub fix: String,
}

impl Finding {
    /// A finding at line `line` (from 1) of `file`.
    pub fn at(
        file: impl Into<String>,
        line: usize,
        rule: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { line: Some(line), ..Self::in_file(file, rule, message, fix) }
    }

    /// A finding about a whole file.
    pub fn in_file(
        file: impl Into<String>,
        rule: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            file: file.into(),
            line: None,
            rule: rule.into(),
            message: message.into(),
            fix: fix.into(),
        }
    }
}

/// `FILE:LINE: RULE: MESSAGE` and the fix below it, in the form of compilers, so that editors can
/// jump to it.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}: {}", self.rule, self.message)?;
        if !self.fix.is_empty() {
            write!(f, "\n    fix: {}", self.fix)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_place_rule_and_fix() {
        let finding = Finding::at("a/b.rs", 3, "spdx", "no licence line", "add it");
        assert_eq!(finding.to_string(), "a/b.rs:3: spdx: no licence line\n    fix: add it");
        let finding = Finding::in_file("a", "spdx", "empty", "");
        assert_eq!(finding.to_string(), "a: spdx: empty");
    }
}
