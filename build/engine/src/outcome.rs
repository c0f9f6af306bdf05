// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! How a step ended: done, with faults, or not run at all and why.

use std::fmt;

use foundation::finding::Finding;
use serde::Serialize;

/// How a step ended that could do its work or had none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Did its work; the text is one short fact for the table, such as `42 tests`.
    Done(String),
    /// Did its work and found these faults, at least one: the step has failed.
    Found(Vec<Finding>),
    /// Did its work as far as that was possible here.
    Judged(Judgement),
    /// Did not run, and why. Never counted as passed.
    Skipped(Skip),
}

/// What came of work that may be incomplete.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// One short fact for the table, such as `40 passed, 0 failed, 2 skipped`.
    pub fact: String,
    /// The faults that it found. With one, the step has failed.
    pub findings: Vec<Finding>,
    /// What it could not judge here. With one, the step is incomplete.
    pub gaps: Vec<Gap>,
    /// Whether gaps are the purpose of the step, so that they are listed and nothing more.
    pub expected: bool,
}

/// A part of its work that a step could not do here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Gap {
    /// What was not judged, and why.
    pub problem: String,
    /// The command that changes it, or what to do.
    pub fix: String,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n    fix: {}", self.problem, self.fix)
    }
}

/// Why a step did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Skip {
    /// A program that it needs is not there, or too old.
    MissingTool {
        /// What is wrong: `podman is not installed`.
        tool: String,
        /// The command that installs it.
        fix: String,
    },
    /// What it compares with can't be read here.
    Unable(Gap),
    /// There is nothing for it to do here, and that is as it should be.
    NotApplicable {
        /// Why, as half a sentence: `no image is declared in release.toml`.
        why: String,
    },
    /// A step that it comes after failed or did not run.
    Upstream {
        /// That step.
        step: String,
    },
    /// The run was stopped before its turn came.
    Stopped,
}

impl Skip {
    /// Whether the step had work that it could not do on this machine.
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
