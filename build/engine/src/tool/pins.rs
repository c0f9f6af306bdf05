// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Debian packages that no stable suite has, pinned by SHA-256.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use release::Architecture;
use serde::Deserialize;

/// File with the pins, relative to the workspace root.
pub const PINS: &str = "build/engine/data/pins.toml";

const TEXT: &str = include_str!("../../data/pins.toml");

/// The pins compiled into this xtask. A test parses the file, so it is well-formed.
static BUILT_IN: LazyLock<BTreeMap<String, Pin>> =
    LazyLock::new(|| toml::from_str(TEXT).unwrap_or_default());

/// A pinned version of a package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Suite with newer versions, for `--update-pins`.
    pub suite: String,
    /// Debian version.
    pub version: String,
    /// File for `x86_64`.
    pub amd64: PinnedFile,
    /// File for `aarch64`.
    pub arm64: PinnedFile,
}

/// A file of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedFile {
    /// Path below the archive's root.
    pub path: String,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl Pin {
    /// The file for `architecture`.
    pub fn file(&self, architecture: Architecture) -> &PinnedFile {
        match architecture {
            Architecture::Amd64 => &self.amd64,
            Architecture::Arm64 => &self.arm64,
        }
    }
}

/// The pin of `package`.
pub fn pin(package: &str) -> Option<&'static Pin> {
    BUILT_IN.get(package)
}

/// The content of [`PINS`] for `pins`, with the header comment of the built-in file.
pub fn text(pins: &BTreeMap<&str, Pin>) -> String {
    let mut out: String =
        TEXT.split_inclusive('\n').take_while(|line| line.starts_with('#')).collect();
    for (package, pin) in pins {
        out.push_str(&format!(
            "\n[{package}]\nsuite = \"{}\"\nversion = \"{}\"\n",
            pin.suite, pin.version
        ));
        for architecture in [Architecture::Amd64, Architecture::Arm64] {
            let PinnedFile { path, sha256 } = pin.file(architecture);
            let name = architecture.oci();
            out.push_str(&format!(
                "\n[{package}.{name}]\npath = \"{path}\"\nsha256 = \"{sha256}\"\n"
            ));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::{Source, programs};
    use foundation::checksum;

    #[test]
    fn every_pinned_program_has_a_checksum_for_both_architectures() {
        let pins: BTreeMap<String, Pin> = toml::from_str(TEXT).unwrap();
        let packages: Vec<_> = programs()
            .filter_map(|spec| match spec.source {
                Source::Pinned { package, .. } => Some(package),
                _ => None,
            })
            .collect();
        assert!(packages.iter().all(|package| pin(package).is_some()), "{packages:?}");
        assert!(pins.keys().all(|name| packages.contains(&name.as_str())), "{pins:?}");
        for pin in pins.values() {
            for architecture in [Architecture::Amd64, Architecture::Arm64] {
                let file = pin.file(architecture);
                let end = format!("_{}.deb", architecture.oci());
                assert!(file.path.starts_with("pool/") && file.path.ends_with(&end), "{file:?}");
                assert!(checksum::is_sha256(&file.sha256), "{file:?}");
            }
            assert_ne!(pin.amd64.sha256, pin.arm64.sha256);
        }
    }

    #[test]
    fn the_file_is_written_as_it_is_read() {
        let pins: BTreeMap<String, Pin> = toml::from_str(TEXT).unwrap();
        let pins = pins.iter().map(|(name, pin)| (name.as_str(), pin.clone())).collect();
        assert_eq!(text(&pins), TEXT);
    }
}
