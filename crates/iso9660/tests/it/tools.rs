// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Outside programs, and what to do when they are missing.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program's path; or `None` with a line that says why the test is skipped. With
/// `REQUIRE_TOOLS` in the environment a missing program fails the test.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|p| p.is_file());
    if found.is_none() {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// Says that a test is skipped, and why.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("REQUIRE_TOOLS").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
}

/// Runs a program in a neutral environment and answers both streams as one text; it must succeed.
pub(crate) fn run(program: &Path, args: &[&str]) -> String {
    let output = output(program, args);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{} {args:?}: {}\n{text}", program.display(), output.status);
    text
}

pub(crate) fn output(program: &Path, args: &[&str]) -> Output {
    Command::new(program)
        .args(args)
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("SOURCE_DATE_EPOCH")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}
