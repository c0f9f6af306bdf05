// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Which steps make a pipeline, and which are commands of their own.

use crate::graph::Stage;
use crate::steps::Step;
use crate::steps::fmt::Fmt;
use crate::steps::headers::Headers;
use crate::steps::lint::Lint;
use crate::steps::test::Test;

/// Steps in an order, under a name.
pub(crate) struct Pipeline {
    /// The name of its command.
    pub(crate) name: &'static str,
    /// One line for `--help`.
    pub(crate) about: &'static str,
    /// What follows its name in the example of `--help`.
    pub(crate) example: &'static str,
    /// The steps; the order of the table at the end.
    pub(crate) stages: &'static [Stage],
}

/// Every step that is a command.
pub(crate) const STEPS: &[&dyn Step] = &[&Fmt, &Lint, &Test, &Headers];

/// Pipelines that are commands.
pub(crate) const PIPELINES: &[Pipeline] = &[Pipeline {
    name: "validate",
    about: "Run every gate that CI runs, in parallel",
    example: "",
    stages: GATES,
}];

/// Pipelines of `cargo xtask ci`, where no gate may be left out.
pub(crate) const CI: &[Pipeline] = &[Pipeline {
    name: "pr",
    about: "What a pull request has to pass",
    example: "",
    stages: GATES,
}];

/// None waits for another: all faults in one run.
const GATES: &[Stage] = &[first(&Fmt), first(&Lint), first(&Test), first(&Headers)];

/// A step that waits for no other.
const fn first(step: &'static dyn Step) -> Stage {
    Stage { step, after: &[] }
}

/// A step that comes after others.
const fn after(step: &'static dyn Step, after: &'static [&'static str]) -> Stage {
    Stage { step, after }
}
