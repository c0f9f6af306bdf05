// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The build and release system of the provisioner.
#![forbid(unsafe_code)]

mod app;
mod cli;
mod finding;
mod graph;
mod ops;
mod pipelines;
mod preflight;
mod results;
mod run;
mod staged;
mod steps;
mod tool;
mod ui;
mod workspace;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(request) => app::main(request).into(),
        Err(error) => error.exit(),
    }
}
