// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks crates for `RustSec` advisories and yanked versions.

use anyhow::{Context as _, Result};
use cargo_metadata::semver::Version;
use foundation::finding::Finding;
use rules::advisory::{Advisory, Kind};
use serde::Deserialize;

use super::mitigations::Mitigations;

/// `Cargo.lock` with its third-party crates.
pub(super) struct Lock {
    text: String,
    crates: Vec<Locked>,
}

/// A third-party crate.
#[derive(Deserialize)]
pub(super) struct Locked {
    pub(super) name: String,
    pub(super) version: Version,
    source: Option<String>,
}

impl Locked {
    /// Its registry or repository, in Cargo's syntax.
    pub(super) fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    package: Vec<Locked>,
}

impl Lock {
    /// Parses `Cargo.lock`.
    pub(super) fn parse(text: String) -> Result<Self> {
        let file: File = toml::from_str(&text).context("Cargo.lock is malformed")?;
        let crates = file.package.into_iter().filter(|it| it.source.is_some()).collect();
        Ok(Self { text, crates })
    }

    /// Third-party crates.
    pub(super) fn crates(&self) -> &[Locked] {
        &self.crates
    }

    /// Findings on crates with advisories.
    pub(super) fn judge(
        &self,
        advisories: &[Advisory],
        mitigations: &mut Mitigations<'_>,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        for locked in &self.crates {
            let concerns = |it: &&Advisory| it.concerns(&locked.name, &locked.version);
            for advisory in advisories.iter().filter(concerns) {
                let matters = !matches!(advisory.kind, Kind::Minor | Kind::Notice);
                if matters && !mitigations.excuse(&advisory.id) {
                    let message = format!("{} {}: {}", locked.name, locked.version, advisory.title);
                    findings.push(self.finding(
                        locked,
                        &advisory.id,
                        message,
                        fix(locked, advisory),
                    ));
                }
            }
        }
        findings
    }

    /// Findings on crates for which `is_yanked` returns true.
    pub(super) fn find_yanked(&self, is_yanked: impl Fn(&Locked) -> bool) -> Vec<Finding> {
        let yanked = self.crates.iter().filter(|it| is_yanked(it));
        yanked
            .map(|locked| {
                let (name, version) = (&locked.name, &locked.version);
                let message = format!("{name} {version} is yanked");
                self.finding(locked, "yanked", message, format!("cargo update {name}"))
            })
            .collect()
    }

    fn finding(&self, locked: &Locked, rule: &str, message: String, fix: String) -> Finding {
        let (name, version) = (&locked.name, &locked.version);
        let entry = format!("name = \"{name}\"\nversion = \"{version}\"");
        let line = self.text.find(&entry).map(|at| self.text[..at].lines().count() + 1);
        Finding { line, ..Finding::in_file("Cargo.lock", rule, message, fix) }
    }
}

fn fix(locked: &Locked, advisory: &Advisory) -> String {
    match (advisory.kind, advisory.fixed_versions()) {
        (Kind::Unmaintained, _) => "replace the crate, or record why not and until when under [[gates.audit.mitigation]]".to_owned(),
        (_, Some(versions)) => format!("update to {versions}: cargo update {}", locked.name),
        (_, None) => "no version fixes it: drop the crate, or record a mitigation with its expiry under [[gates.audit.mitigation]]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use rules::advisory;

    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"ours\"\nversion = \"1.0.0\"\n\n\
        [[package]]\nname = \"bad\"\nversion = \"1.0.0\"\nsource = \"registry\"\n";

    /// A database with one vulnerability in `bad` before 1.1.0.
    fn advisories() -> Vec<Advisory> {
        let folder = tempfile::tempdir().unwrap();
        let crates = folder.path().join("crates/bad");
        fs::create_dir_all(&crates).unwrap();
        fs::write(
            crates.join("RUSTSEC-2020-0001.md"),
            "```toml\n[advisory]\nid = \"RUSTSEC-2020-0001\"\npackage = \"bad\"\ndate = \"2020-01-02\"\n\
             [versions]\npatched = [\">= 1.1.0\"]\n```\n# It breaks\n",
        )
        .unwrap();
        advisory::load(folder.path()).unwrap()
    }

    fn rules(lock: &str, mitigated: &str) -> Vec<(Option<usize>, String)> {
        let all: Vec<_> = (!mitigated.is_empty())
            .then(|| {
                let entry =
                    format!("id = \"{mitigated}\"\nreason = \"r\"\nexpires = \"2026-01-02\"");
                toml::from_str(&entry).unwrap()
            })
            .into_iter()
            .collect();
        let lock = Lock::parse(lock.to_owned()).unwrap();
        let findings = lock.judge(&advisories(), &mut Mitigations::new(&all, "2026-01-01"));
        findings.into_iter().map(|it| (it.line, it.rule)).collect()
    }

    #[test]
    fn a_vulnerable_crate_is_named_with_its_line() {
        assert_eq!(rules(LOCK, ""), [(Some(8), "RUSTSEC-2020-0001".to_owned())]);
        assert_eq!(rules(&LOCK.replace("1.0.0\"\nsource", "1.1.0\"\nsource"), ""), []);
        assert_eq!(rules(LOCK, "RUSTSEC-2020-0001"), []);
        assert_eq!(rules(LOCK, "RUSTSEC-2020-0002").len(), 1);
    }

    #[test]
    fn a_version_that_was_taken_back_is_named_with_its_line() {
        let lock = Lock::parse(LOCK.to_owned()).unwrap();
        let findings = lock.find_yanked(|it| it.name == "bad");
        assert_eq!((findings[0].line, findings[0].rule.as_str()), (Some(8), "yanked"));
        assert!(lock.find_yanked(|it| it.name == "ours").is_empty(), "ours are in no registry");
    }

    #[test]
    fn a_malformed_lock_is_reported() {
        let error = Lock::parse("version = ".to_owned()).err().unwrap();
        assert_eq!(error.to_string(), "Cargo.lock is malformed");
    }
}
