// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares archives by members: shared code, tar, ar and cpio.

use std::io::Read as _;

use super::{Difference, What, bytes};
use crate::ar as ops_ar;

/// The difference, if both are tar archives.
pub(super) fn tar(first: &[u8], second: &[u8]) -> Option<Difference> {
    archives(of_tar(first)?, of_tar(second)?)
}

/// The difference, if both are `ar` archives, such as Debian packages.
pub(super) fn ar(first: &[u8], second: &[u8]) -> Option<Difference> {
    let read = |bytes| -> Option<Vec<Member>> {
        let members = ops_ar::members(bytes)?.into_iter();
        let owned = members.map(|it| Member {
            path: it.name,
            fields: it.fields.to_vec(),
            content: it.content.to_owned(),
        });
        Some(owned.collect())
    };
    archives(read(first)?, read(second)?)
}

/// The first difference of two lists of members; `None` if all members are equal and only padding
/// differs.
pub(super) fn archives(
    first: impl IntoIterator<Item = Member>,
    second: impl IntoIterator<Item = Member>,
) -> Option<Difference> {
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let (a, b) = (first.next(), second.next());
        let (Some(one), Some(other)) = (&a, &b) else {
            // All members are equal: padding differs.
            (a.is_some() || b.is_some()).then_some(())?;
            return Some(other_members(a, b));
        };
        if one.path != other.path {
            return Some(other_members(a, b));
        }
        let fields = one.fields.iter().zip(&other.fields);
        if let Some(((name, x), (_, y))) = fields.clone().find(|(x, y)| x != y)
            && one.content == other.content
        {
            let what = What::Field { name, first: x.clone(), second: y.clone() };
            return Some(Difference { place: vec![one.path.clone()], what });
        }
        if let Some(inner) = bytes(&one.content, &other.content) {
            return Some(inner.nest_in(&one.path));
        }
    }
}

fn other_members(first: Option<Member>, second: Option<Member>) -> Difference {
    let path = |member: Option<Member>| member.map(|member| member.path);
    let what = What::Members { first: path(first), second: path(second) };
    Difference { place: Vec::new(), what }
}

/// A member of an archive.
pub(super) struct Member {
    /// Path or name.
    pub(super) path: String,
    /// Header fields.
    pub(super) fields: Vec<(&'static str, String)>,
    /// Content.
    pub(super) content: Vec<u8>,
}

/// The members of a tar archive; `None` if it is not one.
fn of_tar(bytes: &[u8]) -> Option<Vec<Member>> {
    // POSIX ustar: `magic` in the header of the first member.
    if bytes.get(257..262)? != b"ustar" {
        return None;
    }
    let mut archive = ::tar::Archive::new(bytes);
    let mut members = Vec::new();
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        let path = entry.path().ok()?.to_string_lossy().into_owned();
        let header = entry.header();
        let number =
            |value: std::io::Result<u64>| value.map_or_else(|_| "?".to_owned(), |n| n.to_string());
        let link = entry.link_name().ok()?.map(|link| link.to_string_lossy().into_owned());
        let fields = vec![
            ("type", format!("{:?}", header.entry_type())),
            ("mode", header.mode().map_or_else(|_| "?".to_owned(), |mode| format!("{mode:o}"))),
            ("uid", number(header.uid())),
            ("gid", number(header.gid())),
            ("mtime", number(header.mtime())),
            ("link", link.unwrap_or_default()),
        ];
        let mut content = Vec::new();
        entry.read_to_end(&mut content).ok()?;
        members.push(Member { path, fields, content });
    }
    Some(members)
}

/// The difference, if both are cpio archives, such as an RPM payload.
pub(super) fn cpio(first: &[u8], second: &[u8]) -> Option<Difference> {
    archives(of_cpio(first)?, of_cpio(second)?)
}

/// The members of a cpio archive in `newc` format (Linux, "initramfs buffer format"): a header of
/// 13 numbers in 8 hex digits each, the name and the content, each padded to a multiple of four
/// bytes.
fn of_cpio(mut bytes: &[u8]) -> Option<Vec<Member>> {
    const HEADER: usize = 110;
    let mut members = Vec::new();
    loop {
        let header = bytes.get(..HEADER)?;
        if !matches!(header.get(..6)?, b"070701" | b"070702") {
            return None;
        }
        let number = |at: usize| {
            let digits = header.get(6 + 8 * at..14 + 8 * at)?;
            u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
        };
        let (size, name_size) = (number(6)? as usize, number(11)? as usize);
        let name = bytes.get(HEADER..HEADER.checked_add(name_size)?)?;
        let path = String::from_utf8_lossy(name.strip_suffix(&[0])?).into_owned();
        if path == "TRAILER!!!" {
            return Some(members);
        }
        let start = HEADER.checked_add(name_size)?.checked_next_multiple_of(4)?;
        let end = start.checked_add(size)?;
        let fields = vec![
            ("mode", format!("{:o}", number(1)?)),
            ("uid", number(2)?.to_string()),
            ("gid", number(3)?.to_string()),
            ("mtime", number(5)?.to_string()),
            ("inode", number(0)?.to_string()),
        ];
        members.push(Member { path, fields, content: bytes.get(start..end)?.to_owned() });
        bytes = bytes.get(end.checked_next_multiple_of(4)?..)?;
    }
}
