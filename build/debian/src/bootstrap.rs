// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A root file system from locked package files alone: no network, the same bytes every time.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use foundation::atomic;
use foundation::command::Command;
use oci::Digest;

/// What is left out of every package: nobody reads it inside an image. Copyright files stay.
const LEFT_OUT: &[&str] = &[
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
];

/// Run with the root file system as `$1` when all packages are installed. What is removed differs from
/// machine to machine, or is a left-over of the installation; apt's own folders mmdebstrap empties.
/// The empty files are those over which container engines mount their own: made here, they have the
/// same mode in every image.
const TIDY: &str = r#"cd "$1" && rm -rf etc/apt/sources.list etc/*- var/cache/debconf/*-old var/cache/ldconfig/* var/lib/dpkg/*-old var/log/* && for file in hostname hosts resolv.conf; do rm -f "etc/$file" && : > "etc/$file" && chmod 644 "etc/$file"; done"#;

/// A change of the recipe here changes what is made of the same packages: part of the cache's key.
pub const RECIPE: &str = "4";

/// Writes the index of the package files in `folder` (Debian repository format, "flat"), so that the
/// folder is a repository of `suite`.
pub fn index(folder: &Path, suite: &str, packages: &[PackageFile]) -> Result<()> {
    let mut text = String::new();
    for package in packages {
        // Writing to a String can't fail.
        let _infallible = write!(
            text,
            "{}\nFilename: ./{}\nSize: {}\nSHA256: {}\n\n",
            package.control.trim_end(),
            package.name,
            package.size,
            package.sha256
        );
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
    /// Its name in the folder.
    pub name: String,
    /// Its control data.
    pub control: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256, lower-case hex.
    pub sha256: String,
}

/// Prints the control data of the package file at `path`.
pub fn control_command(path: &Path) -> Command {
    Command::new("dpkg-deb", "/").arg("--field").arg(path)
}

/// What a root file system is made of.
#[derive(Debug)]
pub struct Root<'a> {
    /// The repository that [`index`] made.
    pub pool: &'a Path,
    /// Its suite.
    pub suite: &'a str,
    /// The architecture by the name that Debian has for it.
    pub architecture: &'a str,
    /// The packages beside the essential ones.
    pub packages: &'a BTreeSet<String>,
    /// Paths that are left out of all packages.
    pub without: &'a [String],
    /// The time of every file, in seconds.
    pub epoch: u64,
}

/// Makes the root file system `root` as the tar file `output`.
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
