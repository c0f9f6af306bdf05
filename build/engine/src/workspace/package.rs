// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A Debian package of an image, in the syntax of `Build-Depends` (Debian policy 7.1): `NAME`, or
//! `NAME [amd64]` for images of that architecture only.

use anyhow::{Result, bail, ensure};
use release::Architecture;
use serde::Deserialize;

/// A package, optionally restricted to architectures.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Package {
    name: String,
    /// Architectures; empty for all.
    only: Vec<Architecture>,
}

impl Package {
    /// The name, if the package applies to `architecture`.
    pub fn name_for(&self, architecture: Architecture) -> Option<&str> {
        let wanted = self.only.is_empty() || self.only.contains(&architecture);
        wanted.then_some(self.name.as_str())
    }
}

impl TryFrom<String> for Package {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        let (name, only) = match text.split_once(" [") {
            None => (text.as_str(), Vec::new()),
            Some((name, rest)) => {
                let Some(list) = rest.strip_suffix(']') else {
                    bail!("{text:?}: expected `NAME [ARCHITECTURE…]`");
                };
                (name, list.split(' ').map(architecture).collect::<Result<_>>()?)
            }
        };
        // Debian policy 5.6.1.
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
        let is_name = name.chars().count() >= 2 && name.chars().all(plain);
        ensure!(is_name && !name.starts_with(['+', '-', '.']), "{name:?} is not a package name");
        Ok(Self { name: name.to_owned(), only })
    }
}

fn architecture(name: &str) -> Result<Architecture> {
    match name {
        "amd64" => Ok(Architecture::Amd64),
        "arm64" => Ok(Architecture::Arm64),
        other => bail!("unknown architecture {other:?}: expected amd64 or arm64"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(text: &str) -> Result<Package> {
        Package::try_from(text.to_owned())
    }

    #[test]
    fn a_package_can_be_for_some_architectures_only() {
        for (text, amd64, arm64) in [
            ("mtools", Some("mtools"), Some("mtools")),
            ("grub-pc-bin [amd64]", Some("grub-pc-bin"), None),
            ("libstdc++6 [arm64 amd64]", Some("libstdc++6"), Some("libstdc++6")),
        ] {
            let package = package(text).unwrap();
            assert_eq!(package.name_for(Architecture::Amd64), amd64);
            assert_eq!(package.name_for(Architecture::Arm64), arm64);
        }
    }

    #[test]
    fn what_is_no_package_is_refused() {
        for text in ["", "x", "Mtools", "--yes", "a b", "mtools [riscv64]", "mtools [amd64"] {
            assert!(package(text).is_err(), "{text}");
        }
    }
}
