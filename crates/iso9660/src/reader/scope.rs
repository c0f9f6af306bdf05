// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Which names of an image are read, and with which limits.

/// The tree of names that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// The primary tree with Rock Ridge: names, modes, owners, times and symlinks.
    RockRidge,
    /// The Joliet tree: names.
    Joliet,
    /// The primary tree without extensions: upper-case names.
    Plain,
}

/// Limits for reading an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in one directory.
    pub directory_bytes: u64,
    /// Entries in one directory, and in all that [`Volume::walk`](super::Volume::walk) lists.
    pub entries: usize,
    /// Depth of folders for [`Volume::walk`](super::Volume::walk).
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { directory_bytes: 64 << 20, entries: 1 << 20, depth: crate::MAX_DEPTH + 1 }
    }
}
