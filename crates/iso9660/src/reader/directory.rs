// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Directory records with the names of Rock Ridge, of Joliet, or plain ones.

use std::io::{Read, Seek};

use super::entry::{Entry, Extent, Kind};
use super::error::{ReadError, corrupt};
use super::input::Input;
use super::scope::{Limits, Namespace};
use super::susp::SystemUse;
use crate::bytes::{BLOCK, BLOCK_BYTES, array, le32};
use crate::records::{FIXED, FLAG_DIRECTORY, FLAG_MULTI_EXTENT};
use crate::rock_ridge::{S_IFLNK, S_IFREG};
use crate::time;

/// How names are read.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) namespace: Namespace,
    /// Bytes to skip in system use areas, from the SP entry of the root.
    pub(super) skip: usize,
    pub(super) limits: Limits,
}

/// A parsed directory record.
struct RawRecord<'a> {
    extent: Extent,
    time: [u8; 7],
    flags: u8,
    identifier: &'a [u8],
    system_use: &'a [u8],
    /// Offset of the system use area, in bytes.
    system_use_offset: u64,
    /// Offset of the record, in bytes.
    offset: u64,
}

impl<'a> RawRecord<'a> {
    /// The record at the start of `bytes`, whose first byte is its length.
    fn parse(bytes: &'a [u8], offset: u64) -> Result<Self, ReadError> {
        let len = usize::from(bytes.first().copied().unwrap_or(0));
        let short = || corrupt(offset, "a directory record is too short");
        let record = bytes
            .get(..len)
            .ok_or_else(|| corrupt(offset, "a directory record leaves its block"))?;
        let (block, length) = le32(record, 2).zip(le32(record, 10)).ok_or_else(short)?;
        let attributes = *record.get(1).ok_or_else(short)?;
        let flags = *record.get(25).ok_or_else(short)?;
        if array::<2>(record, 26).ok_or_else(short)? != [0, 0] {
            return Err(corrupt(offset, "interleaved files are not supported"));
        }
        let id_len = usize::from(*record.get(FIXED - 1).ok_or_else(short)?);
        let identifier = record.get(FIXED..FIXED + id_len).ok_or_else(short)?;
        let system_use = FIXED + id_len + usize::from(id_len.is_multiple_of(2));
        // An extended attribute record comes before the contents.
        let start = u64::from(block) + u64::from(attributes);
        Ok(Self {
            extent: Extent { offset: start * BLOCK_BYTES, length: u64::from(length) },
            time: array(record, 18).ok_or_else(short)?,
            flags,
            identifier,
            system_use: record.get(system_use..).unwrap_or_default(),
            system_use_offset: offset + system_use as u64,
            offset,
        })
    }

    /// `.` and `..` have the identifiers 0 and 1.
    fn is_dots(&self) -> bool {
        matches!(self.identifier, [0 | 1])
    }

    fn system_use<R: Read + Seek>(
        &self,
        input: &mut Input<R>,
        rules: Rules,
    ) -> Result<SystemUse, ReadError> {
        if rules.namespace != Namespace::RockRidge {
            return Ok(SystemUse::default());
        }
        let area = self.system_use.get(rules.skip..).unwrap_or_default();
        SystemUse::read(input, area, self.system_use_offset + rules.skip as u64)
    }

    fn entry(&self, name: String, system_use: SystemUse, extents: Vec<Extent>) -> Entry {
        let kind = if self.flags & FLAG_DIRECTORY != 0 {
            Kind::Directory
        } else {
            match system_use.file_type {
                None | Some(S_IFREG) => Kind::File,
                Some(S_IFLNK) => Kind::Symlink(lossy(system_use.target.unwrap_or_default())),
                Some(_) => Kind::Special,
            }
        };
        Entry {
            name,
            kind,
            posix: system_use.posix,
            mtime: system_use.mtime.or_else(|| time::parse_short(self.time)),
            extents,
            offset: self.offset,
        }
    }
}

fn lossy(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

/// The root record in a volume descriptor at `offset`.
pub(super) fn root(record: &[u8], offset: u64) -> Result<Entry, ReadError> {
    let raw = RawRecord::parse(record, offset)?;
    if raw.flags & FLAG_DIRECTORY == 0 {
        return Err(corrupt(offset, "the root is not a directory"));
    }
    Ok(raw.entry(String::new(), SystemUse::default(), vec![raw.extent]))
}

/// The system use area of the first record of a directory, its `.`, without skipping.
pub(super) fn own_system_use<R: Read + Seek>(
    input: &mut Input<R>,
    directory: &Entry,
) -> Result<SystemUse, ReadError> {
    let Some(extent) = directory.extents.first() else { return Ok(SystemUse::default()) };
    let mut block = [0; BLOCK];
    input.read_at(extent.offset, &mut block)?;
    let raw = RawRecord::parse(&block, extent.offset)?;
    SystemUse::read(input, raw.system_use, raw.system_use_offset)
}

/// The children of a directory, in the order of their records.
pub(super) fn read<R: Read + Seek>(
    input: &mut Input<R>,
    rules: Rules,
    directory: &Entry,
) -> Result<Vec<Entry>, ReadError> {
    let size = directory.size();
    if size > rules.limits.directory_bytes {
        return Err(ReadError::Limit {
            offset: directory.offset,
            what: "bytes in a directory",
            limit: rules.limits.directory_bytes,
        });
    }
    let mut out = Vec::new();
    let mut pending: Option<Pending> = None;
    for extent in &directory.extents {
        for index in 0..extent.length.div_ceil(BLOCK_BYTES) {
            let offset = extent.offset + index * BLOCK_BYTES;
            let mut block = [0; BLOCK];
            input.read_at(offset, &mut block)?;
            let mut at = 0;
            // A length of zero means that the next record is in the next block.
            while let Some(bytes) = block.get(at..).filter(|b| b.first().is_some_and(|&l| l > 0)) {
                let raw = RawRecord::parse(bytes, offset + at as u64)?;
                at += usize::from(bytes.first().copied().unwrap_or(0));
                if out.len() >= rules.limits.entries {
                    return Err(ReadError::Limit {
                        offset: raw.offset,
                        what: "files",
                        limit: rules.limits.entries as u64,
                    });
                }
                if let Some(entry) = child(input, rules, &raw, &mut pending)? {
                    out.push(entry);
                }
            }
        }
    }
    match pending {
        Some(pending) => Err(corrupt(pending.offset, "the last section of a file is missing")),
        None => Ok(out),
    }
}

/// The sections of a file so far.
struct Pending {
    identifier: Vec<u8>,
    extents: Vec<Extent>,
    offset: u64,
}

fn child<R: Read + Seek>(
    input: &mut Input<R>,
    rules: Rules,
    raw: &RawRecord<'_>,
    pending: &mut Option<Pending>,
) -> Result<Option<Entry>, ReadError> {
    if raw.is_dots() {
        return Ok(None);
    }
    let mut extents = Vec::new();
    if let Some(before) = pending.take() {
        if before.identifier != raw.identifier {
            return Err(corrupt(raw.offset, "a file's sections do not follow each other"));
        }
        extents = before.extents;
    }
    extents.push(raw.extent);
    if raw.flags & FLAG_MULTI_EXTENT != 0 {
        let identifier = raw.identifier.to_vec();
        *pending = Some(Pending { identifier, extents, offset: raw.offset });
        return Ok(None);
    }
    let mut system_use = raw.system_use(input, rules)?;
    if system_use.relocated {
        return Ok(None);
    }
    let name = name(raw, rules.namespace, system_use.name.take())?;
    if let Some(block) = system_use.child {
        return read_moved(input, rules, block, name, raw.offset).map(Some);
    }
    Ok(Some(raw.entry(name, system_use, extents)))
}

/// A folder whose records were moved to `block` (RRIP 1.12, section 4.1.5).
fn read_moved<R: Read + Seek>(
    input: &mut Input<R>,
    rules: Rules,
    block: u32,
    name: String,
    offset: u64,
) -> Result<Entry, ReadError> {
    let bytes = input.block(block)?;
    let own = RawRecord::parse(&bytes, u64::from(block) * BLOCK_BYTES)?;
    if own.identifier != [0] || own.flags & FLAG_DIRECTORY == 0 {
        return Err(corrupt(
            offset,
            "a relocated directory is not at the position of its CL entry",
        ));
    }
    let system_use = own.system_use(input, rules)?;
    Ok(Entry { offset, ..own.entry(name, system_use, vec![own.extent]) })
}

fn name(
    raw: &RawRecord<'_>,
    namespace: Namespace,
    rock_ridge: Option<Vec<u8>>,
) -> Result<String, ReadError> {
    let name = match (namespace, rock_ridge) {
        (Namespace::RockRidge, Some(name)) => lossy(name),
        (Namespace::Joliet, _) => {
            let units = raw.identifier.as_chunks::<2>().0.iter().map(|c| u16::from_be_bytes(*c));
            let name: String = char::decode_utf16(units)
                .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect();
            without_version(&name).to_owned()
        }
        _ => {
            let name = String::from_utf8_lossy(raw.identifier);
            let plain = without_version(&name);
            plain.strip_suffix('.').unwrap_or(plain).to_owned()
        }
    };
    // Names that could lead out of the folder that the image is unpacked to.
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(corrupt(
            raw.offset,
            "a name is empty, \".\", \"..\", or contains a slash or zero",
        ));
    }
    Ok(name)
}

/// The name without a version such as `;1`.
fn without_version(name: &str) -> &str {
    match name.rsplit_once(';') {
        Some((stem, version)) if version.bytes().all(|b| b.is_ascii_digit()) => stem,
        _ => name,
    }
}
