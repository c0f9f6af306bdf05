// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Steps in a graph: checked before anything runs, parallel within a limit, journalled so that a
//! run that was stopped goes on, and reported.
//!
//! [`check`] and [`schedule`] are pure; [`execute`] adds threads, [`journal`] adds a file, and
//! [`mod@run`] puts steps into them.

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
pub use self::report::Report;
pub use self::run::{graph, run};

/// A step and the steps that it comes after.
#[derive(Clone, Copy)]
pub struct Stage {
    /// What runs.
    pub step: &'static dyn Step,
    /// The names of what has to end well first.
    pub after: &'static [&'static str],
}
