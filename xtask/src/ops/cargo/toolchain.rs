// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The compiler at hand, and what it can build fully static binaries for.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use release::Architecture;
use xshell::{Shell, cmd};

/// What `rustc -vV` and `rustc --print sysroot` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Toolchain {
    /// `release`: such as `1.95.0`.
    pub(crate) version: String,
    /// `commit-hash`: the full Git commit of the compiler's own source.
    pub(crate) commit: String,
    /// `host`: a target triple.
    pub(crate) host: String,
    /// Where the compiler and its libraries lie, absolute.
    pub(crate) sysroot: PathBuf,
}

/// A target triple that gives static binaries, and the C library that goes into them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// What it is for.
    pub(crate) architecture: Architecture,
    /// The C library.
    pub(crate) libc: Libc,
}

/// The C library that a static binary contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Libc {
    /// Comes with the target, the same on every machine. Resolves names without NSS.
    Musl,
    /// The one of the build machine.
    Glibc,
}

impl Toolchain {
    /// Asks the compiler that builds in `root`.
    ///
    /// # Errors
    /// When there is none, or it does not tell.
    pub(crate) fn detect(root: &Path) -> Result<Self> {
        let shell = Shell::new().context("cannot tell the current folder")?;
        shell.change_dir(root);
        let ask = |argument: &[&str]| {
            cmd!(shell, "rustc {argument...}").quiet().read().context("cannot ask rustc")
        };
        Self::parse(&ask(&["-vV"])?, &ask(&["--print", "sysroot"])?)
    }

    /// Reads the output of `rustc -vV` and of `rustc --print sysroot`.
    pub(crate) fn parse(verbose: &str, sysroot: &str) -> Result<Self> {
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

    /// The target that gives static binaries for `architecture` on this machine.
    ///
    /// An installed musl target comes first, because its C library is the same everywhere; else the
    /// host's own glibc.
    pub(crate) fn target(&self, architecture: Architecture) -> Result<Target> {
        let musl = Target { architecture, libc: Libc::Musl };
        let glibc = Target { architecture, libc: Libc::Glibc };
        if self.installed(&musl.triple()) {
            return Ok(musl);
        }
        if self.host == glibc.triple() && self.installed(&glibc.triple()) {
            return Ok(glibc);
        }
        bail!(
            "this machine cannot build for {}: `rustup target add {}` installs what is missing",
            architecture.rust(),
            musl.triple()
        )
    }

    /// Where the source of the standard library lies, where it is installed.
    pub(crate) fn library_source(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust")
    }

    fn installed(&self, triple: &str) -> bool {
        self.sysroot.join(Path::new("lib/rustlib")).join(triple).join("lib").is_dir()
    }
}

impl Target {
    /// The name that Rust has for it.
    pub(crate) fn triple(self) -> String {
        let libc = match self.libc {
            Libc::Musl => "musl",
            Libc::Glibc => "gnu",
        };
        format!("{}-unknown-linux-{libc}", self.architecture.rust())
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
    fn musl_is_taken_where_it_is_and_the_hosts_glibc_where_not() {
        let (_gnu, only_gnu) = with_targets(&["x86_64-unknown-linux-gnu"]);
        assert_eq!(
            only_gnu.target(Architecture::Amd64).unwrap().triple(),
            "x86_64-unknown-linux-gnu"
        );
        let (_both, both) =
            with_targets(&["x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl"]);
        assert_eq!(both.target(Architecture::Amd64).unwrap().libc, Libc::Musl);
    }

    #[test]
    fn a_target_that_is_not_there_is_refused_with_its_mend() {
        // Glibc of another architecture would need that architecture's libraries and linker.
        let (_folder, toolchain) =
            with_targets(&["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]);
        let error = toolchain.target(Architecture::Arm64).unwrap_err().to_string();
        assert!(error.contains("rustup target add aarch64-unknown-linux-musl"), "{error}");
    }
}
