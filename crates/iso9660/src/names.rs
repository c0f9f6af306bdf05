// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Identifiers of the primary tree: ECMA-119 7.5 to 7.6 and 10.3 (level 3 has the names of
//! level 2: up to 30 characters and a dot in files, up to 31 in directories).
//!
//! Readers with Rock Ridge or Joliet never show them.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

/// Characters in the name and extension of a file, without the dot.
const FILE_CHARACTERS: usize = 30;
/// Characters of an extension that are kept.
const EXTENSION_CHARACTERS: usize = 8;
/// Characters in the name of a directory.
const DIRECTORY_CHARACTERS: usize = 31;

/// A name split in two, so that a number fits before the extension.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Parts<C> {
    pub(crate) stem: Vec<C>,
    pub(crate) extension: Vec<C>,
}

/// Makes the names of a directory unique.
pub(crate) struct UniqueNames<C> {
    used: HashSet<Parts<C>>,
    next: HashMap<Parts<C>, u32>,
}

impl<C: Copy + Eq + Hash + From<u8>> UniqueNames<C> {
    pub(crate) fn new() -> Self {
        Self { used: HashSet::new(), next: HashMap::new() }
    }

    /// `parts` unchanged, or with a number at the end of the stem, which may have `room`
    /// characters.
    pub(crate) fn take(&mut self, parts: Parts<C>, room: usize) -> Parts<C> {
        if self.used.insert(parts.clone()) {
            return parts;
        }
        let next = self.next.entry(parts.clone()).or_insert(0);
        loop {
            *next += 1;
            let number = format!("_{next}");
            let mut stem = parts.stem.clone();
            stem.truncate(room.saturating_sub(number.len()));
            stem.extend(number.bytes().map(C::from));
            let candidate = Parts { stem, extension: parts.extension.clone() };
            if self.used.insert(candidate.clone()) {
                return candidate;
            }
        }
    }
}

/// Splits at the last dot, unless that is the first character.
pub(crate) fn split_extension(name: &str) -> (&str, &str) {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, extension),
        _ => (name, ""),
    }
}

/// The identifiers for the children of one directory, in the order given: name and whether it
/// is a directory.
pub(crate) fn identifiers<'a>(children: impl Iterator<Item = (&'a str, bool)>) -> Vec<Vec<u8>> {
    let mut unique = UniqueNames::new();
    children.map(|(name, is_directory)| identifier(&mut unique, name, is_directory)).collect()
}

fn identifier(unique: &mut UniqueNames<u8>, name: &str, is_directory: bool) -> Vec<u8> {
    if is_directory {
        let stem = d_characters(name, DIRECTORY_CHARACTERS);
        return unique.take(Parts { stem, extension: Vec::new() }, DIRECTORY_CHARACTERS).stem;
    }
    let (stem, extension) = split_extension(name);
    let extension = d_characters(extension, EXTENSION_CHARACTERS);
    let room = FILE_CHARACTERS - extension.len();
    let parts = unique.take(Parts { stem: d_characters(stem, room), extension }, room);
    [&parts.stem, b".".as_slice(), &parts.extension, b";1"].concat()
}

/// Upper case, with `_` for every character that is not a d-character (ECMA-119 7.4.1).
fn d_characters(text: &str, limit: usize) -> Vec<u8> {
    text.chars()
        .take(limit)
        .map(|c| match u8::try_from(c) {
            Ok(byte) if byte.is_ascii_alphanumeric() => byte.to_ascii_uppercase(),
            _ => b'_',
        })
        .collect()
}

/// The key that ECMA-119 9.3 sorts by: name and extension, each filled up with spaces, so that
/// a shorter name comes first. No d-character is below a space.
pub(crate) fn sort_key(identifier: &[u8]) -> (&[u8], &[u8]) {
    let name = identifier.strip_suffix(b";1").unwrap_or(identifier);
    match name.iter().position(|&b| b == b'.') {
        Some(dot) => (name.get(..dot).unwrap_or(name), name.get(dot + 1..).unwrap_or_default()),
        None => (name, &[]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[(&str, bool)]) -> Vec<String> {
        identifiers(names.iter().copied())
            .into_iter()
            .map(|id| String::from_utf8(id).unwrap())
            .collect()
    }

    #[test]
    fn names_become_d_characters() {
        let names = [
            ("recipe.json", false),
            ("recipe.schema.json", false),
            ("user-data", false),
            (".profile", false),
            ("ünï.tar.gz", false),
            ("conf.d", true),
        ];
        assert_eq!(
            texts(&names),
            [
                "RECIPE.JSON;1",
                "RECIPE_SCHEMA.JSON;1",
                "USER_DATA.;1",
                "_PROFILE.;1",
                "_N__TAR.GZ;1",
                "CONF_D"
            ]
        );
    }

    #[test]
    fn names_that_fall_together_get_numbers() {
        let long = "x".repeat(40);
        let names = [
            ("a b", false),
            ("a-b", false),
            ("a_b", true),
            ("A_B_1", false),
            (long.as_str(), false),
            (&format!("{long}2"), false),
        ];
        assert_eq!(
            texts(&names),
            [
                "A_B.;1",
                "A_B_1.;1",
                "A_B_2",
                "A_B_1_1.;1",
                "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXX.;1",
                "XXXXXXXXXXXXXXXXXXXXXXXXXXXX_1.;1"
            ]
        );
    }

    #[test]
    fn the_order_is_by_name_and_then_extension() {
        let mut ids: Vec<&[u8]> = vec![b"A_B.C;1", b"A.D;1", b"AB", b"A.C;1", b"A1.;1"];
        ids.sort_by_key(|id| sort_key(id));
        assert_eq!(ids, [b"A.C;1".as_slice(), b"A.D;1", b"A1.;1", b"AB", b"A_B.C;1"]);
    }
}
