// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads a package's changelog (Debian policy 4.4): changes since a version, and their dates.

use std::collections::BTreeSet;
use std::io::Read;

use anyhow::{Context as _, Result};
use flate2::read::GzDecoder;

use super::date;
use super::version::compare;

/// Size limit of a changelog, in bytes.
const LIMIT: u64 = 16 << 20;

/// Changes since a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LaterChanges {
    /// Date of the first later version, in seconds.
    pub since: Option<u64>,
    /// CVE ids in the changelog, `CVE-YYYY-NNNN`.
    pub vulnerabilities: BTreeSet<String>,
}

/// Finds the changelog in the tar stream of the files of `package`; `None` if it is a link to that
/// of another.
pub fn find(tar: impl Read, package: &str) -> Result<Option<String>> {
    let names = ["changelog.Debian.gz", "changelog.gz"];
    let wanted = names.map(|name| format!("usr/share/doc/{package}/{name}"));
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries()? {
        let entry = entry.context("the package is malformed")?;
        let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
        if entry.header().entry_type().is_file() && wanted.contains(&path) {
            let mut bytes = Vec::new();
            GzDecoder::new(entry).take(LIMIT).read_to_end(&mut bytes)?;
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(None)
}

/// Changes after `version` in the changelog `text`, which starts with the newest version.
pub fn find_changes(text: &str, version: &str) -> LaterChanges {
    let mut news = LaterChanges::default();
    for line in text.lines() {
        if let Some(entry) = heading(line) {
            if compare(entry, version).is_le() {
                break;
            }
        } else if let Some((_, made)) =
            line.strip_prefix(" -- ").and_then(|it| it.split_once(">  "))
        {
            news.since = date::rfc5322(made).or(news.since);
        } else {
            news.vulnerabilities.extend(vulnerabilities(line));
        }
    }
    news
}

/// The version in `PACKAGE (VERSION) SUITE; urgency=…`.
fn heading(line: &str) -> Option<&str> {
    let starts = line.starts_with(|c: char| c.is_ascii_alphanumeric());
    let (_, rest) = line.split_once(" (").filter(|_| starts)?;
    rest.split_once(')').map(|(version, _)| version)
}

fn vulnerabilities(line: &str) -> impl Iterator<Item = String> + '_ {
    line.match_indices("CVE-").filter_map(|(at, _)| {
        let id = line.get(at..)?;
        let end = id.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(id.len());
        id.get(..end).filter(|it| it.len() > "CVE-YYYY-".len()).map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const TEXT: &str = "sudo (1.9-3+deb13u2) trixie-security; urgency=high\n\n\
        \x20 * CVE-2026-0003: and (CVE-2026-0002).\n\n -- A <a@example.org>  Sat, 10 Jan 2026 09:15:30 +0000\n\n\
        sudo (1.9-3+deb13u1) trixie-security; urgency=high\n\n\
        \x20 * Fix CVE-2026-0001\n\n -- A <a@example.org>  Thu, 01 Jan 2026 00:00:00 +0000\n\n\
        sudo (1.9-3) unstable; urgency=low\n\n\
        \x20 * Fix CVE-2025-0001\n\n -- A <a@example.org>  Wed, 01 Jan 2025 00:00:00 +0000\n";

    #[test]
    fn news_are_what_came_after_a_version() {
        let news = |version: &str| {
            let news = find_changes(TEXT, version);
            (news.since, news.vulnerabilities.into_iter().collect::<Vec<_>>().join(" "))
        };
        let all = "CVE-2026-0001 CVE-2026-0002 CVE-2026-0003".to_owned();
        assert_eq!(news("1.9-3"), (Some(1_767_225_600), all));
        let last = "CVE-2026-0002 CVE-2026-0003".to_owned();
        assert_eq!(news("1.9-3+deb13u1"), (Some(1_768_036_530), last));
        assert_eq!(find_changes(TEXT, "1.9-3+deb13u2"), LaterChanges::default());
        assert_eq!(find_changes("", "1"), LaterChanges::default());
    }

    #[test]
    fn a_changelog_is_found_in_a_package() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(TEXT.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(gzip.len() as u64);
        let path = "./usr/share/doc/sudo/changelog.Debian.gz";
        builder.append_data(&mut header, path, gzip.as_slice()).unwrap();
        let tar = builder.into_inner().unwrap();
        assert_eq!(find(tar.as_slice(), "sudo").unwrap().as_deref(), Some(TEXT));
        assert_eq!(find(tar.as_slice(), "other").unwrap(), None);
        assert!(find([1_u8; 512].as_slice(), "sudo").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(?s)([a-c (1.)>\n-]|CVE-| -- |é){0,40}") {
            drop(find_changes(&text, "1"));
        }
    }
}
