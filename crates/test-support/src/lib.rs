// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Test helpers of several crates: external programs, records of skipped tests, virtual machines
//! ([`vm`]), an HTTP server ([`http`]) and contents of folders ([`folder`]). [`help`] renders help
//! texts; [`identity`] checks the version that a program prints; [`mod@reference`] reads the keys
//! that a page of the reference documents.
//!
//! Only tests and smoke tests depend on this crate, so it panics on errors.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test has no better way to report an error"
)]

pub mod folder;
pub mod help;
pub mod http;
pub mod identity;
pub mod reference;
mod registry;
mod requirement;
pub mod vm;

use std::path::Path;
use std::process::{Command, Output};

pub use self::registry::{Distribution, Registry, controller};
pub use self::requirement::{
    FOLDER, Requirement, bench_needs, file, find, have, machine_gives, skip,
};

/// Returns from a test unless all programs are installed: [`have`] records it as skipped.
#[macro_export]
macro_rules! need {
    ($programs:expr) => {
        if !$crate::have($programs) {
            return;
        }
    };
}

/// Fails with the whole text unless it contains `part`.
#[track_caller]
pub fn assert_contains(text: impl AsRef<str>, part: impl AsRef<str>) {
    let (text, part) = (text.as_ref(), part.as_ref());
    assert!(text.contains(part), "{part:?} is not in: {text}");
}

/// Runs a program in a neutral environment; it must succeed. Returns both output streams combined.
#[track_caller]
pub fn run(program: &Path, args: &[&str]) -> String {
    let output = output(program, args);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{} {args:?}: {}\n{text}", program.display(), output.status);
    text
}

/// Runs a program in a neutral environment.
#[track_caller]
pub fn output(program: &Path, args: &[&str]) -> Output {
    Command::new(program)
        .args(args)
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("SOURCE_DATE_EPOCH")
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()))
}
