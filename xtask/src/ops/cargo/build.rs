// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The command that builds a binary for delivery: static, and the same bytes wherever it runs.
//!
//! Nothing of the build machine may reach the binary. Folders are mapped to fixed names
//! (`--remap-path-prefix` of rustc, `-ffile-prefix-map` of C compilers), flags and profiles of the
//! surroundings are kept out, and the only time is the epoch.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::ops::cargo::toolchain::{Target, Toolchain};
use crate::ops::command::Command;
use crate::ops::epoch::rfc3339;

/// What a build is told about itself (crate `build-info`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity<'a> {
    /// Semantic version without a leading `v`.
    pub(crate) version: &'a str,
    /// Full Git commit id.
    pub(crate) commit: &'a str,
    /// `SOURCE_DATE_EPOCH` in seconds.
    pub(crate) epoch: u64,
}

/// The folders that a build takes place in, all absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folders {
    /// The root of the workspace.
    pub(crate) root: PathBuf,
    /// Cargo's target folder for this build.
    pub(crate) target: PathBuf,
    /// `CARGO_HOME`.
    pub(crate) cargo_home: PathBuf,
}

/// Variables that could change what the compiler does, and that a child would inherit.
const KEPT_OUT: &[&str] = &["CARGO_TARGET_DIR", "RUSTC_WRAPPER", "RUSTFLAGS"];

impl Identity<'_> {
    /// What `--version` prints after the program's name.
    pub(crate) fn long_version(&self) -> Result<String> {
        Ok(format!("{} (commit {}, {})", self.version, self.commit, rfc3339(self.epoch)?))
    }
}

impl Folders {
    /// The folders of a build in the workspace `root`.
    ///
    /// # Errors
    /// When neither `CARGO_HOME` nor `HOME` is set.
    pub(crate) fn new(root: &Path, target: PathBuf) -> Result<Self> {
        Ok(Self { root: root.to_owned(), target, cargo_home: cargo_home()? })
    }

    /// Folders of the build machine that no binary may name.
    pub(crate) fn private(&self, toolchain: &Toolchain) -> Vec<String> {
        let home = home().ok();
        [&self.root, &self.target, &self.cargo_home, &toolchain.sysroot]
            .into_iter()
            .chain(home.as_ref())
            .map(|folder| folder.to_string_lossy().into_owned())
            .collect()
    }

    /// Folder to fixed name, in the order in which rustc wants them: the last that matches wins.
    fn mapping(&self, toolchain: &Toolchain) -> Vec<(PathBuf, String)> {
        let mut mapping = vec![
            (toolchain.sysroot.clone(), "/build/rust".to_owned()),
            (toolchain.library_source(), format!("/rustc/{}", toolchain.commit)),
            (self.cargo_home.clone(), "/build/cargo".to_owned()),
        ];
        // Registries lie in folders whose names hold a digest of their address: a mirror has another.
        mapping.extend(
            registries(&self.cargo_home)
                .into_iter()
                .map(|registry| (registry, "/build/registry".to_owned())),
        );
        mapping.push((self.root.clone(), "/build/source".to_owned()));
        mapping.push((self.target.clone(), "/build/target".to_owned()));
        mapping
    }
}

/// The command that builds the executable `binary` of `package`.
pub(crate) fn command(
    folders: &Folders,
    toolchain: &Toolchain,
    target: Target,
    identity: &Identity<'_>,
    package: &str,
    binary: &str,
) -> Result<Command> {
    let mapping = folders.mapping(toolchain);
    let mut command = Command::new("cargo", &folders.root)
        .args(["build", "--locked", "--release", "--target", &target.triple()])
        .args(["--package", package, "--bin", binary])
        .arg("--target-dir")
        .arg(&folders.target)
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags(&mapping))
        .env("CFLAGS", c_flags(&mapping))
        .env("CARGO_INCREMENTAL", "0")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("SOURCE_DATE_EPOCH", identity.epoch.to_string())
        .env("PROVISIONER_VERSION", identity.version)
        .env("PROVISIONER_COMMIT", identity.commit)
        .env("PROVISIONER_DATE", rfc3339(identity.epoch)?)
        .env("PROVISIONER_LONG_VERSION", identity.long_version()?);
    for name in KEPT_OUT {
        command = command.without_env(*name);
    }
    Ok(command)
}

/// Where [`command`] leaves the executable `binary`.
pub(crate) fn output(target_folder: &Path, target: Target, binary: &str) -> PathBuf {
    target_folder.join(target.triple()).join("release").join(binary)
}

/// `CARGO_ENCODED_RUSTFLAGS`: flags with the unit separator between them, so that a path may hold
/// a space. It takes the place of every other source of flags, a user's configuration included.
fn rust_flags(mapping: &[(PathBuf, String)]) -> OsString {
    let mut flags = vec![OsString::from("-Ctarget-feature=+crt-static")];
    for (folder, name) in mapping {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(folder);
        flag.push("=");
        flag.push(name);
        flags.push(flag);
    }
    flags.join(std::ffi::OsStr::new("\u{1f}"))
}

/// `CFLAGS` for the C code in dependencies. Paths with a space are left out: crate `cc` splits at
/// spaces, and the check of the finished binary still finds a folder that got through.
fn c_flags(mapping: &[(PathBuf, String)]) -> OsString {
    let flags: Vec<OsString> = mapping
        .iter()
        .filter(|(folder, _)| !folder.to_string_lossy().contains(' '))
        .map(|(folder, name)| {
            let mut flag = OsString::from("-ffile-prefix-map=");
            flag.push(folder);
            flag.push("=");
            flag.push(name);
            flag
        })
        .collect();
    flags.join(std::ffi::OsStr::new(" "))
}

fn registries(cargo_home: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(cargo_home.join("registry/src")) else {
        // A machine that never fetched a crate, or one that vendors them.
        return Vec::new();
    };
    let mut folders: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    folders
}

/// Where cargo keeps what it fetched.
///
/// # Errors
/// When neither `CARGO_HOME` nor `HOME` is set.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    match std::env::var_os("CARGO_HOME") {
        Some(folder) => Ok(folder.into()),
        None => Ok(home()?.join(".cargo")),
    }
}

fn home() -> Result<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set")
}

#[cfg(test)]
mod tests {
    use release::Architecture;

    use super::*;
    use crate::ops::cargo::toolchain::Libc;

    fn toolchain() -> Toolchain {
        Toolchain {
            version: "1.95.0".to_owned(),
            commit: "5980".to_owned(),
            host: "x86_64-unknown-linux-gnu".to_owned(),
            sysroot: "/opt/rust".into(),
        }
    }

    fn folders(cargo_home: &Path) -> Folders {
        Folders {
            root: "/home/a b/src".into(),
            target: "/home/a b/src/target/xtask/build".into(),
            cargo_home: cargo_home.to_owned(),
        }
    }

    #[test]
    fn the_version_that_people_see_holds_commit_and_date() {
        let identity = Identity { version: "1.2.3", commit: "0f3c", epoch: 1_760_000_000 };
        assert_eq!(identity.long_version().unwrap(), "1.2.3 (commit 0f3c, 2025-10-09T08:53:20Z)");
    }

    #[test]
    fn folders_are_mapped_and_a_mirror_looks_like_any_registry() {
        let home = tempfile::tempdir().unwrap();
        for registry in ["mirror-2", "index-1"] {
            std::fs::create_dir_all(home.path().join("registry/src").join(registry)).unwrap();
        }
        let target = Target { architecture: Architecture::Amd64, libc: Libc::Musl };
        let identity = Identity { version: "1.2.3", commit: "0f3c", epoch: 0 };
        let command =
            command(&folders(home.path()), &toolchain(), target, &identity, "p", "b").unwrap();
        let variable = |name: &str| {
            let found = command.variables().iter().find(|(key, _)| key == name);
            found.unwrap().1.to_str().unwrap().replace(home.path().to_str().unwrap(), "CARGO")
        };
        let flags = variable("CARGO_ENCODED_RUSTFLAGS");
        let flags: Vec<_> = flags.split('\u{1f}').collect();
        assert_eq!(
            flags,
            [
                "-Ctarget-feature=+crt-static",
                "--remap-path-prefix=/opt/rust=/build/rust",
                "--remap-path-prefix=/opt/rust/lib/rustlib/src/rust=/rustc/5980",
                "--remap-path-prefix=CARGO=/build/cargo",
                "--remap-path-prefix=CARGO/registry/src/index-1=/build/registry",
                "--remap-path-prefix=CARGO/registry/src/mirror-2=/build/registry",
                "--remap-path-prefix=/home/a b/src=/build/source",
                "--remap-path-prefix=/home/a b/src/target/xtask/build=/build/target",
            ]
        );
        let cflags = variable("CFLAGS");
        assert!(cflags.starts_with("-ffile-prefix-map=/opt/rust=/build/rust "), "{cflags}");
        assert!(!cflags.contains("a b"), "{cflags}");
        assert_eq!(command.removed(), KEPT_OUT);
    }
}
