// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The on-host hand-off: from the task ISO to the systemd target that carries it out.
//!
//! It finds the task ISO, checks its signature, validates the recipe, writes `/run/provision` and
//! starts the target. It talks to no network, and its log names sizes and digests, never contents.
//! `docs/reference/recipe.md` describes what it reads, what it writes and how it ends.
#![forbid(unsafe_code)]

mod choose;
mod cli;
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

use std::process::ExitCode;

use cli::Command;
use exit::Exit;

fn main() -> ExitCode {
    exit::on_panic();
    match cli::parse(std::env::args_os()) {
        Ok(Command::Help) => print!("{}", cli::HELP),
        Ok(Command::Version) => println!("dispatcher {}", build_info::long_version()),
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
