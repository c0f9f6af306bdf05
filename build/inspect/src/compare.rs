// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Locates the first difference of two files as deep as possible: nested archive member, ELF
//! section, JSON value, offset and bytes.

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

/// Number of bytes shown of each side.
const SHOWN: usize = 16;

/// The first difference of two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Nested location, outermost first: `gzip`, member path, `.rodata`.
    pub place: Vec<String>,
    /// The difference.
    pub what: What,
}

/// A difference at a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Bytes from `offset` on, as hex: at most 16 of each side.
    Bytes {
        /// Offset in the innermost file.
        offset: usize,
        /// First side.
        first: String,
        /// Second side.
        second: String,
    },
    /// A field of an archive member's header.
    Field {
        /// Field name.
        name: &'static str,
        /// First side.
        first: String,
        /// Second side.
        second: String,
    },
    /// A value of a JSON document.
    Value {
        /// First side.
        first: String,
        /// Second side.
        second: String,
    },
    /// A member that only one side has, or has at this position.
    Members {
        /// First side.
        first: Option<String>,
        /// Second side.
        second: Option<String>,
    },
}

/// The first difference of `first` and `second`, if any.
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

/// The difference, if both are gzip streams with different content.
fn gzip(first: &[u8], second: &[u8]) -> Option<Difference> {
    let unpack = |bytes: &[u8]| {
        let mut out = Vec::new();
        GzDecoder::new(bytes).read_to_end(&mut out).is_ok().then_some(out)
    };
    bytes(&unpack(first)?, &unpack(second)?).map(|inner| inner.nest_in("gzip"))
}

/// The difference, if both are Zstandard streams with different content.
fn zstd(first: &[u8], second: &[u8]) -> Option<Difference> {
    let unpack = |bytes: &[u8]| {
        let mut out = Vec::new();
        StreamingDecoder::new(bytes).ok()?.read_to_end(&mut out).is_ok().then_some(out)
    };
    bytes(&unpack(first)?, &unpack(second)?).map(|inner| inner.nest_in("zstd"))
}

impl Difference {
    /// The same difference in the containing file, with `place` as outer location.
    #[must_use]
    pub fn nest_in(mut self, place: &str) -> Self {
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
