// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Whiteouts: layer entries that delete files of lower layers (OCI image specification, "Image
//! Layer Filesystem Changeset").

const PREFIX: &[u8] = b".wh.";

/// A whiteout, parsed from the file name of a layer entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whiteout<'a> {
    /// `.wh..wh..opq`: deletes all content of the entry's folder in lower layers.
    Opaque,
    /// `.wh.NAME`: deletes the file or folder `NAME` in the entry's folder. `NAME` is unvalidated
    /// and may be empty or `..`.
    Name(&'a [u8]),
    /// `.wh..wh.plnk` and similar AUFS metadata, which deletes nothing.
    Nothing,
}

impl<'a> Whiteout<'a> {
    /// Parses the file name of a layer entry; `None` if it is not a whiteout.
    pub fn parse(name: &'a [u8]) -> Option<Self> {
        Some(match name.strip_prefix(PREFIX)? {
            b".wh..opq" => Self::Opaque,
            deleted if deleted.starts_with(PREFIX) => Self::Nothing,
            deleted => Self::Name(deleted),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_classified() {
        for (name, expected) in [
            (".wh..wh..opq", Some(Whiteout::Opaque)),
            (".wh..wh.plnk", Some(Whiteout::Nothing)),
            (".wh.gone", Some(Whiteout::Name(b"gone"))),
            (".wh...", Some(Whiteout::Name(b".."))),
            (".wh.", Some(Whiteout::Name(b""))),
            ("file.wh.x", None),
            (".wh", None),
        ] {
            assert_eq!(Whiteout::parse(name.as_bytes()), expected, "{name}");
        }
    }
}
