// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The engine that runs steps: plan, dependency order, journal, report, external programs, and the
//! workspace model. It contains no step.
#![forbid(unsafe_code)]

pub mod accelerator;
pub mod allowed;
mod argument;
mod environment;
pub mod graph;
pub mod junit;
mod outcome;
mod plan;
pub mod preflight;
mod run;
mod step;
pub mod tool;
mod ui;
pub mod workspace;

pub use self::argument::{Argument, absolute, flag};
pub use self::environment::Environment;
pub use self::outcome::{Gap, Judgement, Outcome, Skip};
pub use self::plan::{Action, Input, Need, Plan};
pub use self::run::{Options, Run};
pub use self::step::{Description, Step};
pub use self::tool::StepLog;
pub use self::ui::Ui;
