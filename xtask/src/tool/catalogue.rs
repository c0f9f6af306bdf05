// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The outside programs that steps use: how to ask for a version, what is wanted, what installs it.

/// One program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    /// The name of its executable.
    pub(crate) name: &'static str,
    /// The arguments that make it print its version.
    pub(crate) version: &'static [&'static str],
    /// The oldest version that does, as numbers.
    pub(crate) oldest: &'static [u64],
    /// What installs it.
    pub(crate) source: Source,
    /// What it is for, for `doctor`.
    pub(crate) purpose: &'static str,
}

/// Where a program comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// A Debian package of the suites that the machine is set up for.
    Debian(&'static str),
    /// A crate with a program in it, at this version.
    Crate(&'static str, &'static str),
    /// A Debian package that only the suite `sid` has; unpacked below `target/tools`, at this
    /// version, with the SHA-256 of the package by Debian's name of the architecture.
    Sid {
        /// The package.
        package: &'static str,
        /// Its version in Debian's form.
        version: &'static str,
        /// Architecture and SHA-256.
        sha256: &'static [(&'static str, &'static str)],
    },
    /// Comes with the Rust tool chain, as the component of this name.
    Rust(&'static str),
}

/// Every program that a step names, sorted by name.
pub(crate) const TOOLS: &[Spec] = &[
    Spec {
        name: "buildah",
        version: &["--version"],
        oldest: &[1, 28],
        source: Source::Debian("buildah"),
        purpose: "builds images",
    },
    Spec {
        name: "cargo",
        version: &["--version"],
        oldest: &[1, 95],
        source: Source::Rust("cargo"),
        purpose: "builds everything",
    },
    Spec {
        name: "cargo-clippy",
        version: &["--version"],
        oldest: &[0, 1, 95],
        source: Source::Rust("clippy"),
        purpose: "finds doubtful code",
    },
    Spec {
        name: "cargo-nextest",
        version: &["nextest", "--version"],
        oldest: &[0, 9, 100],
        source: Source::Crate("cargo-nextest", "0.9.137"),
        purpose: "runs tests in parallel and writes JUnit",
    },
    Spec {
        name: "git",
        version: &["--version"],
        oldest: &[2, 34],
        source: Source::Debian("git"),
        purpose: "tells the commit and the tracked files",
    },
    Spec {
        name: "mmdebstrap",
        version: &["--version"],
        oldest: &[1],
        source: Source::Debian("mmdebstrap"),
        purpose: "makes the base of images from packages",
    },
    Spec {
        name: "podman",
        version: &["--version"],
        oldest: &[4, 3],
        source: Source::Debian("podman"),
        purpose: "builds images",
    },
    Spec {
        name: "rustfmt",
        version: &["--version"],
        oldest: &[1],
        source: Source::Rust("rustfmt"),
        purpose: "formats Rust",
    },
];

/// The program `name`, if a step may name it.
pub(crate) fn find(name: &str) -> Option<&'static Spec> {
    TOOLS.iter().find(|spec| spec.name == name)
}

impl Spec {
    /// The command that installs it, as a person types it.
    pub(crate) fn mend(&self) -> String {
        match self.source {
            Source::Debian(package) => format!("apt-get install {package}"),
            Source::Crate(name, version) => format!("cargo install --locked {name}@{version}"),
            Source::Sid { .. } => "cargo xtask setup".to_owned(),
            Source::Rust(component) => format!("rustup component add {component}"),
        }
    }
}
