// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads the list of files of RPM packages.
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
const FILE_DIGESTS: u32 = 1035;
const DIR_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIR_NAMES: u32 = 1118;

/// Values by tag.
#[derive(Debug)]
struct Header<'a> {
    values: Vec<(u32, Value<'a>)>,
}

#[derive(Debug, Clone, Copy)]
struct Value<'a> {
    count: usize,
    /// From the value's start to the start of the next.
    bytes: &'a [u8],
}

/// Paths of the files and folders of a package, with the SHA-256 of files in hex; `None` if `bytes` is no
/// package, or its tags are not those of version 4.
fn entries(bytes: &[u8]) -> Option<Vec<(String, String)>> {
    bytes.strip_prefix(LEAD_MAGIC)?;
    let (_signature, length) = Header::parse(bytes.get(LEAD..)?)?;
    let at = LEAD.checked_add(length.checked_next_multiple_of(8)?)?;
    let (header, _) = Header::parse(bytes.get(at..)?)?;
    let folders = header.strings(DIR_NAMES)?;
    let indexes = header.numbers(DIR_INDEXES)?;
    let digests = header.strings(FILE_DIGESTS)?;
    let names = header.strings(BASE_NAMES)?;
    let entries = names.iter().enumerate().map(|(at, name)| {
        let folder = folders.get(*indexes.get(at)?)?;
        Some((format!("{folder}{name}"), (*digests.get(at)?).to_owned()))
    });
    entries.collect()
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
            Some((u32::try_from(field(0)?).ok()?, field(8)?, field(12)?))
        });
        let entries = entries.collect::<Option<Vec<_>>>()?;
        let mut starts: Vec<usize> = entries.iter().map(|entry| entry.1).collect();
        starts.sort_unstable();
        let values = entries.iter().map(|(tag, start, count)| {
            let end = starts.iter().find(|it| *it > start).copied().unwrap_or(size);
            let value = Value { count: *count, bytes: store.get(*start..end)? };
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

    fn numbers(&self, tag: u32) -> Option<Vec<usize>> {
        let value = self.value(tag)?;
        value.bytes.chunks_exact(4).take(value.count).map(|bytes| number(bytes, 0)).collect()
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
    let entries = entries(&bytes).context("not an RPM package with files").with_context(place)?;
    Ok(entries.into_iter().filter(|(_, sha256)| !sha256.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header with `values`: tag, count and bytes.
    fn header(values: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let (mut index, mut store) = (Vec::new(), Vec::new());
        for (tag, count, bytes) in values {
            let start = u32::try_from(store.len()).unwrap();
            index.extend([*tag, 0, start, *count].iter().flat_map(|it| it.to_be_bytes()));
            store.extend(*bytes);
        }
        let sizes = [values.len(), store.len()].map(|it| u32::try_from(it).unwrap().to_be_bytes());
        [HEADER_MAGIC, &sizes.concat(), &index, &store].concat()
    }

    /// A package with the folder `/etc/a` and the file `/etc/a/b`.
    fn package() -> Vec<u8> {
        let mut bytes = [LEAD_MAGIC, &[0; LEAD - LEAD_MAGIC.len()]].concat();
        bytes.extend(header(&[(1000, 1, &[0, 0, 0, 9])]));
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes.extend(header(&[
            (FILE_DIGESTS, 2, b"\0c0ffee\0"),
            (DIR_INDEXES, 2, &[0, 0, 0, 1, 0, 0, 0, 0]),
            (BASE_NAMES, 2, b"a\0b\0"),
            (DIR_NAMES, 2, b"/etc/a/\0/etc/\0"),
        ]));
        bytes
    }

    #[test]
    fn files_are_listed_with_their_digests() {
        let expected = [("/etc/a", ""), ("/etc/a/b", "c0ffee")];
        assert_eq!(
            entries(&package()).unwrap(),
            expected.map(|(path, sha256): (&str, &str)| (path.to_owned(), sha256.to_owned()))
        );
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let bytes = package();
        for length in 0..bytes.len() {
            assert!(entries(&bytes[..length]).is_none(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_read_or_refused(at in any::<prop::sample::Index>(), byte: u8) {
            let mut bytes = package();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _entries = entries(&bytes);
        }
    }
}
