// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The result of a verification, as data and as a table with a verdict.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use release::Manifest;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use signing::simple_signing::SimpleSigningError;
use signing::{BundleError, Trust};

/// The checks of a file or image; the columns of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// It exists, and its bytes match the manifest.
    Content,
    /// It is signed with the key.
    Signature,
    /// Its provenance is attested with the key and matches the manifest.
    Provenance,
    /// An SBOM with its digest describes it.
    Sbom,
}

/// One row: a file or image with its checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Path in the release folder, or repository of an image.
    pub name: String,
    /// `binary`, `package`, `checksums`, `sbom`, `image`, `manifest`, `key`, or `unknown`.
    pub kind: &'static str,
    /// The checks that were made.
    pub checks: Vec<Check>,
}

/// A fault.
#[derive(Debug)]
pub struct Fault {
    /// The name of the [`Subject`].
    pub subject: String,
    /// The check that failed.
    pub check: Check,
    /// The file where it was found.
    pub place: String,
    /// Its kind.
    pub problem: Problem,
}

/// Kinds of faults.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file of the release is missing.
    #[error("it is missing")]
    Missing,
    /// A file does not belong to the release.
    #[error("it is not part of the release")]
    Unexpected,
    /// A link, a device, or a folder in place of a file.
    #[error("it is {0}, expected a file")]
    NotAFile(&'static str),
    /// Error of the file system or the registry.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Longer than any document of its kind may be.
    #[error("it is longer than {limit} bytes")]
    TooLong {
        /// Limit in bytes.
        limit: u64,
    },
    /// The bytes changed after they were hashed.
    #[error("it changed while it was checked")]
    Changed,
    /// Signed by the trusted signer, but not the requested release.
    #[error("it is signed, but of the {what} {found}, expected {expected}")]
    OtherRelease {
        /// `product`, `version` or `channel`.
        what: &'static str,
        /// The requested value.
        expected: String,
        /// The value in the manifest.
        found: String,
    },
    /// Another size.
    #[error("it has {found} bytes, expected {expected}")]
    Size {
        /// Bytes in the manifest.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// Another digest.
    #[error("it has the SHA-256 {found}, expected {expected}")]
    Digest {
        /// Hex digest in the manifest.
        expected: String,
        /// Hex digest found.
        found: String,
    },
    /// The manifest contradicts itself or its rules.
    #[error("{0}")]
    Manifest(String),
    /// `SHA256SUMS` differs from the manifest.
    #[error("{0}")]
    Checksums(String),
    /// The published public key is not the given one.
    #[error("it is not the key that the release is verified with")]
    OtherKey,
    /// The manifest names another signer than the verifier requires.
    #[error("its signer is {found}, expected {expected}")]
    Signer {
        /// The required signer.
        expected: String,
        /// The signer in the manifest.
        found: String,
    },
    /// A bundle does not verify.
    #[error("{0}")]
    Bundle(#[from] BundleError),
    /// A bundle with white space, or with another order of fields.
    #[error("it is not a canonical bundle: no white space, fields in order")]
    Form,
    /// The payload of cosign's older signature format is not that of the image.
    #[error("it is not the signed payload of this image")]
    OtherPayload,
    /// A signature in cosign's older format does not verify.
    #[error("{0}")]
    Legacy(#[from] SimpleSigningError),
    /// The provenance is signed, but not of this release.
    #[error("{0}")]
    Provenance(String),
    /// Too few of the trusted keys attest a rebuild.
    #[error("{found} of the keys attest a rebuild, expected at least {required}")]
    Rebuilds {
        /// Number of keys found.
        found: usize,
        /// Number of keys required.
        required: usize,
    },
    /// The SBOM is missing, malformed, or describes something else.
    #[error("{0}")]
    Sbom(String),
    /// The parts of an image are inconsistent.
    #[error("{0}")]
    Image(String),
    /// The record of channels is invalid or old, or withdraws the release.
    #[error("{0}")]
    Channel(String),
}

/// A [`Subject`] with the result of each check: `ok`, `FAULT`, or `-` if it does not apply.
#[derive(serde::Serialize)]
struct Row<'a> {
    name: &'a str,
    kind: &'a str,
    content: &'static str,
    signature: &'static str,
    provenance: &'static str,
    sbom: &'static str,
}

/// A [`Fault`] as data.
#[derive(serde::Serialize)]
struct Line<'a> {
    subject: &'a str,
    check: Check,
    place: &'a str,
    message: String,
}

impl<'a> From<&'a Fault> for Line<'a> {
    fn from(Fault { subject, check, place, problem }: &'a Fault) -> Self {
        Self { subject, check: *check, place, message: problem.to_string() }
    }
}

/// The checks, and every fault.
#[derive(Debug)]
pub struct Report {
    /// Product, version and channel, if the manifest could be read.
    pub release: Option<String>,
    /// Hint of the key, as in bundles; empty for an identity.
    pub key: String,
    /// The identity and its issuer, if there was no key.
    pub identity: Option<String>,
    /// The files and images that were checked.
    pub subjects: Vec<Subject>,
    /// The faults; empty for a verified release.
    pub faults: Vec<Fault>,
    /// What could not be checked without being a fault of the release.
    pub notes: Vec<String>,
    /// The document that was refused, so that nothing else was checked: `release.json`, or the record of channels.
    pub refused: Option<&'static str>,
}

impl Report {
    /// Whether the release is verified.
    pub fn is_verified(&self) -> bool {
        self.faults.is_empty() && self.is_complete()
    }

    /// Whether all of the release was checked.
    pub fn is_complete(&self) -> bool {
        self.refused.is_none()
    }

    /// The verdict.
    fn verdict(&self) -> &'static str {
        if self.is_verified() { "VERIFIED" } else { "REJECTED" }
    }

    /// A row for each subject. There may be as many faults as files, so they are looked up in a
    /// set.
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let failed: BTreeSet<_> =
            self.faults.iter().map(|it| (it.subject.as_str(), it.check)).collect();
        self.subjects.iter().map(move |subject| {
            let outcome = |check| {
                if failed.contains(&(subject.name.as_str(), check)) {
                    "FAULT"
                } else if subject.checks.contains(&check) {
                    "ok"
                } else {
                    "-"
                }
            };
            Row {
                name: &subject.name,
                kind: subject.kind,
                content: outcome(Check::Content),
                signature: outcome(Check::Signature),
                provenance: outcome(Check::Provenance),
                sbom: outcome(Check::Sbom),
            }
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(release) = &self.release {
            let release = escape::text(release);
            match &self.identity {
                Some(identity) => {
                    writeln!(f, "{release}, signed by {}\n", escape::text(identity))?;
                }
                None => writeln!(f, "{release}, key {}\n", self.key)?,
            }
        }
        let header = ["SUBJECT", "KIND", "CONTENT", "SIGNATURE", "PROVENANCE", "SBOM"];
        let rows = self.rows().map(|row| {
            let Row { name, kind, content, signature, provenance, sbom } = row;
            [name, kind, content, signature, provenance, sbom]
        });
        let rows = std::iter::once(header).chain(rows);
        let rows: Vec<_> = rows.map(|row| row.map(escape::text)).collect();
        write_table(f, &rows)?;
        if !self.faults.is_empty() {
            writeln!(f)?;
        }
        for Fault { subject, check, place, problem } in &self.faults {
            let about = if place == subject { String::new() } else { format!("{subject}: ") };
            let line = format!("{about}{place}: {problem}");
            writeln!(f, "FAULT {} {}", check.name(), escape::text(&line))?;
        }
        for note in &self.notes {
            writeln!(f, "\nNOTE {}", escape::text(note))?;
        }
        if let Some(document) = self.refused {
            writeln!(f, "\nNothing else was checked: {document} is not trusted.")?;
        }
        write!(f, "\n{}", self.verdict())
    }
}

/// Aligns columns, two spaces apart, without trailing spaces.
fn write_table(f: &mut fmt::Formatter<'_>, rows: &[[Cow<'_, str>; 6]]) -> fmt::Result {
    let mut widths = [0; 6];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    for row in rows {
        let padded = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

impl Check {
    /// Its name in JSON and in the list of faults.
    pub fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Signature => "signature",
            Self::Provenance => "provenance",
            Self::Sbom => "sbom",
        }
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Report", 8)?;
        object.serialize_field("verdict", self.verdict())?;
        object.serialize_field("release", &self.release)?;
        object.serialize_field("key", &self.key)?;
        object.serialize_field("identity", &self.identity)?;
        object.serialize_field("complete", &self.is_complete())?;
        object.serialize_field("subjects", &self.rows().collect::<Vec<_>>())?;
        object
            .serialize_field("faults", &self.faults.iter().map(Line::from).collect::<Vec<_>>())?;
        object.serialize_field("notes", &self.notes)?;
        object.end()
    }
}

/// Collects a report.
pub(crate) struct Findings(Report);

impl Findings {
    pub(crate) fn new(trust: Trust<'_>) -> Self {
        let mut findings = Self::without_key();
        findings.signer(trust);
        findings
    }

    /// Sets the signer that is expected.
    pub(crate) fn signer(&mut self, trust: Trust<'_>) {
        (self.0.key, self.0.identity) = match trust {
            Trust::Key(key) => (key.hint(), None),
            Trust::Identity(it) => {
                (String::new(), Some(format!("{} of {}", it.subject, it.issuer)))
            }
        };
    }

    /// For checks without a key.
    pub(crate) fn without_key() -> Self {
        let (release, key, identity) = (None, String::new(), None);
        let (subjects, faults, notes) = (Vec::new(), Vec::new(), Vec::new());
        Self(Report { release, key, identity, subjects, faults, notes, refused: None })
    }

    pub(crate) fn release(&mut self, manifest: &Manifest) {
        let Manifest { product, version, channel, source, .. } = manifest;
        let (channel, commit) = (channel.name(), &source.commit);
        self.0.release = Some(format!("{product} {version} ({channel}), commit {commit}"));
    }

    pub(crate) fn subject(&mut self, name: &str, kind: &'static str, checks: &[Check]) {
        self.0.subjects.push(Subject { name: name.to_owned(), kind, checks: checks.to_vec() });
    }

    /// Adds a fault that was found in the file `place`.
    pub(crate) fn fault(
        &mut self,
        subject: &str,
        check: Check,
        place: &str,
        problem: impl Into<Problem>,
    ) {
        let (subject, place) = (subject.to_owned(), place.to_owned());
        self.0.faults.push(Fault { subject, check, place, problem: problem.into() });
    }

    /// Adds what could not be checked.
    #[cfg(feature = "registry")]
    pub(crate) fn note(&mut self, note: String) {
        self.0.notes.push(note);
    }

    /// Ends the report: `document` is refused, so nothing more is checked.
    pub(crate) fn stop(&mut self, document: &'static str) {
        self.0.refused = Some(document);
    }

    pub(crate) fn into_report(self) -> Report {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_named_reaches_no_terminal_as_it_is() {
        let mut findings = Findings::without_key();
        let name = "a\x1b[2K\x1b]0;VERIFIED\x07\nVERIFIED\u{202e}";
        findings.subject(name, "unknown", &[]);
        findings.fault(name, Check::Content, name, Problem::Unreadable(name.to_owned()));
        let text = findings.into_report().to_string();
        assert!(!text.contains(['\x1b', '\x07', '\u{202e}']), "{text:?}");
        assert!(text.contains("a\\x1b[2K"), "{text}");
        assert_eq!(text.lines().filter(|line| *line == "VERIFIED").count(), 0, "{text}");
    }
}
