// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The compiler at hand, and how it builds fully static binaries for a processor.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result};
use foundation::environment;
use release::Architecture;
use xshell::{Shell, cmd};

/// What `rustc -vV` and `rustc --print sysroot` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Toolchain {
    /// `release`: such as `1.95.0`.
    pub version: String,
    /// `commit-hash`: the full Git commit of the compiler's own source.
    pub commit: String,
    /// `host`: a target triple.
    pub host: String,
    /// Where the compiler and its libraries lie, absolute.
    pub sysroot: PathBuf,
}

/// How static binaries for a processor are built here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// What they run on.
    pub architecture: Architecture,
    /// The C library in them.
    pub libc: Libc,
    /// The standard library in them.
    pub standard: Standard,
    /// Whether this machine has another processor.
    pub cross: bool,
}

/// The C library that a static binary contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Libc {
    /// Comes with the target, the same on every machine. Resolves names without NSS.
    Musl,
    /// The one of the build machine, or of its cross compiler.
    Glibc,
}

/// Where Rust's standard library comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standard {
    /// It came with the target.
    Installed,
    /// It is built from its source (`-Z build-std` of cargo).
    Source,
}

impl Toolchain {
    /// Asks the compiler that builds in `root`, once in this process: plans and steps need the answer more
    /// than a hundred times, and two starts of rustup's proxy take as long as the rest of a plan.
    ///
    /// # Errors
    /// When there is none, or its answer lacks a field.
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
        let shell = Shell::new().context("cannot tell the current folder")?;
        shell.change_dir(root);
        let ask = |argument: &[&str]| {
            let command =
                cmd!(shell, "rustc {argument...}").env_clear().envs(environment::public());
            command.quiet().read().context("cannot ask rustc")
        };
        Self::parse(&ask(&["-vV"])?, &ask(&["--print", "sysroot"])?)
    }

    /// Reads the output of `rustc -vV` and of `rustc --print sysroot`.
    pub fn parse(verbose: &str, sysroot: &str) -> Result<Self> {
        let field = |name: &str| {
            let mut values = verbose
                .lines()
                .filter_map(|line| line.split_once(": ").filter(|(key, _)| *key == name));
            let (_, value) =
                values.next().with_context(|| format!("`rustc -vV` does not tell its {name}"))?;
            Ok::<_, anyhow::Error>(value.to_owned())
        };
        Ok(Self {
            version: field("release")?,
            commit: field("commit-hash")?,
            host: field("host")?,
            sysroot: PathBuf::from(sysroot.trim_end()),
        })
    }

    /// How static binaries for `architecture` are built on this machine.
    ///
    /// An installed musl target comes first, because its C library is the same everywhere; then an
    /// installed one with glibc; else the standard library is built from source.
    pub fn target(&self, architecture: Architecture) -> Target {
        let cross = !self.host.starts_with(&format!("{}-", architecture.rust()));
        let target = |libc, standard| Target { architecture, libc, standard, cross };
        let musl = target(Libc::Musl, Standard::Installed);
        let glibc = target(Libc::Glibc, Standard::Installed);
        if self.installed(&musl.triple()) {
            musl
        } else if self.installed(&glibc.triple()) {
            glibc
        } else {
            target(Libc::Glibc, Standard::Source)
        }
    }

    /// A program that came with the compiler, such as `rust-objcopy`.
    pub fn program(&self, name: &str) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(&self.host).join("bin").join(name)
    }

    /// Where the compiler's own programs find its libraries.
    pub fn libraries(&self) -> PathBuf {
        self.sysroot.join("lib")
    }

    /// Where the source of the standard library lies, where it is installed.
    pub fn library_source(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust")
    }

    fn installed(&self, triple: &str) -> bool {
        self.sysroot.join(Path::new("lib/rustlib")).join(triple).join("lib").is_dir()
    }
}

impl Target {
    /// The name that Rust has for it.
    pub fn triple(self) -> String {
        let libc = match self.libc {
            Libc::Musl => "musl",
            Libc::Glibc => "gnu",
        };
        format!("{}-unknown-linux-{libc}", self.architecture.rust())
    }

    /// The C compiler for it, which also links.
    pub fn c_compiler(self) -> &'static str {
        match (self.cross, self.architecture) {
            (false, _) => "cc",
            (true, Architecture::Amd64) => "x86_64-linux-gnu-gcc",
            (true, Architecture::Arm64) => "aarch64-linux-gnu-gcc",
        }
    }

    /// The program that runs its executables here, where the processor can't.
    pub fn emulator(self) -> Option<&'static str> {
        match (self.cross, self.architecture) {
            (false, _) => None,
            (true, Architecture::Amd64) => Some("qemu-x86_64-static"),
            (true, Architecture::Arm64) => Some("qemu-aarch64-static"),
        }
    }

    /// Whether rustc would link it to a fixed address, for it knows no static position-independent
    /// executables of this target.
    pub fn wants_pie(self) -> bool {
        (self.architecture, self.libc) == (Architecture::Arm64, Libc::Glibc)
    }

    /// As people read it.
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
    fn what_rustc_says_is_read() {
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
