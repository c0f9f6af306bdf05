// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Where two files differ, told as far inside as it can be: the member of an archive in an archive,
//! the section of an executable, the value in a document, the offset and the bytes.

mod elf;
mod iso;
mod json;
mod members;
mod rpm;
mod squashfs;

use std::fmt;
use std::io::Read as _;

use flate2::read::GzDecoder;
use ruzstd::decoding::StreamingDecoder;

/// How many bytes of each side are shown.
const SHOWN: usize = 16;

/// The first difference of two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// From the outside to the inside: `gzip`, the member's path, `.rodata`.
    pub place: Vec<String>,
    /// What differs there.
    pub what: What,
}

/// What differs at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Bytes, from `offset` on, as hex: at most 16 of each side.
    Bytes {
        /// Counted from the start of the innermost file.
        offset: usize,
        /// The first side's.
        first: String,
        /// The second side's.
        second: String,
    },
    /// A field of an archive member's header.
    Field {
        /// Its name.
        name: &'static str,
        /// The first side's value.
        first: String,
        /// The second side's value.
        second: String,
    },
    /// A value of a JSON document.
    Value {
        /// The first side's.
        first: String,
        /// The second side's.
        second: String,
    },
    /// A member that only one side has, or has at this place.
    Members {
        /// The first side's member.
        first: Option<String>,
        /// The second side's member.
        second: Option<String>,
    },
}

/// The first difference of `first` and `second`, or none.
pub fn bytes(first: &[u8], second: &[u8]) -> Option<Difference> {
    if first == second {
        return None;
    }
    let inner = gzip(first, second)
        .or_else(|| zstd(first, second))
        .or_else(|| members::tar(first, second))
        .or_else(|| members::ar(first, second))
        .or_else(|| members::cpio(first, second))
        .or_else(|| rpm::package(first, second))
        .or_else(|| iso::image(first, second))
        .or_else(|| squashfs::file_system(first, second))
        .or_else(|| elf::sections(first, second))
        .or_else(|| json::document(first, second));
    Some(inner.unwrap_or_else(|| plain(first, second)))
}

fn plain(first: &[u8], second: &[u8]) -> Difference {
    let common = first.iter().zip(second).take_while(|(a, b)| a == b).count();
    let hex = |bytes: &[u8]| {
        let shown = bytes.iter().skip(common).take(SHOWN);
        shown.map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
    };
    let what = What::Bytes { offset: common, first: hex(first), second: hex(second) };
    Difference { place: Vec::new(), what }
}

/// Both are gzip streams of different contents.
fn gzip(first: &[u8], second: &[u8]) -> Option<Difference> {
    let unpack = |bytes: &[u8]| {
        let mut out = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut out).is_ok().then_some(out)
    };
    bytes(&unpack(first)?, &unpack(second)?).map(|inner| inner.within("gzip"))
}

/// Both are Zstandard streams of different contents.
fn zstd(first: &[u8], second: &[u8]) -> Option<Difference> {
    let unpack = |bytes: &[u8]| {
        let mut out = Vec::new();
        StreamingDecoder::new(bytes).ok()?.read_to_end(&mut out).is_ok().then_some(out)
    };
    bytes(&unpack(first)?, &unpack(second)?).map(|inner| inner.within("zstd"))
}

impl Difference {
    /// The same, seen from the file that holds the differing one under the name `place`.
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        self.place.insert(0, place.to_owned());
        self
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.place.is_empty() {
            write!(f, "in {}: ", self.place.join(" > "))?;
        }
        let or_end =
            |text: &str| if text.is_empty() { "the end".to_owned() } else { text.to_owned() };
        match &self.what {
            What::Bytes { offset, first, second } => {
                write!(f, "at offset {offset:#x}: {}, and {}", or_end(first), or_end(second))
            }
            What::Field { name, first, second } => write!(f, "{name} is {first}, and {second}"),
            What::Value { first, second } => write!(f, "it is {first}, and {second}"),
            What::Members { first, second } => {
                let name = |member: &Option<String>| member.clone().unwrap_or_default();
                write!(
                    f,
                    "the next member is {}, and {}",
                    or_end(&name(first)),
                    or_end(&name(second))
                )
            }
        }
    }
}

#[cfg(test)]
mod tests;
