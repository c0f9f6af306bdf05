// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads the `RustSec` advisory database and matches crates.
//!
//! The database is a folder of `crates/NAME/ID.md`: Markdown whose first fenced block is TOML
//! (`RustSec` advisory-db, README, "Advisory format"). Severity is the CVSS score; a vulnerability
//! without one counts as severe.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::semver::{Version, VersionReq};
use foundation::file;
use serde::Deserialize;
use walkdir::WalkDir;

/// Minimum base score of severity "high" in CVSS 3.1 (section 5) and 4.0 (section 4).
const HIGH: f64 = 7.0;

/// Kind of an advisory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A vulnerability with a high or unknown score.
    Severe,
    /// A vulnerability with a lower score.
    Minor,
    /// The crate is unmaintained.
    Unmaintained,
    /// The crate is unsound, or its authors published a notice.
    Notice,
}

/// An advisory.
#[derive(Debug, Clone)]
pub struct Advisory {
    /// `RUSTSEC-YYYY-NNNN`.
    pub id: String,
    /// The crate.
    pub package: String,
    /// Kind.
    pub kind: Kind,
    /// Publication date, `YYYY-MM-DD`.
    pub date: String,
    /// Heading of its text.
    pub title: String,
    patched: Vec<VersionReq>,
    unaffected: Vec<VersionReq>,
}

#[derive(Deserialize)]
struct FrontMatter {
    advisory: Header,
    #[serde(default)]
    versions: Versions,
}

#[derive(Deserialize)]
struct Header {
    id: String,
    package: String,
    date: String,
    cvss: Option<String>,
    informational: Option<String>,
    withdrawn: Option<String>,
}

#[derive(Default, Deserialize)]
struct Versions {
    #[serde(default)]
    patched: Vec<VersionReq>,
    #[serde(default)]
    unaffected: Vec<VersionReq>,
}

/// Name of the folder with a copy of the database, in the scratch folder.
pub const FOLDER: &str = "advisory-db";

/// The newest copy of the database in `scratch`: the fetched one, else that of the repository.
pub fn folder(scratch: &Path) -> Option<PathBuf> {
    let fetched = scratch.join(FOLDER);
    let unpacked = fetched.with_extension("snapshot");
    [fetched, unpacked].into_iter().find(|it| it.is_dir())
}

/// All advisories below `database` that are not withdrawn, sorted by id.
///
/// # Errors
/// When the folder cannot be read or has no advisory, or a file is malformed; the error names it.
pub fn load(database: &Path) -> Result<Vec<Advisory>> {
    let mut advisories = Vec::new();
    for entry in WalkDir::new(database.join("crates")).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot read {}", database.display()))?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|e| e == "md") {
            let text = file::read_text(entry.path())?;
            let advisory =
                parse(&text).with_context(|| format!("malformed: {}", entry.path().display()))?;
            advisories.extend(advisory);
        }
    }
    if advisories.is_empty() {
        bail!("{} contains no advisory: is it a copy of the database?", database.display());
    }
    advisories.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(advisories)
}

impl Advisory {
    /// Whether it affects `version` of the crate `name`.
    pub fn concerns(&self, name: &str, version: &Version) -> bool {
        let outside = |ranges: &[VersionReq]| !ranges.iter().any(|range| range.matches(version));
        self.package == name && outside(&self.patched) && outside(&self.unaffected)
    }

    /// Fixed versions in the advisory's notation; `None` if there is none.
    pub fn fixed_versions(&self) -> Option<String> {
        let ranges: Vec<String> = self.patched.iter().map(ToString::to_string).collect();
        (!ranges.is_empty()).then(|| ranges.join(" or "))
    }
}

/// Parses one file; `None` for a withdrawn advisory.
fn parse(text: &str) -> Result<Option<Advisory>> {
    let (_, rest) = text.split_once("```toml").context("no TOML block")?;
    let (matter, body) = rest.split_once("\n```").context("unterminated TOML block")?;
    let FrontMatter { advisory, versions } = toml::from_str(matter)?;
    if advisory.withdrawn.is_some() {
        return Ok(None);
    }
    let kind = match advisory.informational.as_deref().map(str::trim) {
        Some("unmaintained") => Kind::Unmaintained,
        Some(_) => Kind::Notice,
        None => severity(advisory.cvss.as_deref())?,
    };
    let title = body.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default();
    Ok(Some(Advisory {
        id: advisory.id,
        package: advisory.package,
        kind,
        date: advisory.date,
        title: title.trim().to_owned(),
        patched: versions.patched,
        unaffected: versions.unaffected,
    }))
}

fn severity(vector: Option<&str>) -> Result<Kind> {
    let Some(vector) = vector else { return Ok(Kind::Severe) };
    let score =
        cvss::Cvss::from_str(vector).with_context(|| format!("cannot parse {vector}"))?.score();
    Ok(if score < HIGH { Kind::Minor } else { Kind::Severe })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn advisory(header: &str, versions: &str) -> String {
        format!(
            "```toml\n[advisory]\nid = \"RUSTSEC-2020-0001\"\npackage = \"p\"\ndate = \"2020-01-02\"\n\
             {header}\n[versions]\n{versions}\n```\n\n# A fault\n\nText.\n"
        )
    }

    fn kind(header: &str) -> Kind {
        parse(&advisory(header, "patched = []")).unwrap().unwrap().kind
    }

    #[test]
    fn severity_comes_from_the_vector_and_the_unknown_is_severe() {
        assert_eq!(kind(""), Kind::Severe);
        assert_eq!(kind("cvss = \"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\""), Kind::Severe);
        assert_eq!(kind("cvss = \"CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N\""), Kind::Minor);
        assert_eq!(
            kind("cvss = \"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N\""),
            Kind::Severe
        );
        assert_eq!(kind("informational = \"unmaintained\""), Kind::Unmaintained);
        assert_eq!(kind("informational = \"unsound\""), Kind::Notice);
        assert!(parse(&advisory("cvss = \"CVSS:9/oops\"", "patched = []")).is_err());
    }

    #[test]
    fn versions_decide_whom_it_concerns() {
        let text = advisory("", "patched = [\">= 1.2.3\"]\nunaffected = [\"< 1.0.0\"]");
        let advisory = parse(&text).unwrap().unwrap();
        for (version, concerned) in
            [("0.9.9", false), ("1.0.0", true), ("1.2.2", true), ("1.2.3", false)]
        {
            assert_eq!(advisory.concerns("p", &version.parse().unwrap()), concerned, "{version}");
            assert!(!advisory.concerns("q", &version.parse().unwrap()));
        }
        assert_eq!(advisory.fixed_versions().as_deref(), Some(">=1.2.3"));
        assert_eq!(advisory.title, "A fault");
    }

    #[test]
    fn withdrawn_advisories_are_left_out_and_broken_ones_are_reported() {
        assert!(parse(&advisory("withdrawn = \"2021-01-01\"", "patched = []")).unwrap().is_none());
        for text in ["", "```toml\n", "```toml\n[advisory]\n```"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_empty_folder_is_no_database() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("crates")).unwrap();
        assert!(load(folder.path()).unwrap_err().to_string().contains("contains no advisory"));
    }
}
