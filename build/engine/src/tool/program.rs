// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Model of an external program: how to query its version, and how to install it.

/// The suite of [`Source::Stable`]. It only changes with point releases, and its index does not
/// expire.
pub const STABLE: &str = "trixie";

/// A program.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Name of the executable.
    pub name: &'static str,
    /// Arguments that print the version; empty where any version is accepted.
    pub version: &'static [&'static str],
    /// Oldest accepted version.
    pub oldest: &'static [u64],
    /// How to install it.
    pub source: Source,
    /// Its purpose, for `doctor`.
    pub purpose: &'static str,
}

/// Where a program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl Spec {
    /// A program that prints its version with `--version`; any version is accepted.
    pub(super) const fn new(name: &'static str, source: Source, purpose: &'static str) -> Self {
        Self { name, version: &["--version"], oldest: &[], source, purpose }
    }

    /// Accepts this version and later ones.
    pub(super) const fn since(self, oldest: &'static [u64]) -> Self {
        Self { oldest, ..self }
    }

    /// The arguments that print the version; empty where any version is accepted.
    pub(super) const fn version(self, version: &'static [&'static str]) -> Self {
        Self { version, ..self }
    }

    /// The oldest accepted version as text.
    pub fn oldest_version(&self) -> String {
        if self.oldest.is_empty() {
            return "any".to_owned();
        }
        super::version::text(self.oldest)
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
