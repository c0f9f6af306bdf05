// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The version, commit and date that a binary was built from.
//!
//! `cargo xtask dist` passes the three as environment variables of the compiler. A plain
//! `cargo build` has none of them: its binaries say `-dev`, so that nobody takes one for a release.
#![forbid(unsafe_code)]

/// Semantic version without a leading `v`, such as `1.4.0` or `0.1.0-snapshot.0f3c9a2b71de`.
pub const VERSION: &str = match option_env!("PROVISIONER_VERSION") {
    Some(version) => version,
    None => concat!(env!("CARGO_PKG_VERSION"), "-dev"),
};

/// Full Git commit id, or `unknown` outside `cargo xtask dist`.
pub const COMMIT: &str = match option_env!("PROVISIONER_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// What `--version` prints after the program's name: `VERSION (commit COMMIT, DATE)`.
pub const LONG_VERSION: &str = match option_env!("PROVISIONER_LONG_VERSION") {
    Some(long) => long,
    None => concat!(env!("CARGO_PKG_VERSION"), "-dev (commit unknown)"),
};
