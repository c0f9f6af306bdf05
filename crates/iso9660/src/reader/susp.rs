// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! System use areas: SUSP 1.12 and the supported Rock Ridge entries (RRIP 1.12).

use std::io::{Read, Seek};

use super::entry::Posix;
use super::error::{ReadError, corrupt};
use super::input::Input;
use crate::bytes::{BLOCK_BYTES, array, le32};
use crate::rock_ridge::component::{CONTINUE, CURRENT, PARENT, ROOT};
use crate::time;

/// Most continuation areas of one record; Linux follows 32.
const MAX_AREAS: usize = 32;
/// Most bytes of a name or of a symlink's target.
const MAX_TEXT: usize = 4096;

/// Content of the system use area of one record.
#[derive(Default)]
pub(super) struct SystemUse {
    /// Bytes to skip in other records, from SP.
    pub(super) skip: Option<u8>,
    /// Whether there was a Rock Ridge entry.
    pub(super) rock_ridge: bool,
    /// `st_mode` with the file type, from PX.
    pub(super) file_type: Option<u32>,
    pub(super) posix: Option<Posix>,
    pub(super) mtime: Option<i64>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) target: Option<Vec<u8>>,
    /// The block of the folder that was moved away from here, from CL.
    pub(super) child: Option<u32>,
    /// The record is a folder that was moved here, from RE.
    pub(super) relocated: bool,
    /// No separator comes before the next component of the target: it is the first, or follows
    /// the root, or continues the one before.
    joined: bool,
}

impl SystemUse {
    /// Reads the area and its continuations. `offset` is the area's position, for messages.
    pub(super) fn read<R: Read + Seek>(
        input: &mut Input<R>,
        area: &[u8],
        offset: u64,
    ) -> Result<Self, ReadError> {
        let mut out = Self::default();
        let mut next = out.area(area, offset)?;
        let mut areas = 0;
        while let Some((offset, len)) = next {
            areas += 1;
            if areas > MAX_AREAS {
                let limit = MAX_AREAS as u64;
                return Err(ReadError::Limit { offset, what: "continuation areas", limit });
            }
            let mut area = vec![0; len];
            input.read_at(offset, &mut area)?;
            next = out.area(&area, offset)?;
        }
        Ok(out)
    }

    /// Reads one area. Returns where it continues, in bytes.
    fn area(&mut self, mut area: &[u8], start: u64) -> Result<Option<(u64, usize)>, ReadError> {
        let whole = area.len();
        let mut next = None;
        // Fewer than four bytes are padding, and so is a zero.
        while let [a, b, len, _version, ..] = *area {
            if a == 0 {
                break;
            }
            let offset = start + (whole - area.len()) as u64;
            let Some((entry, rest)) = area.split_at_checked(usize::from(len)) else {
                return Err(corrupt(offset, "a system use entry is longer than its area"));
            };
            let Some(data) = entry.get(4..) else {
                return Err(corrupt(offset, "a system use entry is shorter than its head"));
            };
            match &[a, b] {
                b"ST" => break,
                b"CE" => next = Some(continuation(data, offset)?),
                signature => self.entry(*signature, data, offset)?,
            }
            area = rest;
        }
        Ok(next)
    }

    fn entry(&mut self, signature: [u8; 2], data: &[u8], offset: u64) -> Result<(), ReadError> {
        let known =
            matches!(&signature, b"PX" | b"TF" | b"NM" | b"SL" | b"CL" | b"PL" | b"RE" | b"RR");
        self.rock_ridge |= known;
        match &signature {
            b"SP" => {
                if let [0xBE, 0xEF, skip, ..] = data {
                    self.skip = Some(*skip);
                }
            }
            b"PX" => {
                let number = |i: usize| le32(data, i * 8);
                let (Some(mode), Some(links), Some(uid), Some(gid)) =
                    (number(0), number(1), number(2), number(3))
                else {
                    return Err(corrupt(offset, "a PX entry is too short"));
                };
                self.file_type = Some(mode & crate::rock_ridge::S_IFMT);
                self.posix = Some(Posix { mode: mode & 0o7777, uid, gid, links });
            }
            b"TF" => self.times(data),
            b"NM" => {
                let Some((flags, text)) = data.split_first() else {
                    return Err(corrupt(offset, "an NM entry is too short"));
                };
                // Bits 1 and 2 mean "." and "..", whose records are known anyway.
                if flags & 0b110 == 0 {
                    append(self.name.get_or_insert_default(), text, offset)?;
                }
            }
            b"SL" => {
                let Some((_flags, components)) = data.split_first() else {
                    return Err(corrupt(offset, "an SL entry is too short"));
                };
                self.components(components, offset)?;
            }
            b"CL" => {
                let block = le32(data, 0);
                self.child = Some(block.ok_or_else(|| corrupt(offset, "a CL entry is too short"))?);
            }
            b"RE" => self.relocated = true,
            _ => {}
        }
        Ok(())
    }

    /// Only the time of modification, which comes after that of creation.
    fn times(&mut self, data: &[u8]) {
        const CREATION: u8 = 1;
        const MODIFY: u8 = 1 << 1;
        const LONG: u8 = 1 << 7;
        let Some(&flags) = data.first() else { return };
        if flags & MODIFY == 0 {
            return;
        }
        let index = usize::from(flags & CREATION);
        self.mtime = if flags & LONG == 0 {
            array(data, 1 + 7 * index).and_then(time::parse_short)
        } else {
            array(data, 1 + 17 * index).and_then(|date: [u8; 17]| time::parse_long(&date))
        };
    }

    /// Joins components as Linux does: a `/` between all but after the root.
    fn components(&mut self, mut data: &[u8], offset: u64) -> Result<(), ReadError> {
        while let [flags, len, rest @ ..] = data {
            let Some((text, rest)) = rest.split_at_checked(usize::from(*len)) else {
                return Err(corrupt(offset, "a symlink component is longer than its entry"));
            };
            let joined = self.joined || self.target.is_none();
            let target = self.target.get_or_insert_default();
            if !joined {
                append(target, b"/", offset)?;
            }
            let text: &[u8] = match flags & (CURRENT | PARENT | ROOT) {
                CURRENT => b".",
                PARENT => b"..",
                ROOT => b"/",
                _ => text,
            };
            append(target, text, offset)?;
            self.joined = flags & (CONTINUE | ROOT) != 0;
            data = rest;
        }
        Ok(())
    }
}

fn append(target: &mut Vec<u8>, text: &[u8], offset: u64) -> Result<(), ReadError> {
    if target.len() + text.len() > MAX_TEXT {
        let limit = MAX_TEXT as u64;
        return Err(ReadError::Limit { offset, what: "bytes of a name or a target", limit });
    }
    target.extend_from_slice(text);
    Ok(())
}

fn continuation(data: &[u8], offset: u64) -> Result<(u64, usize), ReadError> {
    let (Some(block), Some(within), Some(len)) = (le32(data, 0), le32(data, 8), le32(data, 16))
    else {
        return Err(corrupt(offset, "a CE entry is too short"));
    };
    if u64::from(within) + u64::from(len) > BLOCK_BYTES {
        return Err(corrupt(offset, "a continuation area leaves its block"));
    }
    let len = usize::try_from(len).map_err(|_| corrupt(offset, "a CE entry is too long"))?;
    Ok((u64::from(block) * BLOCK_BYTES + u64::from(within), len))
}
