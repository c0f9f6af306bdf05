// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What is known of an outside program: how to ask for its version, and what installs it.

/// The suite that [`Source::Stable`] takes packages from. It changes with point releases alone, and its index
/// never expires.
pub const STABLE: &str = "trixie";

/// One program.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The name of its executable.
    pub name: &'static str,
    /// The arguments that make it print its version; none where any version does.
    pub version: &'static [&'static str],
    /// The oldest version that does, as numbers.
    pub oldest: &'static [u64],
    /// What installs it.
    pub source: Source,
    /// What it is for, for `doctor`.
    pub purpose: &'static str,
}

/// Where a program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A Debian package of the suites that the machine is set up for, with those that it is of no use
    /// without after it.
    Debian(&'static str),
    /// A Debian package of the same suites that is unpacked below `target/tools`: installing it
    /// would change the machine.
    Unpacked {
        /// The package.
        package: &'static str,
        /// The file in it, or the start of its path where a version follows.
        file: &'static str,
    },
    /// A Debian package of the suite [`STABLE`], whatever suite the machine runs: its own may lack the
    /// package or have a version that is too old. Unpacked below `target/tools`; apt checks it by the signed
    /// index of that suite.
    Stable {
        /// The package.
        package: &'static str,
        /// The program in it.
        file: &'static str,
    },
    /// A Debian package of a version that no stable suite has; pinned by SHA-256, see
    /// [`super::pins`]. Unpacked below `target/tools`.
    Pinned {
        /// The package.
        package: &'static str,
        /// The program in it.
        file: &'static str,
    },
    /// No package manager that `setup` knows has it: what a person does.
    ByHand(&'static str),
    /// Comes with the Rust tool chain, as the component of this name.
    Rust(&'static str),
    /// A program of LLVM, of the major version that the Rust compiler is built with: from rustup's
    /// component `llvm-tools`, else the Debian package of that version.
    Llvm,
    /// A package of the Python package index, pinned in `xtask/data/python/tools.txt`.
    Python,
    /// A package of the npm registry, pinned in `xtask/data/node/package-lock.json`, which the
    /// script of this name there runs.
    Node(&'static str),
}

impl Spec {
    /// The oldest version that does.
    pub fn oldest(&self) -> String {
        if self.oldest.is_empty() {
            return "any".to_owned();
        }
        super::version::text(self.oldest)
    }

    /// What people call it: for a file without a program, the package that has it.
    pub fn label(&self) -> &'static str {
        match self.source {
            Source::Debian(package) if self.name.contains('/') => package,
            _ => self.name,
        }
    }

    /// The command that installs it, as a person types it.
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
