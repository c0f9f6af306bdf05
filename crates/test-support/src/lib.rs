// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What the tests of several crates need: outside programs, what to do when they are missing, and
//! virtual machines ([`vm`]).
//!
//! Only tests depend on this crate, so it fails as tests do: with a panic that says why.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test has no better way to say that something is wrong"
)]

pub mod vm;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Says that a test is skipped, and why. With `REQUIRE_TOOLS` in the environment, as in continuous
/// integration, the test fails instead.
#[track_caller]
pub fn skip(reason: &str) {
    assert!(std::env::var_os("REQUIRE_TOOLS").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
}

/// Where the program lies: in `PATH`, among the programs of administrators, or where
/// `cargo xtask setup` puts its own. Without it the test is skipped, see [`skip`].
#[track_caller]
pub fn find(program: &str) -> Option<PathBuf> {
    let found = look(program);
    if found.is_none() {
        skip(&format!("{program} is not installed"));
    }
    found
}

/// Whether all `programs` are there. Without one the test is skipped, see [`skip`].
#[track_caller]
pub fn have(programs: &[&str]) -> bool {
    programs.iter().all(|program| find(program).is_some())
}

/// The first of `paths` that exists, all places of one file of `package`. Without any the test is
/// skipped, see [`skip`].
#[track_caller]
pub fn file(package: &str, paths: &[&str]) -> Option<PathBuf> {
    let found = paths.iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        skip(&format!("{package} is not installed"));
    }
    found
}

/// Runs a program in a neutral environment and gives both streams as one text; it must succeed.
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

/// The same, whatever its exit code.
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

/// What `cargo xtask setup` installs for this workspace alone.
fn installed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools")
}

fn look(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let administration = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain([installed().join("bin")])
        .chain(administration)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
