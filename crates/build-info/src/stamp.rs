// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writes an identity to a linked executable, and reads it.

use std::ops::Range;

use elf::ElfBytes;
use elf::endian::AnyEndian;

use crate::{NOTE_TYPE, OWNER, SECTION, TEXT_SIZE};

/// Size of the note before its text, in bytes.
const HEADER_SIZE: usize = 16;

/// Reason why an executable or a text is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not a valid ELF file.
    #[error("cannot be read as an ELF file: {0}")]
    NotElf(String),
    /// The section of the note is missing.
    #[error(
        "it has no section {SECTION}: a program has one that prints `build_info::long_version()`"
    )]
    NoSection,
    /// The section has another note.
    #[error("its section {SECTION} has another note")]
    OtherNote,
    /// The text does not fit the note.
    #[error("the identity has {size} bytes, at most {max} fit", max = TEXT_SIZE - 1)]
    TooLong {
        /// Size of the text in bytes.
        size: usize,
    },
    /// The text contains a NUL, which would end it.
    #[error("the identity contains a NUL")]
    ZeroByte,
}

/// Writes `text` to the note of `executable` in place; all other bytes are unchanged.
///
/// # Errors
/// When the note is missing, or `text` does not fit.
pub fn stamp(executable: &mut [u8], text: &str) -> Result<(), Error> {
    if text.len() >= TEXT_SIZE {
        return Err(Error::TooLong { size: text.len() });
    }
    if text.contains('\0') {
        return Err(Error::ZeroByte);
    }
    let range = place(executable)?;
    let place = executable.get_mut(range).ok_or(Error::OtherNote)?;
    let (start, padding) = place.split_at_mut(text.len());
    start.copy_from_slice(text.as_bytes());
    padding.fill(0);
    Ok(())
}

/// Returns the text in the note of `executable`, without padding.
pub fn read(executable: &[u8]) -> Result<&[u8], Error> {
    let text = executable.get(place(executable)?).ok_or(Error::OtherNote)?;
    Ok(text.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// Byte range of the text.
fn place(executable: &[u8]) -> Result<Range<usize>, Error> {
    let not_elf = |error: elf::ParseError| Error::NotElf(error.to_string());
    let file = ElfBytes::<AnyEndian>::minimal_parse(executable).map_err(not_elf)?;
    let header = file.section_header_by_name(SECTION).map_err(not_elf)?.ok_or(Error::NoSection)?;
    let start = usize::try_from(header.sh_offset).map_err(|_| Error::OtherNote)?;
    let text = start.checked_add(HEADER_SIZE).ok_or(Error::OtherNote)?;
    let end = text.checked_add(TEXT_SIZE).ok_or(Error::OtherNote)?;
    let sizes = [OWNER.len(), TEXT_SIZE].map(|size| u32::try_from(size).unwrap_or(u32::MAX));
    let words = [sizes[0], sizes[1], NOTE_TYPE].map(u32::to_le_bytes);
    let expected = [words.as_flattened(), &OWNER].concat();
    let is_ours = header.sh_type == elf::abi::SHT_NOTE
        && header.sh_size == (HEADER_SIZE + TEXT_SIZE) as u64
        && executable.get(start..text).is_some_and(|found| found == expected);
    if is_ours { Ok(text..end) } else { Err(Error::OtherNote) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This test binary, which has the note because it links this crate.
    fn read_own() -> Vec<u8> {
        assert!(crate::version().ends_with("-dev"));
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn two_stamps_of_one_executable_differ_in_the_section_alone() {
        let first = "{\"version\":\"1.2.3\",\"commit\":\"0f3c\"}";
        let second = "{\"version\":\"10.20.30-rc.4\"}";
        let [mut one, mut two, original] = [read_own(), read_own(), read_own()];
        stamp(&mut one, first).unwrap();
        stamp(&mut two, second).unwrap();
        assert_eq!(read(&one), Ok(first.as_bytes()));
        assert_eq!(read(&two), Ok(second.as_bytes()));
        let section = place(&original).unwrap();
        let differing = |a: &[u8], b: &[u8]| {
            assert_eq!(a.len(), b.len());
            let places = a.iter().zip(b).enumerate().filter(|(_, (a, b))| a != b);
            places.map(|(at, _)| at).collect::<Vec<_>>()
        };
        for (a, b) in [(&one, &two), (&one, &original), (&two, &original)] {
            let places = differing(a, b);
            assert!(!places.is_empty());
            assert!(places.iter().all(|at| section.contains(at)), "{places:?} outside {section:?}");
        }
        stamp(&mut two, first).unwrap();
        assert!(one == two, "a shorter text leaves nothing of a longer one");
    }

    #[test]
    fn what_cannot_be_stamped_is_refused_and_left_alone() {
        let mut binary = read_own();
        let original = binary.clone();
        let fits = "x".repeat(TEXT_SIZE - 1);
        let long = "x".repeat(TEXT_SIZE);
        assert_eq!(stamp(&mut binary, &long), Err(Error::TooLong { size: TEXT_SIZE }));
        assert_eq!(stamp(&mut binary, "a\0b"), Err(Error::ZeroByte));
        assert!(binary == original);
        assert_eq!(stamp(&mut binary, &fits), Ok(()));
        assert_eq!(read(&binary), Ok(fits.as_bytes()));

        let header = place(&binary).unwrap().start - HEADER_SIZE;
        binary[header] = 5;
        assert_eq!(stamp(&mut binary, "x"), Err(Error::OtherNote));
        let name = SECTION.as_bytes();
        // The last occurrence is the section name.
        let at = binary.windows(name.len()).rposition(|it| it == name).unwrap();
        binary[at + 1] = b'x';
        assert_eq!(stamp(&mut binary, "x"), Err(Error::NoSection));
        assert!(matches!(stamp(&mut binary[..40], "x"), Err(Error::NotElf(_))));
        assert!(matches!(read(b"#!/bin/sh"), Err(Error::NotElf(_))));
    }
}
