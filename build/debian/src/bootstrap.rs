// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds a root file system from locked package files: offline and reproducible.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;
use foundation::atomic;
use foundation::command::Command;
use oci::Digest;

/// Paths excluded from all packages, of no use in an image. Copyright files are kept.
const LEFT_OUT: &[&str] = &[
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
];

/// Script that cleans up after the installation; `$1` is the root file system. Removes files that
/// differ between hosts and left-overs of the installation; mmdebstrap empties apt's folders.
/// Creates the empty files that container engines mount over, so that their mode is the same in
/// every image.
const TIDY: &str = r#"cd "$1" && rm -rf etc/apt/sources.list etc/*- var/cache/debconf/*-old var/cache/ldconfig/* var/lib/dpkg/*-old var/log/* && for file in hostname hosts resolv.conf; do rm -f "etc/$file" && : > "etc/$file" && chmod 644 "etc/$file"; done"#;

/// Part of the cache key; changes when roots are built differently from the same packages.
pub const RECIPE: &str = "4";

/// Writes the index of the package files in `folder` (Debian repository format, "flat"), which
/// makes the folder a repository of `suite`.
pub fn index(folder: &Path, suite: &str, packages: &[PackageFile]) -> Result<()> {
    let mut text = String::new();
    for package in packages {
        text.push_str(&format!(
            "{}\nFilename: ./{}\nSize: {}\nSHA256: {}\n\n",
            package.control.trim_end(),
            package.name,
            package.size,
            package.sha256
        ));
    }
    let release = format!(
        "Suite: {suite}\nCodename: {suite}\nSHA256:\n {} {} Packages\n",
        Digest::sha256(text.as_bytes()).hex(),
        text.len()
    );
    atomic::write(&folder.join("Packages"), text.as_bytes())?;
    atomic::write(&folder.join("Release"), release.as_bytes())
}

/// A package file in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageFile {
    /// File name in the folder.
    pub name: String,
    /// Control data.
    pub control: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

/// Prints the control data of the package file at `path`.
pub fn control_command(path: &Path) -> Command {
    Command::new("dpkg-deb", "/").arg("--field").arg(path)
}

/// Inputs of a root file system.
#[derive(Debug)]
pub struct Root<'a> {
    /// Repository written by [`index`].
    pub pool: &'a Path,
    /// Suite.
    pub suite: &'a str,
    /// Debian architecture.
    pub architecture: &'a str,
    /// Packages in addition to the essential ones.
    pub packages: &'a BTreeSet<String>,
    /// Additional excluded paths.
    pub without: &'a [String],
    /// Timestamp of all files, in seconds.
    pub epoch: u64,
}

/// The command that builds the root file system `root` as the tar file `output`.
pub fn command(root: &Root<'_>, output: &Path) -> Command {
    let Root { pool, suite, architecture, packages, without, epoch } = root;
    let mut source = std::ffi::OsString::from("deb [trusted=yes] copy:");
    source.push(pool);
    source.push(" ./");
    let command = Command::new("mmdebstrap", "/")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("SOURCE_DATE_EPOCH", epoch.to_string())
        .args(["--variant=essential", "--format=tar", "--skip=output/dev"])
        .arg(format!("--architectures={architecture}"))
        .arg("--aptopt=Acquire::Languages \"none\"");
    let without = without.iter().map(|path| format!("path-exclude={path}"));
    let left_out = LEFT_OUT.iter().map(|&option| option.to_owned()).chain(without);
    let command =
        left_out.fold(command, |command, option| command.arg(format!("--dpkgopt={option}")));
    let command = if packages.is_empty() {
        command
    } else {
        let names: Vec<_> = packages.iter().map(String::as_str).collect();
        command.arg(format!("--include={}", names.join(",")))
    };
    command.arg(format!("--customize-hook={TIDY}")).arg(suite).arg(output).arg(source)
}
