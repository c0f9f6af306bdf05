// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Rock Ridge entries: names, modes, owners, times and symlinks (RRIP 1.12), and their continuation
//! when a directory record is full (SUSP 1.12, section 5.1, CE).

use crate::bytes::{BLOCK, encode_both32, put};
use crate::items::{Item, Kind};
use crate::time;
use component::{CONTINUE, CURRENT, PARENT, ROOT};

/// The ER entry, which identifies the extension (RRIP 1.12, section 4.3).
const EXTENSION_ID: &[u8] = b"IEEE_P1282";
const EXTENSION_DESCRIPTOR: &[u8] =
    b"THE IEEE P1282 PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS";
const EXTENSION_SOURCE: &[u8] =
    b"PLEASE CONTACT THE IEEE STANDARDS DEPARTMENT, PISCATAWAY, NJ, USA FOR THE P1282 SPECIFICATION";

/// File types of POSIX in `st_mode`.
pub(crate) const S_IFMT: u32 = 0o170_000;
pub(crate) const S_IFDIR: u32 = 0o040_000;
pub(crate) const S_IFREG: u32 = 0o100_000;
pub(crate) const S_IFLNK: u32 = 0o120_000;

/// Flags of a component in an SL entry (RRIP 1.12, section 4.1.3.1).
pub(crate) mod component {
    pub(crate) const CONTINUE: u8 = 1;
    pub(crate) const CURRENT: u8 = 1 << 1;
    pub(crate) const PARENT: u8 = 1 << 2;
    pub(crate) const ROOT: u8 = 1 << 3;
}

/// Longest text of one NM entry or one component of an SL entry.
const NAME_ROOM: usize = 250;
const COMPONENT_ROOM: usize = 248;
/// Length of a CE entry.
const CE_LEN: usize = 28;

/// The record of a directory that the entries are for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// `.` of the root, which announces SUSP and the extension.
    RootSelf,
    /// `.` of another directory, and every `..`.
    Dots,
    /// A child with its name.
    Child,
}

fn entry(signature: [u8; 2], data: &[u8]) -> Vec<u8> {
    let [a, b] = signature;
    // No caller gives more than 251 bytes of data.
    let len = u8::try_from(data.len() + 4).unwrap_or(u8::MAX);
    let mut out = vec![a, b, len, 1];
    out.extend_from_slice(data);
    out
}

/// The entries of one directory record.
pub(crate) fn entries(item: &Item<'_>, serial: u32, role: Role) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    if role == Role::RootSelf {
        // SUSP 5.3: check bytes, and no bytes to skip in other records.
        out.push(entry(*b"SP", &[0xBE, 0xEF, 0]));
    }
    let metadata = item.metadata;
    let (file_type, links) = match item.kind {
        // A subdirectory's `..` counts as a link, as on a disk.
        Kind::Directory { subdirectories } => (S_IFDIR, subdirectories.saturating_add(2)),
        Kind::File(_) => (S_IFREG, 1),
        Kind::Symlink(_) => (S_IFLNK, 1),
    };
    let numbers = [file_type | metadata.mode, links, metadata.uid, metadata.gid, serial];
    out.push(entry(*b"PX", &numbers.map(encode_both32).concat()));
    // Modification, access and attribute change, 7 bytes each.
    let moment = time::encode_short(metadata.mtime);
    out.push(entry(*b"TF", &[[0x0E].as_slice(), &moment, &moment, &moment].concat()));
    if role == Role::Child {
        let mut pieces = item.name.as_bytes().chunks(NAME_ROOM).peekable();
        while let Some(piece) = pieces.next() {
            let flags = u8::from(pieces.peek().is_some());
            out.push(entry(*b"NM", &[&[flags], piece].concat()));
        }
        if let Kind::Symlink(target) = item.kind {
            out.extend(symlink(target));
        }
    }
    if role == Role::RootSelf {
        let len = |text: &[u8]| u8::try_from(text.len()).unwrap_or(u8::MAX);
        let lengths = [len(EXTENSION_ID), len(EXTENSION_DESCRIPTOR), len(EXTENSION_SOURCE), 1];
        let data = [&lengths, EXTENSION_ID, EXTENSION_DESCRIPTOR, EXTENSION_SOURCE].concat();
        out.push(entry(*b"ER", &data));
    }
    out
}

/// SL entries for a target (RRIP 1.12, section 4.1.3). An empty part, as in `a//b` or `a/`, is
/// a component without text.
fn symlink(target: &str) -> Vec<Vec<u8>> {
    let mut components: Vec<Vec<u8>> = Vec::new();
    for (i, part) in target.split('/').enumerate() {
        match part {
            "" if i == 0 => components.push(vec![ROOT, 0]),
            // The target "/" splits into two empty parts, and ROOT covers it.
            "" if target == "/" => {}
            "" => components.push(vec![0, 0]),
            "." => components.push(vec![CURRENT, 0]),
            ".." => components.push(vec![PARENT, 0]),
            text => {
                let mut pieces = text.as_bytes().chunks(COMPONENT_ROOM).peekable();
                while let Some(piece) = pieces.next() {
                    let flags = if pieces.peek().is_some() { CONTINUE } else { 0 };
                    let len = u8::try_from(piece.len()).unwrap_or(u8::MAX);
                    components.push([&[flags, len], piece].concat());
                }
            }
        }
    }
    let mut groups: Vec<Vec<u8>> = vec![Vec::new()];
    for component in components {
        match groups.last_mut() {
            Some(group) if group.len() + component.len() <= NAME_ROOM => group.extend(component),
            _ => groups.push(component),
        }
    }
    let last = groups.len() - 1;
    groups
        .into_iter()
        .enumerate()
        .map(|(i, group)| entry(*b"SL", &[&[u8::from(i < last)], group.as_slice()].concat()))
        .collect()
}

/// The continuation area of one directory: blocks after its records.
pub(crate) struct Continuation {
    /// Block number where the area starts.
    pub(crate) block: u32,
    /// Its content so far.
    pub(crate) data: Vec<u8>,
}

impl Continuation {
    /// Returns the entries that stay in the record, which has `room` bytes; the rest goes to the
    /// area. No piece crosses a block boundary, because Linux reads none that does.
    pub(crate) fn place(&mut self, entries: &[Vec<u8>], room: usize) -> Vec<u8> {
        let (mut inline, mut rest) = take(entries, room);
        let mut link_at: Option<usize> = None;
        while !rest.is_empty() {
            // A piece holds at least one entry of up to 255 bytes and a link onward.
            if BLOCK - self.data.len() % BLOCK < 255 + CE_LEN {
                self.data.resize(self.data.len().next_multiple_of(BLOCK), 0);
            }
            let start = self.data.len();
            let (piece, remaining) = take(rest, BLOCK - start % BLOCK);
            self.data.extend(piece);
            let end = self.data.len();
            if !remaining.is_empty() {
                // The link to the next piece, filled in when its position is known.
                self.data.resize(end + CE_LEN, 0);
            }
            let link = self.link(start, self.data.len() - start);
            match link_at {
                None => inline.extend(link),
                Some(at) => put(&mut self.data, at, &link),
            }
            link_at = Some(end);
            rest = remaining;
        }
        inline
    }

    fn link(&self, offset: usize, len: usize) -> Vec<u8> {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let block = self.block.saturating_add(number(offset / BLOCK));
        entry(*b"CE", &[block, number(offset % BLOCK), number(len)].map(encode_both32).concat())
    }
}

/// The first entries that fit into `room`, leaving space for a link if some remain.
fn take(entries: &[Vec<u8>], room: usize) -> (Vec<u8>, &[Vec<u8>]) {
    let total: usize = entries.iter().map(Vec::len).sum();
    let room = if total <= room { room } else { room.saturating_sub(CE_LEN) };
    let mut out = Vec::new();
    let mut taken = 0;
    for entry in entries {
        if out.len() + entry.len() > room {
            break;
        }
        out.extend_from_slice(entry);
        taken += 1;
    }
    (out, entries.get(taken..).unwrap_or_default())
}
