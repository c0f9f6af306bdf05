// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The groups of commands in `--help`.

use clap::Command;
use clap::builder::StyledStr;

/// The commands by purpose, in the order of `--help`.
pub(super) fn groups() -> [(&'static str, Vec<&'static str>); 5] {
    let gates = gates::GATES.iter().map(|gate| gate.name);
    let build =
        "dist build package images maintenance iso test-artifacts sbom book checksums determinism";
    let publish =
        "release sign attest publish verify channels promote rollback yank retention version notes";
    [
        ("Check", ["validate", "ci"].into_iter().chain(gates).chain(["fuzz"]).collect()),
        ("Build", build.split(' ').collect()),
        ("Publish", publish.split(' ').collect()),
        ("Try", vec!["smoke", "report"]),
        ("Set up", vec!["setup", "doctor", "clean", "completions"]),
    ]
}

/// A template of clap with the commands of each group under its heading, which clap lists as one group.
pub(super) fn help_template(command: &Command) -> StyledStr {
    let styles = command.get_styles();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (title, names) in groups() {
        text.push_str(&format!("\n{header}{title}:{header:#}\n"));
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            text.push_str(&format!("  {literal}{name:<15}{literal:#} {about}\n"));
        }
    }
    text.push_str("\n{options}{after-help}");
    StyledStr::from(text)
}
