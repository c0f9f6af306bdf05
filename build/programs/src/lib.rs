// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Programs that several steps run: the notary, the controller as a registry, mdBook; targets of a
//! release.
#![forbid(unsafe_code)]

use std::env;
use std::path::PathBuf;

use engine::Run;
use foundation::command::Command;

pub mod mdbook;
pub mod notary;
pub mod registry;
pub mod target;

/// Packages of the programs that steps run on this host. cargo unifies their features, so that a
/// dependency of both is compiled once.
const PACKAGES: [&str; 2] = ["notary", "packager"];

/// Root of the workspace whose programs steps run [default: this one], for a rehearsal in a scratch repository
/// without these programs.
pub const ROOT: &str = "XTASK_PROGRAMS";

/// Builds `program`, one of the programs that steps run, for this host. The dev profile optimises only
/// what dominates their run time: cryptography and compression (`profile.dev` in `Cargo.toml`).
pub fn build(run: &Run, program: &str) -> Command {
    Command::new("cargo", root(run))
        .args(["build", "--quiet", "--locked"])
        .args(PACKAGES.iter().flat_map(|package| ["--package", package]))
        .args(["--bin", program, "--target-dir"])
        .arg(root(run).join("target"))
}

/// Path of `program` after [`build`].
pub fn path(run: &Run, program: &str) -> PathBuf {
    root(run).join("target/debug").join(program)
}

fn root(run: &Run) -> PathBuf {
    let named = env::var_os(ROOT).filter(|path| !path.is_empty());
    named.map_or_else(|| run.workspace.root().to_owned(), PathBuf::from)
}
