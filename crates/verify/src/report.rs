// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What was checked and what was found: as data, and as a table that ends in one word.

use std::fmt;

use release::Manifest;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use sigstore::simple_signing::SimpleSigningError;
use sigstore::{BundleError, Trust};

/// What is checked of a file or image; the columns of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    /// It is there, and its bytes are those that the manifest names.
    Content,
    /// The key signed it.
    Signature,
    /// The key attested how it was built, and that fits the manifest.
    Provenance,
    /// It is described by a bill of materials that names its digest.
    Sbom,
}

/// One row: a file or image, and the checks that apply to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Path in the release folder, or repository of an image.
    pub name: String,
    /// `binary`, `package`, `checksums`, `sbom`, `image`, `manifest`, `key`, or `unknown`.
    pub kind: &'static str,
    /// What was checked.
    pub checks: Vec<Check>,
}

/// Something that is wrong.
#[derive(Debug)]
pub struct Fault {
    /// Whose check failed: the name of a [`Subject`].
    pub subject: String,
    /// Which check.
    pub check: Check,
    /// The file where it was seen.
    pub place: String,
    /// What it is.
    pub problem: Problem,
}

/// What can be wrong.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file of the release is not there.
    #[error("it is missing")]
    Missing,
    /// A file is there that does not belong to the release.
    #[error("it is not part of the release")]
    Unexpected,
    /// A link, a device, a folder where a file should be.
    #[error("it is {0}, expected a file")]
    NotAFile(&'static str),
    /// The file system or the registry refused.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// Longer than any document of its kind.
    #[error("it is longer than {limit} bytes")]
    TooLong {
        /// Bytes that are read.
        limit: u64,
    },
    /// Cut short, or grown.
    #[error("it has {found} bytes, expected {expected}")]
    Size {
        /// Bytes by the manifest.
        expected: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// Other bytes.
    #[error("it has the SHA-256 {found}, expected {expected}")]
    Digest {
        /// Hex by the manifest.
        expected: String,
        /// Hex of what is there.
        found: String,
    },
    /// The manifest contradicts itself or its own rules.
    #[error("{0}")]
    Manifest(String),
    /// `SHA256SUMS` does not say what the manifest says.
    #[error("{0}")]
    Checksums(String),
    /// The published public key is not the one that was given.
    #[error("it is not the key that the release is verified with")]
    OtherKey,
    /// The manifest names somebody else than who it is verified by.
    #[error("it says to be signed by {found}, expected {expected}")]
    Signer {
        /// Who is to have signed.
        expected: String,
        /// Who the manifest says has.
        found: String,
    },
    /// A bundle does not vouch for what it should.
    #[error("{0}")]
    Bundle(#[from] BundleError),
    /// A bundle with white space, or with its fields in another order.
    #[error("it is not in the form in which bundles are written: no white space, fields in order")]
    Form,
    /// The payload of a signature in cosign's older form is not that of the image.
    #[error("it is not what is signed of this image")]
    OtherPayload,
    /// A signature in cosign's older form does not vouch for what it should.
    #[error("{0}")]
    Legacy(#[from] SimpleSigningError),
    /// The provenance is signed, but it is not that of this release.
    #[error("{0}")]
    Provenance(String),
    /// The bill of materials is missing, malformed, or about something else.
    #[error("{0}")]
    Sbom(String),
    /// The parts of an image do not fit together.
    #[error("{0}")]
    Image(String),
}

/// A [`Subject`] with the outcome of each check: `ok`, `FAULT`, or `-` where it does not apply.
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

/// What was checked, and every fault.
#[derive(Debug)]
pub struct Report {
    /// Product, version and channel, where the manifest could be read.
    pub release: Option<String>,
    /// Hint of the key that was used, as bundles name it; empty where it was an identity.
    pub key: String,
    /// Who signed, and who vouches for that, where it was no key.
    pub identity: Option<String>,
    /// What was checked.
    pub subjects: Vec<Subject>,
    /// What is wrong; empty for a release that is verified.
    pub faults: Vec<Fault>,
}

impl Report {
    /// Whether the release is what its key says it is.
    pub fn is_verified(&self) -> bool {
        self.faults.is_empty()
    }

    /// The last word.
    fn verdict(&self) -> &'static str {
        if self.is_verified() { "VERIFIED" } else { "REJECTED" }
    }

    fn outcome(&self, subject: &Subject, check: Check) -> &'static str {
        let failed = |f: &Fault| f.check == check && f.subject == subject.name;
        if self.faults.iter().any(failed) {
            "FAULT"
        } else if subject.checks.contains(&check) {
            "ok"
        } else {
            "-"
        }
    }

    fn row<'a>(&self, subject: &'a Subject) -> Row<'a> {
        Row {
            name: &subject.name,
            kind: subject.kind,
            content: self.outcome(subject, Check::Content),
            signature: self.outcome(subject, Check::Signature),
            provenance: self.outcome(subject, Check::Provenance),
            sbom: self.outcome(subject, Check::Sbom),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(release) = &self.release {
            match &self.identity {
                Some(identity) => writeln!(f, "{release}, signed by {identity}\n")?,
                None => writeln!(f, "{release}, key {}\n", self.key)?,
            }
        }
        let header = ["SUBJECT", "KIND", "CONTENT", "SIGNATURE", "PROVENANCE", "SBOM"];
        let rows = self.subjects.iter().map(|subject| {
            let Row { name, kind, content, signature, provenance, sbom } = self.row(subject);
            [name, kind, content, signature, provenance, sbom]
        });
        let rows: Vec<_> = std::iter::once(header).chain(rows).collect();
        write_table(f, &rows)?;
        if !self.faults.is_empty() {
            writeln!(f)?;
        }
        for Fault { subject, check, place, problem } in &self.faults {
            let about = if place == subject { String::new() } else { format!("{subject}: ") };
            writeln!(f, "FAULT {} {about}{place}: {problem}", check.name())?;
        }
        write!(f, "\n{}", self.verdict())
    }
}

/// Columns as wide as their widest cell, two spaces apart, no space at the end of a line.
fn write_table(f: &mut fmt::Formatter<'_>, rows: &[[&str; 6]]) -> fmt::Result {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    for row in rows {
        let cells = row.iter().enumerate();
        let padded = cells.map(|(column, cell)| format!("{cell:<w$}", w = width(column)));
        writeln!(f, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

impl Check {
    /// The name in JSON and in the list of faults.
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
        let mut object = serializer.serialize_struct("Report", 6)?;
        object.serialize_field("verdict", self.verdict())?;
        object.serialize_field("release", &self.release)?;
        object.serialize_field("key", &self.key)?;
        object.serialize_field("identity", &self.identity)?;
        object.serialize_field(
            "subjects",
            &self.subjects.iter().map(|s| self.row(s)).collect::<Vec<_>>(),
        )?;
        object
            .serialize_field("faults", &self.faults.iter().map(Line::from).collect::<Vec<_>>())?;
        object.end()
    }
}

/// Collects a report.
pub(crate) struct Findings(Report);

impl Findings {
    pub(crate) fn new(trust: Trust<'_>) -> Self {
        let (key, identity) = match trust {
            Trust::Key(key) => (key.hint(), None),
            Trust::Identity(it) => {
                (String::new(), Some(format!("{} of {}", it.subject, it.issuer)))
            }
        };
        Self(Report { key, identity, ..Self::unsigned().0 })
    }

    /// For checks that need no key.
    pub(crate) fn unsigned() -> Self {
        let (release, key, identity) = (None, String::new(), None);
        Self(Report { release, key, identity, subjects: Vec::new(), faults: Vec::new() })
    }

    pub(crate) fn release(&mut self, manifest: &Manifest) {
        let Manifest { product, version, channel, source, .. } = manifest;
        let (channel, commit) = (format!("{channel:?}").to_lowercase(), &source.commit);
        self.0.release = Some(format!("{product} {version} ({channel}), commit {commit}"));
    }

    pub(crate) fn subject(&mut self, name: &str, kind: &'static str, checks: &[Check]) {
        self.0.subjects.push(Subject { name: name.to_owned(), kind, checks: checks.to_vec() });
    }

    /// Notes a fault that was seen in the file `place`.
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

    pub(crate) fn into_report(self) -> Report {
        self.0
    }
}
