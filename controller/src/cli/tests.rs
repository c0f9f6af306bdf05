// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The command line is sound, and its help is as recorded.

use clap::CommandFactory as _;

use super::*;

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn help_texts_are_as_recorded() {
    insta::assert_snapshot!("help", test_support::help::texts(Cli::command()));
}
