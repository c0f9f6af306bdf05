// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Outcome of a step: done, with findings, or skipped with a reason.

use std::fmt;

use foundation::finding::Finding;
use serde::{Deserialize, Serialize};

/// Outcome of a step that did not fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Succeeded; with one short fact for the table, such as `42 tests`.
    Done(String),
    /// Completed with at least one finding: the step has failed.
    Found(Vec<Finding>),
    /// Completed as far as possible here.
    Judged(Judgement),
    /// Did not run. Never counted as passed.
    Skipped(Skip),
}

impl Outcome {
    /// [`Outcome::Done`] with `fact` where there are no findings.
    pub fn of(findings: Vec<Finding>, fact: impl Into<String>) -> Self {
        if findings.is_empty() { Self::Done(fact.into()) } else { Self::Found(findings) }
    }
}

/// Result of work that may be incomplete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// One short fact for the table, such as `40 passed, 0 failed, 2 skipped`.
    pub fact: String,
    /// Faults. With at least one, the step has failed.
    pub findings: Vec<Finding>,
    /// What could not be checked here. With at least one, the step is incomplete.
    pub gaps: Vec<Gap>,
    /// Whether reporting gaps is the purpose of the step, so that they are only listed.
    pub expected: bool,
}

/// A part of a step's work that was not possible here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// What was not checked, and why.
    pub problem: String,
    /// A command or an instruction.
    pub fix: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    fix: {}", self.problem, self.fix)
    }
}

/// Why a step did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Skip {
    /// A required program is missing or too old.
    MissingTool {
        /// The problem, such as `podman is not installed`.
        tool: String,
        /// The command that installs it.
        fix: String,
    },
    /// The data to compare with cannot be read here.
    Unable(Gap),
    /// There is nothing to do, as intended.
    NotApplicable {
        /// The reason, such as `no image is declared in release.toml`.
        why: String,
    },
    /// A dependency failed or did not run.
    Upstream {
        /// The dependency.
        step: String,
    },
    /// The run was stopped before the step started.
    Stopped,
}

impl Skip {
    /// Whether the step applies but could not run on this host.
    pub fn could_not_run(&self) -> bool {
        matches!(self, Self::MissingTool { .. } | Self::Unable(_))
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingTool { tool, fix } => write!(f, "{tool}; fix: {fix}"),
            Self::Unable(Gap { problem, fix }) => write!(f, "{problem}; fix: {fix}"),
            Self::NotApplicable { why } => f.write_str(why),
            Self::Upstream { step } => write!(f, "{step} did not succeed"),
            Self::Stopped => f.write_str("the run was stopped"),
        }
    }
}
