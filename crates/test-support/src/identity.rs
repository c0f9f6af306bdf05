// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks the identity stamped into a program.

use std::fs;
use std::path::Path;
use std::process::Command;

use build_info::stamp::stamp;

/// Checks that a stamped copy of `program` prints the identity with `--version`.
///
/// # Panics
/// When the output differs, or the program cannot be stamped, copied or run.
pub fn check_stamped_identity(program: &Path) {
    let name = program.file_name().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(name);
    // Copied, to keep the file mode.
    fs::copy(program, &copy).unwrap();
    let mut bytes = fs::read(&copy).unwrap();
    stamp(&mut bytes, r#"{"commit":"0f3c","date":"2026-01-02T03:04:05Z","version":"9.8.7"}"#)
        .unwrap();
    fs::write(&copy, bytes).unwrap();
    // An instrumented program would merge its coverage counters into those of the original, with a
    // warning.
    let output =
        Command::new(&copy).arg("--version").env("LLVM_PROFILE_FILE", "/dev/null").output();
    let printed = String::from_utf8(output.unwrap().stdout).unwrap();
    let expected = format!("{} 9.8.7 (commit 0f3c, 2026-01-02T03:04:05Z)\n", name.display());
    assert_eq!(printed, expected);
}
