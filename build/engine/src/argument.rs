// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What a command takes beside the options of every run.

use crate::workspace::Job;

/// An option or argument that only some commands take: those that use it, and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Argument {
    /// `--accel`: what executes a virtual machine's instructions.
    Accelerator,
    /// `--against`: the manifest of an earlier build.
    Against,
    /// `--all`: every file, not only the changed ones.
    AllFiles,
    /// `--bare`: the tests without any optional program.
    Bare,
    /// `--bin`: some binaries.
    Binaries,
    /// `--bind-tools`: the tool images inside the maintenance OS.
    BindTools,
    /// `--changed`: only what differs from the last commit.
    Changed,
    /// `--engine`: the engine for this job.
    Engine(Job),
    /// `--fix`: fix what a program can fix.
    Fix,
    /// Names of fuzz targets.
    FuzzTargets,
    /// Names of images.
    Images,
    /// `--iso`: the live ISO too.
    Iso,
    /// Names of virtual machines.
    Machines,
    /// `--merge`: folders with parts of a release.
    Merge,
    /// `--push`: a registry.
    Push,
    /// `--seconds`: how long each fuzz target runs.
    Seconds,
    /// `--snapshot`: any commit, never a release.
    Snapshot,
    /// `--staged`: the index, in place of the work tree.
    Staged,
    /// `--split`: a part of a release.
    Split,
    /// `--target`: what to build for.
    Target,
    /// `--update-lock`: the packages that the mirror has now.
    UpdateLock,
    /// What `notary verify` takes, for a release that is not of this work tree.
    Verify,
}

impl Argument {
    /// Whether a pipeline takes it when one of its steps does.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Accelerator | Self::Engine(_) | Self::Target)
    }
}
