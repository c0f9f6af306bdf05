// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Options that several commands share. What a command takes alone, its step declares itself.

use std::path::PathBuf;

use clap::{Arg, ArgAction};

use crate::workspace::Job;

/// An option of more than one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Argument {
    /// `--accel`: what executes a virtual machine's instructions.
    Accelerator,
    /// `--engine`: the engine for this job.
    Engine(Job),
    /// `--fix`: fix what a program can fix.
    Fix,
    /// `--version` and `--release`: the release that the command is about.
    Release,
    /// `--target`: what to build for.
    Target,
}

impl Argument {
    /// Whether a pipeline takes it when one of its steps does.
    pub fn is_shared(self) -> bool {
        match self {
            Self::Accelerator | Self::Engine(_) | Self::Target => true,
            // One gate fixes, or `validate` has all of them do it. A pipeline makes the release that it is about.
            Self::Fix | Self::Release => false,
        }
    }
}

/// The switch `--NAME`.
pub fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

/// `path` from the root of the file system; one that can't be made so is reported when it is opened.
pub fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}
