// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Version of a build, from the workspace's version, the commit and its tags.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use foundation::file;
use release::Channel;
use serde::Deserialize;

use super::git::Tag;

/// Length of the commit id in a snapshot's version.
const SHORT_COMMIT: usize = 12;

/// The workspace's version, `X.Y.Z` (Semantic Versioning 2.0.0, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Base {
    major: u64,
    minor: u64,
    patch: u64,
}

/// Version and channel of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    text: String,
    channel: Channel,
}

impl Version {
    /// `X.Y.Z-snapshot.COMMIT`, or `X.Y.Z-snapshot.COMMIT-dirty`.
    ///
    /// A numeric identifier must not have a leading zero (section 9), so a commit id that starts
    /// with such an identifier is extended up to the first letter.
    pub fn snapshot(base: Base, commit: &str, dirty: bool) -> Self {
        let numeric =
            |text: &str| text.starts_with('0') && text.bytes().all(|c| c.is_ascii_digit());
        let short = (SHORT_COMMIT..=commit.len())
            .filter_map(|length| commit.get(..length))
            .find(|short| !numeric(short))
            .map_or_else(|| format!("g{commit}"), str::to_owned);
        let dirty = if dirty { "-dirty" } else { "" };
        Self { text: format!("{base}-snapshot.{short}{dirty}"), channel: Channel::Snapshot }
    }

    /// The version of the release tag `wanted`, which has to be one of `tags`; without `wanted`, of
    /// the release tag among them, the stable one of several.
    ///
    /// # Errors
    /// When there is no such tag, or it is lightweight, or does not match the workspace's version,
    /// or there are several candidates.
    pub(super) fn from_tags(base: Base, tags: &[Tag], wanted: Option<&str>) -> Result<Self> {
        let (tag, (tagged, candidate)) = choose(base, tags, wanted)?;
        if tagged != base {
            bail!(
                "the tag {} has version {tagged}, but Cargo.toml {base}: set `version` in \
                 [workspace.package] to {tagged}, or tag v{base}",
                tag.name
            );
        }
        if !tag.annotated {
            bail!("{}", explain_lightweight(&tag.name));
        }
        Ok(match candidate {
            Some(number) => {
                Self { text: format!("{base}-rc.{number}"), channel: Channel::Candidate }
            }
            None => Self { text: base.to_string(), channel: Channel::Stable },
        })
    }

    /// The version of a release that exists: `X.Y.Z`, `X.Y.Z-rc.N` or `X.Y.Z-snapshot.COMMIT`, with or without
    /// a leading `v`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let channel = match text.split_once("-snapshot.") {
            // The text becomes part of a path.
            Some((base, commit)) => {
                let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
                let is_snapshot =
                    base.parse::<Base>().is_ok() && !commit.is_empty() && commit.bytes().all(plain);
                is_snapshot.then_some(Channel::Snapshot)
            }
            None => parse_tag(&format!("v{text}")).map(|(_, candidate)| match candidate {
                Some(_) => Channel::Candidate,
                None => Channel::Stable,
            }),
        };
        let channel = channel.with_context(|| {
            format!("{text:?} is not a version X.Y.Z, X.Y.Z-rc.N or X.Y.Z-snapshot.COMMIT")
        })?;
        Ok(Self { text: text.to_owned(), channel })
    }

    /// The version of the release that `manifest` describes.
    pub fn of(manifest: &release::Manifest) -> Self {
        Self { text: manifest.version.clone(), channel: manifest.channel }
    }

    /// Semantic version without a leading `v`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Channel that the build may be published to.
    pub fn channel(&self) -> Channel {
        self.channel
    }
}

/// Why the first release tag among `tags` that is not annotated is refused.
pub(super) fn lightweight_release(tags: &[Tag]) -> Option<String> {
    let tag = tags.iter().find(|tag| !tag.annotated && parse_tag(&tag.name).is_some())?;
    Some(explain_lightweight(&tag.name))
}

fn explain_lightweight(name: &str) -> String {
    format!(
        "{name} is a lightweight tag: a release needs an annotated one, which records author \
         and date\nfix: git tag --force --annotate {name} --message {name} '{name}^{{commit}}'"
    )
}

/// A parsed release tag: version, and number of the candidate.
type Named = (Base, Option<u64>);

/// Chooses the release tag.
fn choose<'a>(base: Base, tags: &'a [Tag], wanted: Option<&str>) -> Result<(&'a Tag, Named)> {
    let releases: Vec<_> =
        tags.iter().filter_map(|tag| Some((tag, parse_tag(&tag.name)?))).collect();
    if let Some(wanted) = wanted {
        return releases.into_iter().find(|(tag, _)| tag.name == wanted).with_context(|| {
            format!(
                "the commit has no release tag {wanted}: check it out with `git checkout {wanted}`; a \
                 release tag has the form vX.Y.Z or vX.Y.Z-rc.N"
            )
        });
    }
    let stable: Vec<_> = releases.iter().filter(|(_, (_, it))| it.is_none()).copied().collect();
    match (stable.as_slice(), releases.as_slice()) {
        ([only], _) | ([], [only]) => Ok(*only),
        ([], []) => bail!(
            "the commit has no release tag: `git tag --annotate v{base}-rc.1` creates a candidate, \
             `git tag --annotate v{base}` a release; `--snapshot` needs no tag"
        ),
        _ => {
            let names: Vec<_> = releases.iter().map(|(tag, _)| tag.name.as_str()).collect();
            bail!("the commit has several release tags ({}): name one with --tag", names.join(", "))
        }
    }
}

/// Parses `vX.Y.Z` or `vX.Y.Z-rc.N`; `None` for any other tag.
fn parse_tag(tag: &str) -> Option<Named> {
    let version = tag.strip_prefix('v')?;
    match version.split_once("-rc.") {
        Some((base, number)) => Some((base.parse().ok()?, Some(parse_number(number)?))),
        None => Some((version.parse().ok()?, None)),
    }
}

/// Parses a number without sign or leading zero.
fn parse_number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

impl Base {
    /// Reads `version` in `[workspace.package]` of `Cargo.toml` at `root`.
    ///
    /// # Errors
    /// When it is missing or not `X.Y.Z`.
    pub fn read(root: &Path) -> Result<Self> {
        #[derive(Deserialize)]
        struct Cargo {
            workspace: CargoWorkspace,
        }
        #[derive(Deserialize)]
        struct CargoWorkspace {
            package: Package,
        }
        #[derive(Deserialize)]
        struct Package {
            version: String,
        }
        let path = root.join("Cargo.toml");
        let text = file::read_text(&path)?;
        let cargo: Cargo = toml::from_str(&text)
            .with_context(|| format!("{} has no version for the workspace", path.display()))?;
        let version = &cargo.workspace.package.version;
        version.parse().with_context(|| format!("{}: [workspace.package] version", path.display()))
    }
}

impl FromStr for Base {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Option<Vec<_>> = text.split('.').map(parse_number).collect();
        match parts.as_deref() {
            Some(&[major, minor, patch]) => Ok(Self { major, minor, patch }),
            _ => bail!("{text:?} is not a version X.Y.Z of three numbers"),
        }
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: Base = Base { major: 1, minor: 2, patch: 3 };

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| Tag { name: (*name).to_owned(), annotated: true }).collect()
    }

    fn find_version(names: &[&str]) -> Result<Version> {
        Version::from_tags(BASE, &tags(names), None)
    }

    #[test]
    fn a_snapshot_names_its_commit_and_dirt() {
        let commit = "0f3c9a2b71de00000000000000000000000000aa";
        let version = Version::snapshot(BASE, commit, false);
        assert_eq!(version.text(), "1.2.3-snapshot.0f3c9a2b71de");
        assert_eq!(version.channel(), Channel::Snapshot);
        let version = Version::snapshot(BASE, commit, true);
        assert_eq!(version.text(), "1.2.3-snapshot.0f3c9a2b71de-dirty");
    }

    #[test]
    fn the_version_of_a_release_reads_back() {
        for (text, channel) in [
            ("1.2.3", Channel::Stable),
            ("1.2.3-rc.4", Channel::Candidate),
            ("1.2.3-snapshot.0f3c9a2b71de-dirty", Channel::Snapshot),
        ] {
            for text in [text.to_owned(), format!("v{text}")] {
                let version = Version::parse(&text).unwrap();
                assert_eq!(
                    (version.text(), version.channel()),
                    (text.trim_start_matches('v'), channel)
                );
            }
        }
        for bad in
            ["", "1.2", "1.2.3-rc.", "1.2.3-snapshot.", "1.2.3-snapshot.../x", "../1.2.3", "x"]
        {
            assert!(Version::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_commit_that_reads_as_a_number_takes_more_digits() {
        let commit = "000000000012345a0000000000000000000000aa";
        assert_eq!(
            Version::snapshot(BASE, commit, false).text(),
            "1.2.3-snapshot.000000000012345a"
        );
        let digits = "0".repeat(40);
        let expected = format!("1.2.3-snapshot.g{digits}");
        assert_eq!(Version::snapshot(BASE, &digits, false).text(), expected);
    }

    #[test]
    fn a_tag_makes_a_candidate_or_a_release() {
        let version = find_version(&["nightly", "v1.2.3-rc.4"]).unwrap();
        assert_eq!((version.text(), version.channel()), ("1.2.3-rc.4", Channel::Candidate));
        let version = find_version(&["v1.2.3"]).unwrap();
        assert_eq!((version.text(), version.channel()), ("1.2.3", Channel::Stable));
    }

    #[test]
    fn invalid_release_tags_are_reported() {
        for (tags, expected) in [
            (&[][..], "no release tag"),
            (&["v1.2", "v01.2.3", "v1.2.3-rc.01", "v1.2.3-rc.", "1.2.3"][..], "no release tag"),
            (
                &["v1.2.3-rc.1", "v1.2.3-rc.2"][..],
                "several release tags (v1.2.3-rc.1, v1.2.3-rc.2)",
            ),
            (&["v1.2.3", "v1.2.4"][..], "several release tags"),
            (&["v1.2.4"][..], "the tag v1.2.4 has version 1.2.4, but Cargo.toml 1.2.3"),
        ] {
            let error = find_version(tags).unwrap_err().to_string();
            assert!(error.contains(expected), "{tags:?}: {error}");
        }
    }

    #[test]
    fn of_several_tags_the_one_asked_for_is_released_or_else_the_stable_one() {
        let both = tags(&["v1.2.3", "v1.2.3-rc.1"]);
        let text = |wanted| Version::from_tags(BASE, &both, wanted).map(|it| it.text().to_owned());
        assert_eq!(text(None).unwrap(), "1.2.3");
        assert_eq!(text(Some("v1.2.3-rc.1")).unwrap(), "1.2.3-rc.1");
        assert_eq!(text(Some("v1.2.3")).unwrap(), "1.2.3");
        let error = text(Some("v1.2.3-rc.2")).unwrap_err().to_string();
        assert!(error.contains("no release tag v1.2.3-rc.2"), "{error}");
    }

    #[test]
    fn a_lightweight_tag_is_refused_with_the_command_that_fixes_it() {
        let tag = Tag { name: "v1.2.3".to_owned(), annotated: false };
        let error =
            Version::from_tags(BASE, std::slice::from_ref(&tag), None).unwrap_err().to_string();
        assert_eq!(lightweight_release(&[tag]), Some(error.clone()));
        let others = Tag { name: "nightly".to_owned(), annotated: false };
        assert_eq!(lightweight_release(&[others]), None);
        assert!(error.contains("v1.2.3 is a lightweight tag"), "{error}");
        let fix = "fix: git tag --force --annotate v1.2.3 --message v1.2.3 'v1.2.3^{commit}'";
        assert!(error.ends_with(fix), "{error}");
    }

    proptest! {
        /// For any commit, the version is a valid semantic version and sorts below its release.
        #[test]
        fn a_snapshot_is_a_semantic_version(
            numbers in any::<(u64, u64, u64)>(),
            commit in "[0-9a-f]{40}|0{12}[0-9]{28}|[0-9]{40}",
            dirty: bool,
        ) {
            let (major, minor, patch) = numbers;
            let base = Base { major, minor, patch };
            let version = Version::snapshot(base, &commit, dirty);
            let parsed = cargo_metadata::semver::Version::parse(version.text()).unwrap();
            prop_assert!(parsed < cargo_metadata::semver::Version::new(major, minor, patch));
            prop_assert_eq!(version.text().ends_with("-dirty"), dirty);
        }

        #[test]
        fn a_base_reads_back(numbers in any::<(u64, u64, u64)>()) {
            let base = Base { major: numbers.0, minor: numbers.1, patch: numbers.2 };
            prop_assert_eq!(base.to_string().parse::<Base>().unwrap(), base);
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC{0,20}|v?[0-9.]{0,12}(-rc\\.)?[0-9]{0,3}") {
            drop(text.parse::<Base>());
            let _tag = parse_tag(&text);
        }
    }
}
