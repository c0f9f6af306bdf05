// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Which names of an image are read, and how much of it.

/// The tree of names that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// The primary tree with Rock Ridge: names, modes, owners, times and symlinks.
    RockRidge,
    /// The Joliet tree: names.
    Joliet,
    /// The primary tree as it is: upper-case names.
    Plain,
}

/// What an image may make the reader do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in one directory.
    pub directory_bytes: u64,
    /// Entries in one directory, and in all that [`Volume::walk`](super::Volume::walk) lists.
    pub entries: usize,
    /// Folders inside each other that [`Volume::walk`](super::Volume::walk) enters.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { directory_bytes: 64 << 20, entries: 1 << 20, depth: crate::MAX_DEPTH + 1 }
    }
}
