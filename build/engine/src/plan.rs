// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A step's plan as data: actions, inputs and outputs.

use std::path::{Path, PathBuf};

use foundation::command::Command;
use release::Architecture;
use serde::Serialize;

/// The plan of a step: its actions in order, all inputs that decide its result, and all outputs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[must_use]
pub struct Plan {
    /// Actions in order.
    pub actions: Vec<Action>,
    /// Inputs. The same inputs give the same result.
    pub reads: Vec<Input>,
    /// Output files and folders, relative to the root. A resumed run skips the step while they are
    /// unchanged.
    pub writes: Vec<PathBuf>,
}

/// One action of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Runs an external program.
    Command(Command),
    /// Runs xtask's own code; the text is an imperative, such as `write SHA256SUMS`.
    Native(String),
}

/// An input that decides a step's result. Each kind contributes to keys in its own way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Source files below the folder (tracked by Git, or untracked and not ignored); `""` for all.
    Source(PathBuf),
    /// A file or folder that is not source, such as an earlier step's output, relative to the root.
    Path(PathBuf),
    /// A program, by its version.
    Tool(&'static str),
    /// An environment variable, by its value (only its digest is stored).
    Env(&'static str),
    /// A fact determined while planning, such as the commit to compare with: name and value.
    Fact(&'static str, String),
    /// The current day in UTC: for data from the network, which changes with time.
    Day,
    /// `release.json` as written by earlier steps.
    Manifest,
}

/// A prerequisite that is checked before a run starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// A required program, by its name in the catalogue of tools.
    Tool(&'static str),
    /// An optional program; without it the step does less.
    Wanted(&'static str),
    /// A program without which tests are skipped.
    Test(&'static str),
    /// Free space below `target/`, in bytes.
    Space(u64),
    /// Programs of this architecture can run here, natively or emulated.
    Runs(Architecture),
}

impl Plan {
    /// An empty plan.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `command`.
    pub fn command(mut self, command: Command) -> Self {
        self.actions.push(Action::Command(command));
        self
    }

    /// Appends an action of xtask's own code.
    pub fn native(mut self, what: impl Into<String>) -> Self {
        self.actions.push(Action::Native(what.into()));
        self
    }

    /// Adds an input.
    pub fn reads(mut self, input: Input) -> Self {
        self.reads.push(input);
        self
    }

    /// Adds an output, relative to the root.
    pub fn writes(mut self, path: impl AsRef<Path>) -> Self {
        self.writes.push(path.as_ref().to_owned());
        self
    }

    /// The commands among the actions.
    pub fn commands(&self) -> impl Iterator<Item = &Command> {
        self.actions.iter().filter_map(|action| match action {
            Action::Command(command) => Some(command),
            Action::Native(_) => None,
        })
    }
}
