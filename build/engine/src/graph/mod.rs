// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs steps as a dependency graph: validated first, in parallel, journalled so that a stopped run
//! can be resumed, and reported.
//!
//! [`check`] and [`schedule`] are pure; [`execute`] adds threads, [`journal`] a file, and
//! [`mod@run`] the steps.

mod check;
mod execute;
mod journal;
mod preview;
mod progress;
mod report;
mod resume;
mod run;
mod schedule;
mod unchanged;

use crate::step::Step;

pub use self::preview::Preview;
pub use self::report::{Report, Row, Verdict};
pub use self::run::{graph, run};

/// A step and its dependencies.
#[derive(Clone, Copy)]
pub struct Stage {
    /// The step.
    pub step: &'static dyn Step,
    /// Names of the steps that have to succeed first.
    pub after: &'static [&'static str],
}
