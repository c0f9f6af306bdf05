// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads RPM packages: installed files and header values.
//!
//! Format version 4 (rpm.org, "RPM V4 Package format"): a lead of 96 bytes, the signature header,
//! the main header, and the compressed payload. Numbers are big-endian.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The lead, which duplicates data of the header.
const LEAD: usize = 96;
const LEAD_MAGIC: &[u8] = &[0xed, 0xab, 0xee, 0xdb];
/// Start of each header: magic, version, four reserved bytes.
const HEADER_MAGIC: &[u8] = &[0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];
/// Length of an index entry: tag, type, offset, count.
const ENTRY: usize = 16;

// Tags (rpmtag.h).
const FILE_MODES: u32 = 1030;
const FILE_DIGESTS: u32 = 1035;
const DIR_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIR_NAMES: u32 = 1118;

// Types (rpmtag.h).
const INT16: u32 = 3;
const INT32: u32 = 4;

/// A parsed package.
#[derive(Debug)]
pub struct Package<'a> {
    signature: Header<'a>,
    header: Header<'a>,
    /// Compressed payload.
    pub payload: &'a [u8],
}

/// An installed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Absolute path.
    pub path: String,
    /// SHA-256 in hex; empty for a folder.
    pub sha256: String,
    /// Type and permissions, octal.
    pub mode: String,
}

/// Values by tag.
#[derive(Debug)]
struct Header<'a> {
    values: Vec<(u32, Value<'a>)>,
}

#[derive(Debug, Clone, Copy)]
struct Value<'a> {
    kind: u32,
    count: usize,
    /// From the value's start to the start of the next.
    bytes: &'a [u8],
}

impl<'a> Package<'a> {
    /// Parses a package; `None` if `bytes` is not one.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        bytes.strip_prefix(LEAD_MAGIC)?;
        let (signature, length) = Header::parse(bytes.get(LEAD..)?)?;
        let at = LEAD.checked_add(length.checked_next_multiple_of(8)?)?;
        let rest = bytes.get(at..)?;
        let (header, length) = Header::parse(rest)?;
        Some(Self { signature, header, payload: rest.get(length..)? })
    }

    /// Installed files in package order; `None` if the file tags are not those of version 4.
    pub fn files(&self) -> Option<Vec<File>> {
        let folders = self.header.strings(DIR_NAMES)?;
        let indexes = self.header.numbers(DIR_INDEXES)?;
        let digests = self.header.strings(FILE_DIGESTS)?;
        let modes = self.header.numbers(FILE_MODES)?;
        let names = self.header.strings(BASE_NAMES)?;
        let files = names.iter().enumerate().map(|(at, name)| {
            let folder = folders.get(usize::try_from(*indexes.get(at)?).ok()?)?;
            Some(File {
                path: format!("{folder}{name}"),
                sha256: (*digests.get(at)?).to_owned(),
                mode: format!("{:o}", modes.get(at)?),
            })
        });
        files.collect()
    }

    /// All values that do not belong to files: header (`signature` or `header`) with tag, and
    /// bytes.
    pub fn values(&self) -> impl Iterator<Item = (String, &'a [u8])> {
        let named = |name: &'static str, header: &Header<'a>| {
            let values = header.values.iter();
            values.map(|(tag, it)| (format!("{name} tag {tag}"), it.bytes)).collect::<Vec<_>>()
        };
        named("header", &self.header).into_iter().chain(named("signature", &self.signature))
    }
}

impl<'a> Header<'a> {
    /// Parses the header at the start of `bytes`; returns it with its length.
    fn parse(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let rest = bytes.strip_prefix(HEADER_MAGIC)?;
        let (entries, rest) = (number(rest, 0)?, rest.get(8..)?);
        let size = number(bytes, HEADER_MAGIC.len() + 4)?;
        let index = rest.get(..entries.checked_mul(ENTRY)?)?;
        let store = rest.get(index.len()..)?.get(..size)?;
        let entries = index.chunks_exact(ENTRY).map(|entry| {
            let field = |at| number(entry, at);
            Some((
                u32::try_from(field(0)?).ok()?,
                u32::try_from(field(4)?).ok()?,
                field(8)?,
                field(12)?,
            ))
        });
        let entries = entries.collect::<Option<Vec<_>>>()?;
        let mut starts: Vec<usize> = entries.iter().map(|entry| entry.2).collect();
        starts.sort_unstable();
        let values = entries.iter().map(|(tag, kind, start, count)| {
            let end = starts.iter().find(|it| *it > start).copied().unwrap_or(size);
            let value = Value { kind: *kind, count: *count, bytes: store.get(*start..end)? };
            Some((*tag, value))
        });
        let values = values.collect::<Option<Vec<_>>>()?;
        let length = HEADER_MAGIC.len() + 8 + index.len() + store.len();
        Some((Self { values }, length))
    }

    fn value(&self, tag: u32) -> Option<Value<'a>> {
        self.values.iter().find(|it| it.0 == tag).map(|it| it.1)
    }

    fn strings(&self, tag: u32) -> Option<Vec<&'a str>> {
        let value = self.value(tag)?;
        let texts = value.bytes.split(|byte| *byte == 0).take(value.count);
        texts.map(|text| std::str::from_utf8(text).ok()).collect()
    }

    fn numbers(&self, tag: u32) -> Option<Vec<u32>> {
        let value = self.value(tag)?;
        let width = match value.kind {
            INT16 => 2,
            INT32 => 4,
            _ => return None,
        };
        let number = |it: &[u8]| it.iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte));
        Some(value.bytes.chunks_exact(width).take(value.count).map(number).collect())
    }
}

/// Reads a four-byte number at `at`.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_be_bytes(bytes.try_into().ok()?)).ok()
}

/// All files in the RPM package at `path`, with their SHA-256 in hex.
pub fn files(path: &Path) -> Result<BTreeMap<String, String>> {
    let place = || format!("cannot read the package {}", path.display());
    let bytes = std::fs::read(path).with_context(place)?;
    let package = Package::parse(&bytes).context("not an RPM package").with_context(place)?;
    let files = package.files().context("no list of files").with_context(place)?;
    let regular = files.into_iter().filter(|file| !file.sha256.is_empty());
    Ok(regular.map(|file| (file.path, file.sha256)).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header with `values`: tag, type, count and bytes.
    fn header(values: &[(u32, u32, u32, &[u8])]) -> Vec<u8> {
        let (mut index, mut store) = (Vec::new(), Vec::new());
        for (tag, kind, count, bytes) in values {
            let start = u32::try_from(store.len()).unwrap();
            index.extend([*tag, *kind, start, *count].iter().flat_map(|it| it.to_be_bytes()));
            store.extend(*bytes);
        }
        let sizes = [values.len(), store.len()].map(|it| u32::try_from(it).unwrap().to_be_bytes());
        [HEADER_MAGIC, &sizes.concat(), &index, &store].concat()
    }

    /// A package with the folder `/etc/a` and the file `/etc/a/b` with this SHA-256.
    pub(crate) fn package(sha256: &str, vendor: &str, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [LEAD_MAGIC, &[0; LEAD - LEAD_MAGIC.len()]].concat();
        bytes.extend(header(&[(1000, INT32, 1, &[0, 0, 0, 9])]));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(header(&[
            (1011, 6, 1, format!("{vendor}\0").as_bytes()),
            (FILE_MODES, INT16, 2, &[0x41, 0xed, 0x81, 0xa4]),
            (FILE_DIGESTS, 8, 2, format!("\0{sha256}\0").as_bytes()),
            (DIR_INDEXES, INT32, 2, &[0, 0, 0, 1, 0, 0, 0, 0]),
            (BASE_NAMES, 8, 2, b"a\0b\0"),
            (DIR_NAMES, 8, 2, b"/etc/a/\0/etc/\0"),
        ]));
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn files_are_listed_with_their_digests() {
        let bytes = package("c0ffee", "x", b"payload");
        let read = Package::parse(&bytes).unwrap();
        assert_eq!(read.payload, b"payload");
        let files = read.files().unwrap();
        let listed: Vec<_> = files.iter().map(|it| (&*it.path, &*it.sha256, &*it.mode)).collect();
        assert_eq!(listed, [("/etc/a", "", "40755"), ("/etc/a/b", "c0ffee", "100644")]);
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let bytes = package("c0ffee", "x", b"");
        for length in 0..bytes.len() {
            assert!(Package::parse(&bytes[..length]).is_none(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_read_or_refused(at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = package("c0ffee", "x", b"payload");
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _files = Package::parse(&bytes).and_then(|package| package.files());
        }
    }
}
