// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The installed toolchain, and how it builds static binaries for an architecture.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use foundation::environment;
use release::Architecture;
use xshell::{Shell, cmd};

/// Output of `rustc -vV` and `rustc --print sysroot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// `release`: such as `1.95.0`.
    pub version: String,
    /// `commit-hash`: commit of the compiler's source.
    pub commit: String,
    /// `host`: a target triple.
    pub host: String,
    /// Absolute path of the toolchain.
    pub sysroot: PathBuf,
}

/// How static binaries for an architecture are built on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Architecture.
    pub architecture: Architecture,
    /// Linked C library.
    pub libc: Libc,
    /// Linked standard library.
    pub standard: Standard,
    /// Whether it is a cross build.
    pub cross: bool,
}

/// C library of a static binary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Libc {
    /// Part of the target, the same on every host. Resolves names without NSS.
    Musl,
    /// From the build host or its cross compiler.
    Glibc,
}

/// Origin of Rust's standard library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standard {
    /// Part of the installed target.
    Installed,
    /// Built from source (`-Z build-std` of cargo).
    Source,
}

impl Toolchain {
    /// Queries the compiler for `root`, cached in this process: it is needed more than a hundred
    /// times, and two starts of rustup's proxy take as long as the rest of a plan.
    ///
    /// # Errors
    /// When there is none, or its output lacks a field.
    pub fn detect(root: &Path) -> Result<Self> {
        static KNOWN: Mutex<BTreeMap<PathBuf, Toolchain>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(toolchain) = known.get(root) {
            return Ok(toolchain.clone());
        }
        let toolchain = Self::ask(root)?;
        known.insert(root.to_owned(), toolchain.clone());
        Ok(toolchain)
    }

    fn ask(root: &Path) -> Result<Self> {
        let shell = Shell::new().context("cannot determine the current folder")?;
        shell.change_dir(root);
        let ask = |argument: &[&str]| {
            let command =
                cmd!(shell, "rustc {argument...}").env_clear().envs(environment::public());
            command.quiet().read().context("cannot run rustc")
        };
        Self::parse(&ask(&["-vV"])?, &ask(&["--print", "sysroot"])?)
    }

    /// Parses the output of `rustc -vV` and `rustc --print sysroot`.
    pub fn parse(verbose: &str, sysroot: &str) -> Result<Self> {
        let field = |name: &str| {
            let mut values = verbose
                .lines()
                .filter_map(|line| line.split_once(": ").filter(|(key, _)| *key == name));
            let (_, value) = values.next().with_context(|| format!("`rustc -vV` lacks {name}"))?;
            Ok::<_, anyhow::Error>(value.to_owned())
        };
        Ok(Self {
            version: field("release")?,
            commit: field("commit-hash")?,
            host: field("host")?,
            sysroot: PathBuf::from(sysroot.trim_end()),
        })
    }

    /// How static binaries for `architecture` are built on this host.
    ///
    /// Prefers an installed musl target, whose C library is the same everywhere; then an installed
    /// glibc target; else builds the standard library from source.
    pub fn target(&self, architecture: Architecture) -> Target {
        let cross = !self.host.starts_with(&format!("{}-", architecture.rust()));
        let target = |libc, standard| Target { architecture, libc, standard, cross };
        let musl = target(Libc::Musl, Standard::Installed);
        let glibc = target(Libc::Glibc, Standard::Installed);
        if self.is_installed(&musl.triple()) {
            musl
        } else if self.is_installed(&glibc.triple()) {
            glibc
        } else {
            target(Libc::Glibc, Standard::Source)
        }
    }

    /// A program of the toolchain, such as `rust-objcopy`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(&self.host).join("bin").join(name)
    }

    /// Library folder of the toolchain's programs.
    pub fn libraries(&self) -> PathBuf {
        self.sysroot.join("lib")
    }

    /// Path of the standard library's source, if installed.
    pub fn library_source(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust")
    }

    fn is_installed(&self, triple: &str) -> bool {
        self.sysroot.join(Path::new("lib/rustlib")).join(triple).join("lib").is_dir()
    }
}

impl Target {
    /// Target triple.
    pub fn triple(self) -> String {
        let libc = match self.libc {
            Libc::Musl => "musl",
            Libc::Glibc => "gnu",
        };
        format!("{}-unknown-linux-{libc}", self.architecture.rust())
    }

    /// C compiler and linker.
    pub fn c_compiler(self) -> &'static str {
        match (self.cross, self.architecture) {
            (false, _) => "cc",
            (true, Architecture::Amd64) => "x86_64-linux-gnu-gcc",
            (true, Architecture::Arm64) => "aarch64-linux-gnu-gcc",
        }
    }

    /// Emulator for its executables on this host; `None` if they run natively.
    pub fn emulator(self) -> Option<&'static str> {
        match (self.cross, self.architecture) {
            (false, _) => None,
            (true, Architecture::Amd64) => Some("qemu-x86_64-static"),
            (true, Architecture::Arm64) => Some("qemu-aarch64-static"),
        }
    }

    /// Whether rustc would link to a fixed address, because it does not support static
    /// position-independent executables for this target.
    pub fn wants_pie(self) -> bool {
        (self.architecture, self.libc) == (Architecture::Arm64, Libc::Glibc)
    }

    /// Description for output.
    pub fn describe(self) -> String {
        let standard = match self.standard {
            Standard::Installed => "the installed standard library",
            Standard::Source => "the standard library built from source",
        };
        format!("{} with {standard}", self.triple())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERBOSE: &str = "rustc 1.95.0 (59807616e 2026-04-14)\nbinary: rustc\n\
        commit-hash: 59807616e1fa2540724bfbac14d7976d7e4a3860\ncommit-date: 2026-04-14\n\
        host: x86_64-unknown-linux-gnu\nrelease: 1.95.0\nLLVM version: 22.1.2\n";

    fn with_targets(targets: &[&str]) -> (tempfile::TempDir, Toolchain) {
        let folder = tempfile::tempdir().unwrap();
        for target in targets {
            let lib = folder.path().join("lib/rustlib").join(target).join("lib");
            std::fs::create_dir_all(lib).unwrap();
        }
        let sysroot = format!("{}\n", folder.path().display());
        let toolchain = Toolchain::parse(VERBOSE, &sysroot).unwrap();
        (folder, toolchain)
    }

    #[test]
    fn output_of_rustc_is_parsed() {
        let (folder, toolchain) = with_targets(&[]);
        assert_eq!(toolchain.version, "1.95.0");
        assert_eq!(toolchain.commit, "59807616e1fa2540724bfbac14d7976d7e4a3860");
        assert_eq!(toolchain.host, "x86_64-unknown-linux-gnu");
        assert_eq!(toolchain.sysroot, folder.path());
        let error = Toolchain::parse("rustc 1.95.0\n", "/").unwrap_err();
        assert!(error.to_string().contains("release"), "{error}");
    }

    #[test]
    fn musl_is_taken_where_it_is_then_an_installed_glibc_then_the_source() {
        let (_gnu, only_gnu) = with_targets(&["x86_64-unknown-linux-gnu"]);
        let host = only_gnu.target(Architecture::Amd64);
        assert_eq!(host.triple(), "x86_64-unknown-linux-gnu");
        assert_eq!((host.standard, host.cross), (Standard::Installed, false));
        assert_eq!((host.c_compiler(), host.wants_pie()), ("cc", false));
        let other = only_gnu.target(Architecture::Arm64);
        assert_eq!(other.triple(), "aarch64-unknown-linux-gnu");
        assert_eq!((other.standard, other.cross), (Standard::Source, true));
        assert_eq!((other.c_compiler(), other.wants_pie()), ("aarch64-linux-gnu-gcc", true));
        let (_both, both) = with_targets(&[
            "x86_64-unknown-linux-gnu",
            "x86_64-unknown-linux-musl",
            "aarch64-unknown-linux-musl",
        ]);
        assert_eq!(both.target(Architecture::Amd64).libc, Libc::Musl);
        let other = both.target(Architecture::Arm64);
        assert_eq!((other.libc, other.standard), (Libc::Musl, Standard::Installed));
        assert!(!other.wants_pie());
    }
}
