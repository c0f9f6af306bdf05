// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The provisioner service: API, webhook, Redfish, media and OCI registry.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser as _;
use controller::cli::Cli;
use controller::config::ConfigError;

/// Exit code: the command failed.
const FAILED: u8 = 1;
/// Exit code: usage or configuration error, as clap's.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {}", escape::lines(&format!("{error:#}")));
            let usage = error.is::<ConfigError>();
            ExitCode::from(if usage { USAGE } else { FAILED })
        }
    }
}
