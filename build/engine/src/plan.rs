// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A plan as data: what a step would run, read and write.

use std::path::{Path, PathBuf};

use foundation::command::Command;
use release::Architecture;
use serde::Serialize;

/// What a step would do, in order, with everything that decides its result and all that it leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// In the order in which they happen.
    pub actions: Vec<Action>,
    /// Everything that the result depends on: with all of it unchanged, so is the result.
    pub reads: Vec<Input>,
    /// Files and folders that it leaves, relative to the root. When they are as the step left
    /// them, a run that goes on after a stop does not repeat the step.
    pub writes: Vec<PathBuf>,
}

/// One thing that a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Runs a program.
    Command(Command),
    /// Does something itself; the text is an imperative, such as `write SHA256SUMS`.
    Native(String),
}

/// Something that decides a step's result. Each kind knows how to become part of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// The source: every file that Git tracks or would, below the folder; `""` is all of them.
    Source(PathBuf),
    /// A file or folder that is no source, such as an earlier step's output, relative to the root.
    Path(PathBuf),
    /// A program: its version decides.
    Tool(&'static str),
    /// A variable of the environment: its value decides (only its digest is ever kept).
    Env(&'static str),
    /// What the step found out while it planned, such as the commit that it compares with: the
    /// name of the fact, and the fact.
    Fact(&'static str, String),
    /// The day, in UTC: what is asked of the world outside changes with it.
    Day,
    /// `release.json` as the steps before left it.
    Manifest,
}

/// Something that has to be there before a run starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// A program, by its name in the catalogue of tools.
    Tool(&'static str),
    /// A program that the step does without, with less to show for it.
    Wanted(&'static str),
    /// A program without which tests are skipped.
    Test(&'static str),
    /// Free space below `target/`, in bytes.
    Space(u64),
    /// That programs of this architecture run here, if only in an emulator.
    Runs(Architecture),
}

impl Plan {
    /// A plan that does nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Then run `command`.
    #[must_use]
    pub fn command(mut self, command: Command) -> Self {
        self.actions.push(Action::Command(command));
        self
    }

    /// Then do `what` without another program.
    #[must_use]
    pub fn native(mut self, what: impl Into<String>) -> Self {
        self.actions.push(Action::Native(what.into()));
        self
    }

    /// The result depends on `input`.
    #[must_use]
    pub fn reads(mut self, input: Input) -> Self {
        self.reads.push(input);
        self
    }

    /// Leaves `path`, relative to the root.
    #[must_use]
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
