// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Options that several commands share. Options of a single command are declared by its step.

use std::path::PathBuf;

use clap::{Arg, ArgAction};

use crate::workspace::Job;

/// An option of more than one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Argument {
    /// `--accel`: the QEMU accelerator.
    Accelerator,
    /// `--engine`: the engine for this job.
    Engine(Job),
    /// `--fix`: apply automatic fixes.
    Fix,
    /// `--version` and `--release`: the release that the command is about.
    Release,
    /// `--target`: what to build for.
    Target,
}

impl Argument {
    /// Whether a pipeline accepts the option when one of its steps does.
    pub fn is_shared(self) -> bool {
        match self {
            Self::Accelerator | Self::Engine(_) | Self::Target => true,
            // One gate fixes, or `validate` has all of them do it. A pipeline makes the release that it is about.
            Self::Fix | Self::Release => false,
        }
    }
}

/// A flag `--NAME`.
pub fn flag(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

/// Makes `path` absolute; on failure returns it as is, so that opening it reports the error.
pub fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}
