// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Runs and reads `cargo metadata`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cargo_metadata::{Metadata, MetadataCommand};
use foundation::command::Command;

/// The command for all crates of the workspace at `root` and their dependencies on Linux.
pub fn command(root: &Path) -> Command {
    Command::new("cargo", root).args([
        "metadata",
        "--format-version=1",
        "--locked",
        "--filter-platform=x86_64-unknown-linux-gnu",
        "--filter-platform=aarch64-unknown-linux-gnu",
    ])
}

/// Source files that decide its result, besides the lock.
pub fn manifests(paths: &[String]) -> impl Iterator<Item = PathBuf> {
    let decides = |path: &&String| {
        let path = Path::new(path);
        path.ends_with("Cargo.toml") || path.starts_with(".cargo")
    };
    paths.iter().filter(decides).map(PathBuf::from)
}

/// Parses the output of [`command`].
pub fn read(output: Vec<u8>) -> Result<Metadata> {
    let text = String::from_utf8(output).context("cargo metadata printed invalid UTF-8")?;
    MetadataCommand::parse(text).context("cargo metadata printed malformed output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_and_the_configuration_of_cargo_decide() {
        let paths = ["Cargo.lock", "Cargo.toml", ".cargo/config.toml", "a/Cargo.toml", "a/x.toml"];
        let found: Vec<_> = manifests(&paths.map(str::to_owned)).collect();
        let expected = ["Cargo.toml", ".cargo/config.toml", "a/Cargo.toml"].map(PathBuf::from);
        assert_eq!(found, expected);
    }
}
