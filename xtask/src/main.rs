// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The build and release system of the provisioner.
#![forbid(unsafe_code)]

mod app;
mod arguments;
mod clean;
mod cli;
mod completions;
mod distribution;
mod doctor;
mod hooks;
mod pipelines;
mod results;
mod setup;
mod staged;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Ok(request) => app::main(request).into(),
        Err(error) => error.exit(),
    }
}
