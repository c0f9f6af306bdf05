// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What a gate found: a fault with its place, its rule and its fix.
//!
//! Every gate answers with all of its findings, so that one run shows them all. The JSON, SARIF and
//! `JUnit` reports are made from these.

use std::fmt;

use serde::Serialize;

/// One fault that a gate found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Path from the root of the workspace, with `/`.
    pub file: String,
    /// Line, counted from 1; absent where the whole file is meant.
    pub line: Option<usize>,
    /// The rule's short name, unique inside its gate: `private-key`, `missing-label`.
    pub rule: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it: a command or a sentence.
    pub fix: String,
}

impl Finding {
    /// A finding in the line `line` (from 1) of `file`.
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

/// `FILE:LINE: RULE: MESSAGE` and the fix below it, as compilers print it, so that editors jump to it.
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
