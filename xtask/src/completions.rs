// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Shell completions.

use std::io::Write as _;

use clap::Command;
use clap_complete::{Shell, generate};

/// Prints the completions of `command` for `shell` on standard output.
pub(crate) fn print(shell: Shell, command: &mut Command) {
    let mut text = Vec::new();
    generate(shell, command, "xtask", &mut text);
    // A closed pipe (`| head`) is not an error.
    drop(std::io::stdout().lock().write_all(&text));
}
