// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Lock of image packages: names, versions and checksums.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use foundation::checksum;
use oci::Digest;
use release::Architecture;
use serde::{Deserialize, Serialize};

/// Header of a lock file.
const HEAD: &str = "\
# SPDX-License-Identifier: AGPL-3.0-or-later
# Copyright (C) 2026 The Provisioner Authors

# Written by `cargo xtask images --update-lock`: every package of the tool images, as the mirror had
# it then, and the licences in their copyright files. Images are made of exactly these files.
";

/// A lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Suite of the packages.
    pub suite: String,
    /// Timestamp of all files in the base, in seconds: the date of the suite's index.
    pub epoch: u64,
    /// Packages, sorted.
    #[serde(rename = "package", default)]
    pub packages: Vec<Locked>,
    /// SPDX expressions of copyright files by `NAME VERSION`, or [`NO_LICENSE`].
    #[serde(default)]
    pub licenses: BTreeMap<String, String>,
}

/// The copyright file names no machine-readable licence (SPDX 2.3, 7.13).
pub const NO_LICENSE: &str = "NOASSERTION";

/// A locked package file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// OCI architecture of the image.
    pub image: Architecture,
    /// [`BASE`], or the image that needs it in addition.
    pub set: String,
    /// Name.
    pub name: String,
    /// Debian version.
    pub version: String,
    /// Package architecture: the image's, or `all`.
    pub architecture: String,
    /// SHA-256 of the file in lower-case hex.
    pub sha256: String,
}

impl Locked {
    /// Name and version, the key of [`Lock::licenses`].
    pub fn label(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

/// Set of the base packages.
pub const BASE: &str = "base";

/// Set of packages for test artifacts, without their dependencies.
pub const TEST_ARTIFACTS: &str = "test-artifacts";

impl Lock {
    /// Reads the lock file at `path`.
    ///
    /// # Errors
    /// When it is missing or malformed, or names a package of one set twice.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!(
                "cannot read {}: create it with `cargo xtask images --update-lock`",
                path.display()
            )
        })?;
        Self::parse(&text).with_context(|| format!("{} is malformed", path.display()))
    }

    fn parse(text: &str) -> Result<Self> {
        let mut lock: Self = toml::from_str(text)?;
        lock.packages.sort();
        for package in &lock.packages {
            ensure!(
                checksum::is_sha256(&package.sha256),
                "the sha256 of {}: expected 64 lower-case hex digits",
                package.name
            );
        }
        for pair in lock.packages.windows(2) {
            if let [a, b] = pair
                && (a.image, &a.set, &a.name) == (b.image, &b.set, &b.name)
            {
                bail!("{} is twice in the set {} for {}", a.name, a.set, a.image.oci());
            }
        }
        Ok(lock)
    }

    /// Text of the file.
    pub fn to_text(&self) -> String {
        let mut lock = self.clone();
        lock.packages.sort();
        let mut text = String::from(HEAD);
        text.push_str(&format!("suite = {:?}\nepoch = {}\n", lock.suite, lock.epoch));
        for package in &lock.packages {
            let Locked { image, set, name, version, architecture, sha256 } = package;
            let image = image.oci();
            text.push_str(&format!(
                "\n[[package]]\nimage = {image:?}\nset = {set:?}\nname = {name:?}\n\
                 version = {version:?}\narchitecture = {architecture:?}\nsha256 = {sha256:?}\n"
            ));
        }
        if !lock.licenses.is_empty() {
            text.push_str("\n[licenses]\n");
        }
        for (package, license) in &lock.licenses {
            text.push_str(&format!("{package:?} = {license:?}\n"));
        }
        text
    }

    /// The packages of `set` in an image for `architecture`.
    ///
    /// # Errors
    /// When there are none: the lock is older than `release.toml`.
    pub fn set(&self, architecture: Architecture, set: &str) -> Result<Vec<&Locked>> {
        let found: Vec<_> = self
            .packages
            .iter()
            .filter(|package| package.image == architecture && package.set == set)
            .collect();
        ensure!(
            !found.is_empty(),
            "the lock has no package of {set:?} for {}: run `cargo xtask images --update-lock`",
            architecture.oci()
        );
        Ok(found)
    }

    /// SHA-256 of the package files of the base and of `set`, by package.
    pub fn checksums(&self, architecture: Architecture, set: &str) -> BTreeMap<String, String> {
        self.packages
            .iter()
            .filter(|package| package.image == architecture)
            .filter(|package| package.set == BASE || package.set == set)
            .map(|package| (package.name.clone(), package.sha256.clone()))
            .collect()
    }

    /// Digest of all inputs of the base for `architecture`.
    pub fn base_digest(&self, architecture: Architecture) -> Result<Digest> {
        let mut text = format!("{} {} {}\n", self.suite, self.epoch, architecture.oci());
        for package in self.set(architecture, BASE)? {
            text.push_str(&format!("{} {}\n", package.name, package.sha256));
        }
        Ok(Digest::sha256(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make_locked(image: Architecture, set: &str, name: &str) -> Locked {
        Locked {
            image,
            set: set.to_owned(),
            name: name.to_owned(),
            version: "1:2.3-4+deb13u1".to_owned(),
            architecture: "all".to_owned(),
            sha256: "0a".repeat(32),
        }
    }

    fn lock() -> Lock {
        Lock {
            suite: "trixie".to_owned(),
            epoch: 1_760_000_000,
            packages: vec![
                make_locked(Architecture::Amd64, BASE, "dpkg"),
                make_locked(Architecture::Amd64, "tools/x", "mtools"),
                make_locked(Architecture::Arm64, BASE, "dpkg"),
            ],
            licenses: BTreeMap::from([(
                make_locked(Architecture::Amd64, BASE, "dpkg").label(),
                "GPL-2.0-or-later".to_owned(),
            )]),
        }
    }

    #[test]
    fn a_lock_reads_back_whatever_its_order() {
        let mut shuffled = lock();
        shuffled.packages.reverse();
        let text = shuffled.to_text();
        assert_eq!(text, lock().to_text());
        assert_eq!(Lock::parse(&text).unwrap(), lock());
    }

    #[test]
    fn sets_are_distinguished() {
        let lock = lock();
        assert_eq!(lock.set(Architecture::Amd64, BASE).unwrap().len(), 1);
        assert_eq!(lock.checksums(Architecture::Amd64, "tools/x").len(), 2);
        let error = lock.set(Architecture::Arm64, "tools/x").unwrap_err().to_string();
        assert!(error.contains("--update-lock"), "{error}");
    }

    #[test]
    fn only_the_packages_of_the_base_decide_its_digest() {
        let digest = |lock: &Lock| lock.base_digest(Architecture::Amd64).unwrap();
        let mut other = lock();
        other.packages.pop();
        other.packages.pop();
        assert_eq!(digest(&lock()), digest(&other));
        other.packages[0].sha256 = "0b".repeat(32);
        assert_ne!(digest(&lock()), digest(&other));
    }

    #[test]
    fn a_bad_lock_is_refused() {
        let good = lock().to_text();
        let twice = format!(
            "{good}{}",
            good.split("[[package]]").nth(1).map(|p| format!("[[package]]{p}")).unwrap()
        );
        for bad in [
            good.replace("0a0a", "xx"),
            good.replace("epoch = ", "epoch = -"),
            good.replace("suite", "sweet"),
            twice,
        ] {
            assert!(Lock::parse(&bad).is_err(), "{bad}");
        }
    }
}
