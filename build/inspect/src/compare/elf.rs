// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares ELF files: executables and debug information.

use std::io::Read as _;

use ::elf::ElfBytes;
use ::elf::endian::AnyEndian;
use flate2::read::ZlibDecoder;

use super::Difference;
use super::members::{Member, archives};

/// The differing (decompressed) section, if both are ELF files.
pub(super) fn sections(first: &[u8], second: &[u8]) -> Option<Difference> {
    archives(members(first)?, members(second)?)
}

/// Sections of an ELF file: first string tables, which others refer to; last digests over the rest,
/// which explain nothing.
fn members(bytes: &[u8]) -> Option<Vec<Member>> {
    const DIGESTS: &[&str] = &[".note.gnu.build-id", ".gnu_debuglink"];
    let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).ok()?;
    let (headers, names) = file.section_headers_with_strtab().ok()?;
    let (headers, names) = (headers?, names?);
    let mut sections = Vec::new();
    for header in headers.iter().filter(|it| it.sh_type != ::elf::abi::SHT_NOBITS) {
        let name = names.get(usize::try_from(header.sh_name).ok()?).ok()?;
        let (content, compressed) = file.section_data(&header).ok()?;
        let mut unpacked = Vec::new();
        // The other compression, Zstandard (ELF gABI, "Section Compression"), is not used here.
        match compressed.filter(|it| it.ch_type == ::elf::abi::ELFCOMPRESS_ZLIB) {
            Some(_) => drop(ZlibDecoder::new(content).read_to_end(&mut unpacked).ok()?),
            None => unpacked.extend_from_slice(content),
        }
        let rank = match name {
            _ if DIGESTS.contains(&name) => 2,
            _ if header.sh_flags & u64::from(::elf::abi::SHF_STRINGS) != 0 => 0,
            _ => 1,
        };
        let flags = format!("{:#x}", header.sh_flags);
        let fields = vec![("flags", flags)];
        sections.push((rank, Member { path: name.to_owned(), fields, content: unpacked }));
    }
    sections.sort_by_key(|(rank, _)| *rank);
    Some(sections.into_iter().map(|(_, section)| section).collect())
}
