// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Catalogue of the external programs that steps and tests use: how to query their versions, and how
//! to install them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The catalogue, in the source.
pub const TOOLS: &str = "build/engine/data/tools.toml";

const TEXT: &str = include_str!("../../data/tools.toml");

/// The programs of steps, and the reference tools.
static CATALOGUE: LazyLock<[Vec<Spec>; 2]> = LazyLock::new(|| parse().unwrap_or_default());

fn parse() -> Result<[Vec<Spec>; 2], toml::de::Error> {
    let mut lists: BTreeMap<&str, Vec<Spec>> = toml::from_str(TEXT)?;
    let [steps, mut references] =
        ["steps", "references"].map(|list| lists.remove(list).unwrap_or_default());
    for spec in &mut references {
        spec.version.clear();
    }
    Ok([steps, references])
}

/// Finds a program by its name.
pub fn spec(name: &str) -> Option<&'static Spec> {
    programs().find(|spec| spec.name == name)
}

/// All programs: those of steps, then the reference tools.
pub fn programs() -> impl Iterator<Item = &'static Spec> {
    CATALOGUE.iter().flatten()
}

/// Programs and files that tests compare our results with, and no step uses.
pub fn reference_tools() -> impl Iterator<Item = &'static Spec> {
    CATALOGUE[1].iter()
}

/// The suite of [`Source::Stable`]. It only changes with point releases, and its index does not
/// expire.
pub const STABLE: &str = "trixie";

/// A program.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Name of the executable, or path of a file.
    pub name: &'static str,
    /// Arguments that print the version; empty where any version is accepted.
    #[serde(default = "default_version")]
    pub version: Vec<&'static str>,
    /// Oldest accepted version.
    #[serde(default)]
    pub oldest: Vec<u64>,
    /// How to install it.
    pub source: Source,
    /// Its purpose, for `doctor`.
    pub purpose: &'static str,
}

/// Where a program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Debian packages from the host's suite: the package, and packages that it needs in practice.
    Debian(&'static str),
    /// A Debian package from the host's suite, unpacked below `target/tools`: installing it would
    /// change the system.
    Unpacked {
        /// Package name.
        package: &'static str,
        /// File in the package, or the start of its path where a version follows.
        file: &'static str,
    },
    /// A Debian package from the suite [`STABLE`], whatever suite the host runs: its own may lack
    /// the package or have too old a version. Unpacked below `target/tools`; apt verifies it by the
    /// signed index of that suite.
    Stable {
        /// Package name.
        package: &'static str,
        /// Program in the package.
        file: &'static str,
    },
    /// A Debian package in a version that no stable suite has; pinned by SHA-256, see
    /// [`super::pins`]. Unpacked below `target/tools`.
    Pinned {
        /// Package name.
        package: &'static str,
        /// Program in the package.
        file: &'static str,
    },
    /// Manual installation, with instructions.
    ByHand(&'static str),
    /// Part of the Rust toolchain, as the component of this name.
    Rust(&'static str),
    /// A program of LLVM in the major version of the Rust compiler's LLVM: from rustup's component
    /// `llvm-tools`, else the Debian package of that version.
    Llvm,
    /// A package of the Python Package Index, pinned in `xtask/data/python/tools.txt`.
    Python,
    /// A package of npm, pinned in `xtask/data/node/package-lock.json`, run by the script of this
    /// name there.
    Node(&'static str),
}

fn default_version() -> Vec<&'static str> {
    vec!["--version"]
}

impl Spec {
    /// The oldest accepted version as text.
    pub fn oldest_version(&self) -> String {
        if self.oldest.is_empty() {
            return "any".to_owned();
        }
        super::version::text(&self.oldest)
    }

    /// Name for output: for a file that is not a program, its package.
    pub fn label(&self) -> &'static str {
        match self.source {
            Source::Debian(package) if self.name.contains('/') => package,
            _ => self.name,
        }
    }

    /// The command that installs it.
    pub fn fix(&self) -> String {
        match self.source {
            Source::Debian(package) => format!("apt-get install {package}"),
            Source::Stable { .. }
            | Source::Pinned { .. }
            | Source::Unpacked { .. }
            | Source::Python
            | Source::Node(_) => "cargo xtask setup".to_owned(),
            Source::ByHand(fix) => fix.to_owned(),
            Source::Llvm => "rustup component add llvm-tools".to_owned(),
            Source::Rust(component) => format!("rustup component add {component}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_read_and_each_list_is_sorted() {
        for list in parse().unwrap() {
            assert!(list.len() > 50 && list.is_sorted_by(|a, b| a.name < b.name), "{list:?}");
        }
    }
}
