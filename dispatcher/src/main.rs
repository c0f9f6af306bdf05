// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The dispatcher on the host: from the task ISO to the systemd target.
//!
//! It finds the task ISO, checks its signature, validates the recipe, writes `/run/provision` and the
//! configuration of the network, and starts the target. It uses no network itself, and its log has sizes and digests, never contents.
//! `docs/reference/recipe.md` describes inputs, outputs and exit codes.
#![forbid(unsafe_code)]

mod choose;
mod cli;
mod clock;
mod device;
mod dispatch;
mod exit;
mod log;
mod machine;
mod medium;
mod mount;
mod read;
mod start;
mod task;
mod trust;

use std::io::{self, Write as _};
use std::process::ExitCode;

use cli::Command;
use exit::Exit;

fn main() -> ExitCode {
    exit::on_panic();
    match cli::parse(std::env::args_os()) {
        Ok(Command::Help) => return print(cli::HELP),
        Ok(Command::Version) => {
            return print(&format!("dispatcher {}\n", build_info::long_version()));
        }
        Ok(Command::Dispatch(options)) => {
            if let Err(failure) = dispatch::run(&options) {
                log::error(&failure);
                return failure.exit.into();
            }
        }
        Err(error) => {
            eprintln!("dispatcher: {error}\nTry `dispatcher --help`.");
            return Exit::Usage.into();
        }
    }
    ExitCode::SUCCESS
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dispatcher: cannot write to standard output: {error}");
            ExitCode::FAILURE
        }
    }
}
