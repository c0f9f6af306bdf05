// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares ISO 9660 images.

use std::io::Cursor;

use iso9660::reader::{Entry, Kind, Volume};

use super::Difference;
use super::members::{Member, archives};

/// The differing file, if both are images. If all files are equal, placement or metadata differs,
/// and the caller reports the offset.
pub(super) fn image(first: &[u8], second: &[u8]) -> Option<Difference> {
    let (mut one, mut other) = (open(first)?, open(second)?);
    let (a, b) = (one.walk().ok()?, other.walk().ok()?);
    // One file at a time, since images are large.
    archives(
        a.into_iter().map(|(path, entry)| member(&mut one, path, &entry)),
        b.into_iter().map(|(path, entry)| member(&mut other, path, &entry)),
    )
}

fn open(bytes: &[u8]) -> Option<Volume<Cursor<&[u8]>>> {
    Volume::open(Cursor::new(bytes)).ok()
}

/// A file that cannot be read counts as empty: then the images are compared by bytes.
fn member(volume: &mut Volume<Cursor<&[u8]>>, path: String, entry: &Entry) -> Member {
    let posix = |field: fn(&iso9660::reader::Posix) -> String| {
        entry.posix.as_ref().map(field).unwrap_or_default()
    };
    let fields = vec![
        ("type", format!("{:?}", entry.kind)),
        ("mode", posix(|it| format!("{:o}", it.mode))),
        ("uid", posix(|it| it.uid.to_string())),
        ("gid", posix(|it| it.gid.to_string())),
        ("mtime", entry.mtime.map(|time| time.to_string()).unwrap_or_default()),
    ];
    let content = match entry.kind {
        Kind::File => volume.read_file(entry, entry.size()).unwrap_or_default(),
        _ => Vec::new(),
    };
    Member { path, fields, content }
}
