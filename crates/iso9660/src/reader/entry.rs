// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Entries of a directory.

/// Type of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link and its target.
    Symlink(String),
    /// A device, pipe or socket, which can be listed but not read.
    Special,
}

/// Owner and permissions, as Rock Ridge records them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posix {
    /// Permission bits, such as `0o444`.
    pub mode: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Number of links.
    pub links: u32,
}

/// A run of bytes in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Bytes from the start of the image.
    pub(super) offset: u64,
    /// Bytes.
    pub(super) length: u64,
}

/// A file, folder or link in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name, never empty but for the root, never `.` or `..`, without `/` and zero bytes.
    /// Invalid UTF-8 or UTF-16 is replaced by U+FFFD.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Owner and permissions; only with Rock Ridge.
    pub posix: Option<Posix>,
    /// Time of modification in seconds since 1970, if it is valid.
    pub mtime: Option<i64>,
    pub(super) extents: Vec<Extent>,
    /// Offset of its directory record in bytes.
    pub(super) offset: u64,
}

impl Entry {
    /// Offset of the contents in bytes from the start of the image; `None` without contents.
    pub fn start(&self) -> Option<u64> {
        self.extents.first().map(|extent| extent.offset)
    }

    /// Length of the contents in bytes, of all sections together.
    pub fn size(&self) -> u64 {
        self.extents.iter().map(|extent| extent.length).sum()
    }

    /// Whether it is a folder.
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }
}
