// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Joliet names: UCS-2 big-endian, level 3 (Joliet Specification, 22 May 1995).

use crate::names::{Parts, UniqueNames, split_extension};

/// Escape sequence of UCS-2 level 3 in the supplementary descriptor.
pub(crate) const ESCAPE: &[u8] = b"%/E";
/// Characters of a name. The specification has 64; 103 fits a directory record, and Windows, Linux
/// and `xorriso -joliet-long` accept it.
const CHARACTERS: usize = 103;
/// Characters of an extension that are kept when a name is truncated.
const EXTENSION_CHARACTERS: usize = 16;

/// The identifiers for the children of one directory, in the order given: name and whether it
/// is a directory. Files end in `;1`.
pub(crate) fn identifiers<'a>(children: impl Iterator<Item = (&'a str, bool)>) -> Vec<Vec<u8>> {
    let mut unique = UniqueNames::new();
    children
        .map(|(name, is_directory)| {
            let parts = parts(name);
            let room = CHARACTERS - parts.extension.len();
            let Parts { mut stem, extension } = unique.take(parts, room);
            stem.extend(extension);
            if !is_directory {
                stem.extend([u16::from(b';'), u16::from(b'1')]);
            }
            stem.into_iter().flat_map(u16::to_be_bytes).collect()
        })
        .collect()
}

/// The dot belongs to the extension here, so that a name without one differs.
fn parts(name: &str) -> Parts<u16> {
    let (stem, rest) = split_extension(name);
    let mut stem = characters(stem);
    let mut extension = Vec::new();
    if stem.len() < name.chars().count() {
        extension.push(u16::from(b'.'));
        extension.extend(characters(rest));
    }
    if stem.len() + extension.len() > CHARACTERS {
        extension.truncate(EXTENSION_CHARACTERS);
        stem.truncate(CHARACTERS - extension.len());
    }
    Parts { stem, extension }
}

/// UCS-2 units, with `_` for characters that Joliet forbids or UCS-2 lacks.
fn characters(text: &str) -> Vec<u16> {
    let allowed = |c: char| !c.is_control() && !matches!(c, '*' | '/' | ':' | ';' | '?' | '\\');
    text.chars()
        .map(|c| match u16::try_from(u32::from(c)) {
            Ok(unit) if allowed(c) => unit,
            _ => u16::from(b'_'),
        })
        .collect()
}

/// UCS-2 big-endian of a label, truncated to `limit` characters.
pub(crate) fn label(text: &str, limit: usize) -> Vec<u8> {
    characters(text).into_iter().take(limit).flat_map(u16::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[(&str, bool)]) -> Vec<String> {
        identifiers(names.iter().copied())
            .into_iter()
            .map(|id| {
                let units: Vec<u16> =
                    id.chunks(2).map(|c| u16::from_be_bytes([c[0], c[1]])).collect();
                String::from_utf16(&units).unwrap()
            })
            .collect()
    }

    #[test]
    fn names_are_kept_but_for_forbidden_characters() {
        let names = [("user-data", false), ("ünï 😀?.txt", false), ("a.", false), ("d.d", true)];
        assert_eq!(texts(&names), ["user-data;1", "ünï __.txt;1", "a.;1", "d.d"]);
    }

    #[test]
    fn long_names_are_cut_and_stay_apart() {
        let long = "x".repeat(120);
        let names = [(format!("{long}.txt"), false), (format!("{long}2.txt"), false)];
        let names: Vec<_> = names.iter().map(|(n, d)| (n.as_str(), *d)).collect();
        let expected = [format!("{}.txt;1", "x".repeat(99)), format!("{}_1.txt;1", "x".repeat(97))];
        assert_eq!(texts(&names), expected);
    }
}
