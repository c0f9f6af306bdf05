// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The help texts of a program, for a snapshot whose file ends with `help.snap`.
//!
//! The gate `docs` reads these files: it checks calls and flags in the documentation against them.

use std::fmt::Write as _;

use clap::Command;

/// The `--help` of `command` and of each command of it that is not hidden, each after a line `$ CALL --help`.
pub fn texts(command: Command) -> String {
    let mut command = without_environment(command);
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_owned();
    // Help of clap's own would show each text twice.
    command = command.disable_help_subcommand(true);
    let mut text = String::new();
    render(&command, &command, &[name], &mut text);
    text
}

/// Hides values of environment variables, which differ between machines.
fn without_environment(command: Command) -> Command {
    command.mut_args(|arg| arg.hide_env_values(true)).mut_subcommands(without_environment)
}

fn render(program: &Command, command: &Command, path: &[String], text: &mut String) {
    let call = path.iter().map(String::as_str).chain(["--help"]);
    // clap returns the help as an error.
    let help = program.clone().try_get_matches_from(call).unwrap_err().to_string();
    writeln!(text, "$ {} --help\n{}\n", path.join(" "), help.trim_end()).unwrap();
    for inner in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        let path = [path, &[inner.get_name().to_owned()]].concat();
        render(program, inner, &path, text);
    }
}
