// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares locked packages with Debian's security suite.
//!
//! The suite has a fixed package for every advisory of Debian's security team; minor
//! vulnerabilities are fixed in point releases ("Securing Debian Manual", 7.2). A package that is
//! older than in the suite has a relevant known vulnerability with a fix.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use release::Architecture;

use super::version::compare;

/// Newest version of each package of the suite, for one architecture.
#[derive(Debug, Default)]
pub struct Updates(BTreeMap<String, Update>);

/// A package of the suite.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Update {
    /// Version.
    pub version: String,
    /// Fixed source package, `NAME@VERSION`.
    pub source: String,
    /// Size of the package file in bytes.
    pub size: u64,
}

impl Updates {
    /// Parses the control data of the suite; a package may have several versions.
    pub fn parse(dump: &str) -> Self {
        let mut updates = Self::default();
        for stanza in dump.split("\n\n") {
            let field = |name: &str| {
                stanza.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
            };
            let (Some(package), Some(version)) = (field("Package"), field("Version")) else {
                continue;
            };
            // `NAME`, or `NAME (VERSION)` if the version differs from the package's (Debian policy
            // 5.6.1).
            let source = match field("Source").map(|it| it.split_once(" (").ok_or(it)) {
                Some(Ok((name, of))) => format!("{name}@{}", of.trim_end_matches(')')),
                Some(Err(name)) => format!("{name}@{version}"),
                None => format!("{package}@{version}"),
            };
            let known = updates.0.entry(package.to_owned()).or_default();
            if known.version.is_empty() || compare(&known.version, version) == Ordering::Less {
                let size = field("Size").and_then(|it| it.parse().ok()).unwrap_or(u64::MAX);
                *known = Update { version: version.to_owned(), source, size };
            }
        }
        updates
    }

    /// The update that `version` of `package` lacks.
    pub fn find_update(&self, package: &str, version: &str) -> Option<&Update> {
        let update = self.0.get(package)?;
        (compare(version, &update.version) == Ordering::Less).then_some(update)
    }
}

/// Name of the file that is written last into apt's folder of a security suite.
pub const FETCHED: &str = "fetched";

/// apt's folder for the security suite of `suite`, below the folder for what runs leave.
pub fn folder(scratch: &Path, suite: &str, architecture: Architecture) -> PathBuf {
    scratch.join("apt").join(format!("{suite}-security-{}", architecture.oci()))
}

/// The [`folder`] of a security suite, if it has an index.
pub fn index(scratch: &Path, suite: &str, architecture: Architecture) -> Option<PathBuf> {
    Some(folder(scratch, suite, architecture)).filter(|it| it.join(FETCHED).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "Package: libssl3t64\nSource: openssl\nVersion: 3.5.4-1~deb13u1\n\n\
        Package: libssl3t64\nSource: openssl\nVersion: 3.5.4-1~deb13u2\n\n\
        Package: libssl3t64\nSource: openssl\nVersion: 3.5.1-1+deb13u1\n\n\
        Package: linux-image-amd64\nSource: linux-signed-amd64 (6.12.57+1)\nVersion: 6.12.57-1\n\n\
        Package: sudo\nVersion: 1.9.16p2-3+deb13u1\n";

    fn find_source(name: &str, version: &str) -> Option<String> {
        Updates::parse(DUMP).find_update(name, version).map(|update| update.source.clone())
    }

    #[test]
    fn an_older_package_lacks_the_newest_update_of_its_source() {
        let source = |text: &str| Some(text.to_owned());
        assert_eq!(find_source("libssl3t64", "3.5.1-1"), source("openssl@3.5.4-1~deb13u2"));
        assert_eq!(
            find_source("linux-image-amd64", "6.12.9-1"),
            source("linux-signed-amd64@6.12.57+1")
        );
        assert_eq!(find_source("sudo", "1.9.16p2-3"), source("sudo@1.9.16p2-3+deb13u1"));
    }

    #[test]
    fn what_is_as_new_or_not_there_lacks_nothing() {
        assert_eq!(find_source("libssl3t64", "3.5.4-1~deb13u2"), None);
        assert_eq!(find_source("libssl3t64", "3.5.4-1"), None);
        assert_eq!(find_source("bash", "1"), None);
    }
}
