// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The identity that a build stamps into a program.

use std::fs;
use std::path::Path;
use std::process::Command;

use build_info::stamp::stamp;

/// Checks that `program` prints with `--version` what is stamped into a copy of it.
///
/// # Panics
/// When it prints something else, or cannot be stamped, copied or run.
pub fn reports_what_is_stamped(program: &Path) {
    let name = program.file_name().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(name);
    // Copied and not written, so that it keeps its mode.
    fs::copy(program, &copy).unwrap();
    let mut bytes = fs::read(&copy).unwrap();
    stamp(&mut bytes, r#"{"commit":"0f3c","date":"2026-01-02T03:04:05Z","version":"9.8.7"}"#)
        .unwrap();
    fs::write(&copy, bytes).unwrap();
    // A program with counters would merge those of the copy into a file of the original, and warn.
    let output =
        Command::new(&copy).arg("--version").env("LLVM_PROFILE_FILE", "/dev/null").output();
    let printed = String::from_utf8(output.unwrap().stdout).unwrap();
    let expected = format!("{} 9.8.7 (commit 0f3c, 2026-01-02T03:04:05Z)\n", name.display());
    assert_eq!(printed, expected);
}
