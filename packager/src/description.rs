// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Description of a package.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::gzip;

/// A distribution package in any format.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Description {
    /// The package's name.
    pub(crate) name: String,
    /// Semantic version without a leading `v`.
    pub(crate) version: String,
    /// `amd64` or `arm64`.
    pub(crate) architecture: String,
    /// Time of all files, in seconds since 1970.
    pub(crate) epoch: u64,
    /// Summary, one line.
    pub(crate) summary: String,
    /// A paragraph.
    pub(crate) text: String,
    /// SPDX licence expression.
    pub(crate) license: String,
    /// Its maintainer.
    pub(crate) vendor: String,
    /// Address of the source.
    pub(crate) homepage: String,
    /// Recommended packages.
    pub(crate) recommends: Vec<String>,
    /// The systemd unit among the files, such as `controller.service`.
    pub(crate) unit: String,
    /// State folders of the unit, removed when a Debian package is purged.
    pub(crate) state: Vec<String>,
    /// Folders owned by the package, absolute.
    pub(crate) folders: Vec<String>,
    /// Files, in any order.
    pub(crate) files: Vec<Entry>,
}

/// A file of a package.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Its path, absolute.
    pub(crate) path: String,
    /// The source file.
    pub(crate) source: PathBuf,
    /// Whether it is executable: mode 0755, otherwise 0644.
    #[serde(default)]
    pub(crate) executable: bool,
    /// Whether it is a conffile, which an upgrade does not replace once it was changed.
    #[serde(default)]
    pub(crate) config: bool,
    /// Whether it is compressed with gzip, as manual pages are.
    #[serde(default)]
    pub(crate) gzip: bool,
}

impl Description {
    /// Reads a description, with files sorted by path.
    ///
    /// # Errors
    /// When it cannot be read, is malformed, or has a duplicate or relative path.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("{} is malformed", path.display()))
    }

    fn parse(text: &[u8]) -> Result<Self> {
        let mut description: Self = serde_json::from_slice(text)?;
        ensure!(
            matches!(description.architecture.as_str(), "amd64" | "arm64"),
            "unknown architecture {:?}: expected amd64 or arm64",
            description.architecture
        );
        description.files.sort_by(|a, b| a.path.cmp(&b.path));
        for pair in description.files.array_windows() {
            let [a, b] = pair;
            ensure!(a.path != b.path, "duplicate path {}", a.path);
        }
        for Entry { path, .. } in &description.files {
            let plain = path.starts_with('/')
                && !path.ends_with('/')
                && path.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
            ensure!(plain, "{path:?} is not a file path: expected an absolute path without ..");
        }
        Ok(description)
    }

    /// The version for both formats: pre-releases sort before their release (`~`), snapshots before
    /// all pre-releases (`~~`) and among each other by the time of their commit. Hyphens are replaced,
    /// since they would separate a distribution revision.
    pub(crate) fn package_version(&self) -> String {
        let version = match self.version.split_once("-snapshot.") {
            Some((base, commit)) => format!("{base}~~snapshot.{}.{commit}", self.epoch),
            None => self.version.replacen('-', "~", 1),
        };
        version.replace('-', ".")
    }

    /// Every folder above the files, without `/`, parents first.
    pub(crate) fn parents(&self) -> Vec<String> {
        let mut folders: Vec<String> = self
            .files
            .iter()
            .flat_map(|file| file.path.match_indices('/').skip(1).map(|(at, _)| &file.path[..at]))
            .map(str::to_owned)
            .collect();
        folders.sort();
        folders.dedup();
        folders
    }
}

impl Entry {
    /// Its bytes.
    pub(crate) fn read(&self) -> Result<Vec<u8>> {
        let place = || format!("cannot read {}", self.source.display());
        let bytes = fs::read(&self.source).with_context(place)?;
        if self.gzip { gzip::compress(&bytes) } else { Ok(bytes) }
    }

    /// Its permissions.
    pub(crate) fn mode(&self) -> u16 {
        if self.executable { 0o755 } else { 0o644 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(version: &str, paths: &[&str]) -> Result<Description> {
        let files: Vec<_> =
            paths.iter().map(|path| serde_json::json!({"path": path, "source": "x"})).collect();
        let text = serde_json::json!({
            "name": "n", "version": version, "architecture": "amd64", "epoch": 0, "summary": "",
            "text": "", "license": "", "vendor": "", "homepage": "", "recommends": [],
            "unit": "n.service", "state": [], "folders": [], "files": files,
        });
        Description::parse(text.to_string().as_bytes())
    }

    #[test]
    fn versions_sort_as_releases_do() {
        for (semantic, expected) in [
            ("1.2.3", "1.2.3"),
            ("1.2.3-rc.1", "1.2.3~rc.1"),
            ("1.2.3-snapshot.0f3c-dirty", "1.2.3~~snapshot.0.0f3c.dirty"),
        ] {
            assert_eq!(description(semantic, &[]).unwrap().package_version(), expected);
        }
    }

    /// The commits' ids are in the opposite order of their times.
    #[test]
    fn package_managers_take_a_later_snapshot_as_newer() {
        let at = |epoch: u64, version: &str| {
            let mut description = description(version, &[]).unwrap();
            description.epoch = epoch;
            description.package_version()
        };
        let versions = [
            at(0, "1.2.2"),
            at(1_784_000_000, "1.2.3-snapshot.fc1a2b"),
            at(1_784_000_001, "1.2.3-snapshot.9e1a2b"),
            at(1_784_100_000, "1.2.3-snapshot.g12345-dirty"),
            at(0, "1.2.3-rc.1"),
            at(0, "1.2.3-rc.2"),
            at(0, "1.2.3"),
        ];
        for pair in versions.array_windows() {
            let [older, newer] = pair;
            if let Some(dpkg) = test_support::find("dpkg") {
                test_support::run(&dpkg, &["--compare-versions", older, "lt", newer]);
            }
            if let Some(rpm) = test_support::find("rpm") {
                let compare = format!("%{{lua: print(rpm.vercmp('{older}', '{newer}'))}}");
                let order = test_support::run(&rpm, &["--eval", &compare]);
                assert_eq!(order.trim(), "-1", "{older} {newer}");
            }
        }
    }

    #[test]
    fn folders_come_with_the_files() {
        let description = description("1.0.0", &["/usr/bin/a", "/etc/a/b.toml"]).unwrap();
        assert_eq!(description.parents(), ["/etc", "/etc/a", "/usr", "/usr/bin"]);
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_refused() {
        for bad in ["usr/bin/a", "/usr/../etc/a", "/usr//a", "/usr/", "/", ""] {
            assert!(description("1.0.0", &[bad]).is_err(), "{bad:?}");
        }
        assert!(description("1.0.0", &["/a", "/a"]).is_err());
    }
}
