// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks the properties of a release binary in its ELF headers.
//!
//! Static, position-independent, hardened, of the right architecture, with embedded identity, and
//! without paths of the build host (System V ABI, "Object Files"; LSB 5.0, "Program Header", for
//! the GNU segment types).

use std::fmt;
use std::path::Path;

use anyhow::Result;
use elf::dynamic::DynamicTable;
use elf::endian::AnyEndian;
use elf::{ElfBytes, abi};
use foundation::file;
use release::Architecture;
use rust::auditable;

/// Expected properties.
#[derive(Debug)]
pub struct Expected<'a> {
    /// Architecture.
    pub architecture: Architecture,
    /// Identity text; see [`rust::identity`].
    pub identity: &'a str,
    /// Root package of the crate list.
    pub package: &'a str,
    /// Absolute folders of the build host that must not occur in the binary.
    pub folders: &'a [String],
}

/// A fault of a binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Not a 64-bit little-endian ELF file.
    NotElf(String),
    /// Wrong architecture; the actual `e_machine`.
    Machine(u16),
    /// Not position-independent; the actual `e_type`.
    NotPie(u16),
    /// Requires a dynamic loader.
    Interpreter,
    /// Requires shared libraries; the number of `DT_NEEDED` entries.
    SharedLibraries(usize),
    /// Has `DT_RPATH` or `DT_RUNPATH`.
    SearchPath,
    /// The stack is executable, or not declared as non-executable.
    ExecutableStack,
    /// A segment is writable and executable.
    WritableCode,
    /// No read-only relocations (RELRO).
    NoRelro,
    /// Has a symbol table.
    NotStripped,
    /// Contains a folder of the build host; the surrounding text.
    BuildPath(String),
    /// Missing or wrong identity note; what was found.
    Identity(String),
    /// Missing or wrong crate list; what was found.
    Crates(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf(reason) => write!(f, "not a 64-bit little-endian ELF file: {reason}"),
            Self::Machine(found) => write!(f, "built for another architecture (e_machine {found})"),
            Self::NotPie(found) => write!(f, "not position-independent (e_type {found})"),
            Self::Interpreter => f.write_str("requires a dynamic loader, expected a static binary"),
            Self::SharedLibraries(count) => write!(f, "needs {count} shared libraries"),
            Self::SearchPath => f.write_str("has a library search path (RPATH or RUNPATH)"),
            Self::ExecutableStack => f.write_str("executable stack"),
            Self::WritableCode => f.write_str("a segment is writable and executable"),
            Self::NoRelro => f.write_str("writable relocations (no RELRO)"),
            Self::NotStripped => f.write_str("not stripped: has a symbol table"),
            Self::BuildPath(text) => write!(f, "contains a path of the build host: {text:?}"),
            Self::Identity(found) => write!(f, "identity ({}): {found}", build_info::SECTION),
            Self::Crates(found) => write!(f, "crate list ({}) {found}", auditable::SECTION),
        }
    }
}

/// Checks the file at `path` and returns all faults.
pub fn check_file(path: &Path, expected: &Expected<'_>) -> Result<Vec<Fault>> {
    let bytes = file::read(path)?;
    Ok(check(&bytes, expected))
}

/// Checks the binary `bytes` and returns all faults.
pub fn check(bytes: &[u8], expected: &Expected<'_>) -> Vec<Fault> {
    let mut faults = match headers(bytes, expected.architecture) {
        Ok(faults) => faults,
        Err(fault) => return vec![fault],
    };
    faults.extend(expected.folders.iter().filter_map(|folder| build_path(bytes, folder)));
    if let Err(found) = identity(bytes, expected) {
        faults.push(Fault::Identity(found));
    }
    if let Err(found) = crates(bytes, expected) {
        faults.push(Fault::Crates(found));
    }
    faults
}

/// Checks the identity note.
fn identity(bytes: &[u8], expected: &Expected<'_>) -> Result<(), String> {
    let found = build_info::stamp::read(bytes).map_err(|error| error.to_string())?;
    if found == expected.identity.as_bytes() {
        return Ok(());
    }
    Err(format!("found {}, expected {}", String::from_utf8_lossy(found), expected.identity))
}

/// Checks the crate list.
fn crates(bytes: &[u8], expected: &Expected<'_>) -> Result<(), String> {
    let data = section(bytes, auditable::SECTION).ok_or("is missing")?;
    let list = auditable::List::decode(data).map_err(|e| format!("is malformed: {e:#}"))?;
    match list.root() {
        Some(root) if root.name == expected.package => Ok(()),
        Some(root) => {
            Err(format!("is that of {}, expected that of {}", root.name, expected.package))
        }
        None => Err("has no root package".to_owned()),
    }
}

/// Content of the section `name` of the ELF file `bytes`.
pub fn section<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).ok()?;
    let header = file.section_header_by_name(name).ok()??;
    Some(file.section_data(&header).ok()?.0)
}

fn headers(bytes: &[u8], architecture: Architecture) -> Result<Vec<Fault>, Fault> {
    let not_elf = |e: elf::ParseError| Fault::NotElf(e.to_string());
    let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).map_err(not_elf)?;
    if file.ehdr.class != elf::file::Class::ELF64 || file.ehdr.endianness != AnyEndian::Little {
        return Err(Fault::NotElf("another class or byte order".to_owned()));
    }
    let mut faults = Vec::new();
    let machine = match architecture {
        Architecture::Amd64 => abi::EM_X86_64,
        Architecture::Arm64 => abi::EM_AARCH64,
    };
    if file.ehdr.e_machine != machine {
        faults.push(Fault::Machine(file.ehdr.e_machine));
    }
    if file.ehdr.e_type != abi::ET_DYN {
        faults.push(Fault::NotPie(file.ehdr.e_type));
    }

    let mut plain_stack = false;
    let mut relro = false;
    for segment in file.segments().iter().flat_map(elf::parse::ParsingTable::iter) {
        let executable = segment.p_flags & abi::PF_X != 0;
        match segment.p_type {
            abi::PT_INTERP => faults.push(Fault::Interpreter),
            abi::PT_GNU_STACK => plain_stack = !executable,
            abi::PT_GNU_RELRO => relro = true,
            abi::PT_LOAD if executable && segment.p_flags & abi::PF_W != 0 => {
                faults.push(Fault::WritableCode);
            }
            _ => {}
        }
    }
    if !plain_stack {
        faults.push(Fault::ExecutableStack);
    }
    if !relro {
        faults.push(Fault::NoRelro);
    }

    // A static position-independent executable has a dynamic section for self-relocation. The
    // segment is checked instead, since the loader ignores sections.
    let mut needed = 0;
    for entry in dynamic(&file).map_err(not_elf)?.iter().flat_map(DynamicTable::iter) {
        match entry.d_tag {
            abi::DT_NEEDED => needed += 1,
            abi::DT_RPATH | abi::DT_RUNPATH => faults.push(Fault::SearchPath),
            abi::DT_NULL => break,
            _ => {}
        }
    }
    if needed != 0 {
        faults.push(Fault::SharedLibraries(needed));
    }
    let sections = file.section_headers();
    if sections
        .iter()
        .flat_map(elf::parse::ParsingTable::iter)
        .any(|s| s.sh_type == abi::SHT_SYMTAB)
    {
        faults.push(Fault::NotStripped);
    }
    Ok(faults)
}

/// Entries of the dynamic segment.
fn dynamic<'a>(
    file: &ElfBytes<'a, AnyEndian>,
) -> Result<Option<DynamicTable<'a, AnyEndian>>, elf::ParseError> {
    let mut segments = file.segments().into_iter().flat_map(|table| table.iter());
    let Some(segment) = segments.find(|segment| segment.p_type == abi::PT_DYNAMIC) else {
        return Ok(None);
    };
    let data = file.segment_data(&segment)?;
    Ok(Some(DynamicTable::new(file.ehdr.endianness, file.ehdr.class, data)))
}

/// The first occurrence of `folder` or a path below it, with surrounding text.
fn build_path(bytes: &[u8], folder: &str) -> Option<Fault> {
    let mut needle = folder.trim_end_matches('/').to_owned();
    if needle.is_empty() {
        return None;
    }
    needle.push('/');
    let start = find(bytes, needle.as_bytes())?;
    let text: Vec<u8> = bytes
        .iter()
        .skip(start)
        .take(120)
        .take_while(|c| (b' '..=b'~').contains(c))
        .copied()
        .collect();
    Some(Fault::BuildPath(String::from_utf8_lossy(&text).into_owned()))
}

/// Offset of the first `needle` in `bytes`.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, _) = needle.split_first()?;
    let mut from = 0;
    while let Some(rest) = bytes.get(from..) {
        let at = from + rest.iter().position(|c| c == first)?;
        if bytes.get(at..).is_some_and(|tail| tail.starts_with(needle)) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMD64: Expected<'static> = Expected {
        architecture: Architecture::Amd64,
        identity: r#"{"version":"1.2.3"}"#,
        package: "package",
        folders: &[],
    };

    /// A little-endian 64-bit ELF file: header, program headers, dynamic section, sections (System
    /// V ABI).
    struct Elf {
        machine: u16,
        kind: u16,
        segments: Vec<(u32, u32)>,
        dynamic: Vec<i64>,
        tail: Vec<u8>,
        sections: Vec<(&'static str, u32, Vec<u8>)>,
    }

    /// An identity note with `text` (System V ABI, "Note Section").
    fn note(owner: [u8; 4], text: &str) -> Vec<u8> {
        let size = u32::try_from(build_info::TEXT_SIZE).unwrap();
        let mut out = [4, size, build_info::NOTE_TYPE].map(u32::to_le_bytes).concat();
        out.extend(owner);
        out.extend(text.as_bytes());
        out.resize(16 + build_info::TEXT_SIZE, 0);
        out
    }

    fn list(root: &str) -> Vec<u8> {
        let text = format!(
            r#"{{"packages":[{{"name":"{root}","version":"0.1.0","source":"local","root":true}}]}}"#
        );
        serde_json::from_str::<auditable::List>(&text).unwrap().encode().unwrap()
    }

    impl Elf {
        /// A binary without faults.
        fn good() -> Self {
            let identity = note(build_info::OWNER, AMD64.identity);
            Self {
                machine: abi::EM_X86_64,
                kind: abi::ET_DYN,
                segments: vec![
                    (abi::PT_LOAD, abi::PF_R | abi::PF_X),
                    (abi::PT_GNU_STACK, abi::PF_R | abi::PF_W),
                    (abi::PT_GNU_RELRO, abi::PF_R),
                ],
                dynamic: vec![abi::DT_FLAGS],
                tail: Vec::new(),
                sections: vec![
                    (build_info::SECTION, abi::SHT_NOTE, identity),
                    (auditable::SECTION, abi::SHT_PROGBITS, list("package")),
                ],
            }
        }

        fn bytes(&self) -> Vec<u8> {
            let count = self.segments.len() + 1;
            let start = 64 + 56 * count;
            let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            out.extend(self.kind.to_le_bytes());
            out.extend(self.machine.to_le_bytes());
            out.extend(1_u32.to_le_bytes());
            // The offset of the section headers is known at the end.
            out.extend([0_u64, 64, 0].iter().flat_map(|v| v.to_le_bytes()));
            out.extend(0_u32.to_le_bytes());
            let count = u16::try_from(count).unwrap();
            let sections = u16::try_from(self.sections.len() + 2).unwrap();
            let numbers = [64, 56, count, 64, sections, sections - 1];
            out.extend(numbers.iter().flat_map(|v: &u16| v.to_le_bytes()));
            let dynamic = [(abi::PT_DYNAMIC, abi::PF_R)];
            for (kind, flags) in self.segments.iter().chain(&dynamic) {
                out.extend(kind.to_le_bytes());
                out.extend(flags.to_le_bytes());
                let size = (self.dynamic.len() as u64 + 1) * 16;
                let words = [start as u64, 0, 0, size, size, 8];
                out.extend(words.iter().flat_map(|v| v.to_le_bytes()));
            }
            for tag in self.dynamic.iter().chain(&[abi::DT_NULL]) {
                out.extend(tag.to_le_bytes());
                out.extend(0_u64.to_le_bytes());
            }
            out.extend(&self.tail);
            self.append_sections(&mut out);
            out
        }

        /// Appends section data, names, and section headers, the first of which is empty.
        fn append_sections(&self, out: &mut Vec<u8>) {
            let mut names = vec![0];
            let mut headers = vec![0; 64];
            let mut header = |name: usize, kind: u32, at: usize, size: usize| {
                headers.extend(u32::try_from(name).unwrap().to_le_bytes());
                headers.extend(kind.to_le_bytes());
                headers.extend([0, 0, at, size, 0, 4, 0].iter().flat_map(|v| v.to_le_bytes()));
            };
            for (name, kind, data) in &self.sections {
                header(names.len(), *kind, out.len(), data.len());
                out.extend(data);
                names.extend(format!("{name}\0").bytes());
            }
            header(names.len(), abi::SHT_STRTAB, out.len(), names.len() + 10);
            names.extend(b".shstrtab\0");
            out.extend(names);
            let at = (out.len() as u64).to_le_bytes();
            out.splice(40..48, at);
            out.extend(headers);
        }
    }

    #[test]
    fn a_good_binary_passes() {
        assert_eq!(check(&Elf::good().bytes(), &AMD64), []);
    }

    #[test]
    fn each_fault_is_found_alone() {
        type Change = fn(&mut Elf);
        let identity = |found: &str| Fault::Identity(found.to_owned());
        let crates = |found: &str| Fault::Crates(found.to_owned());
        let cases: [(Change, Fault); 16] = [
            (|e| e.machine = abi::EM_AARCH64, Fault::Machine(abi::EM_AARCH64)),
            (|e| e.kind = abi::ET_EXEC, Fault::NotPie(abi::ET_EXEC)),
            (|e| e.segments.push((abi::PT_INTERP, abi::PF_R)), Fault::Interpreter),
            (|e| e.dynamic.push(abi::DT_NEEDED), Fault::SharedLibraries(1)),
            (|e| e.dynamic.push(abi::DT_RUNPATH), Fault::SearchPath),
            (|e| e.segments[1].1 |= abi::PF_X, Fault::ExecutableStack),
            (|e| e.segments[1].0 = abi::PT_NOTE, Fault::ExecutableStack),
            (|e| e.segments[0].1 |= abi::PF_W, Fault::WritableCode),
            (|e| e.segments.truncate(2), Fault::NoRelro),
            (|e| e.dynamic.push(abi::DT_RPATH), Fault::SearchPath),
            (|e| e.sections.push((".symtab", abi::SHT_SYMTAB, vec![])), Fault::NotStripped),
            (
                |e| e.sections[0].0 = ".note.other",
                identity(
                    "it has no section .note.package: a program has one that prints \
                     `build_info::long_version()`",
                ),
            ),
            (
                |e| e.sections[0].2 = note(*b"GNU\0", "{}"),
                identity("its section .note.package has another note"),
            ),
            (
                |e| e.sections[0].2 = note(build_info::OWNER, r#"{"version":"1.2.4"}"#),
                identity(r#"found {"version":"1.2.4"}, expected {"version":"1.2.3"}"#),
            ),
            (|e| drop(e.sections.pop()), crates("is missing")),
            (
                |e| e.sections[1].2 = list("other"),
                crates("is that of other, expected that of package"),
            ),
        ];
        for (change, fault) in cases {
            let mut elf = Elf::good();
            change(&mut elf);
            assert_eq!(check(&elf.bytes(), &AMD64), [fault]);
        }
    }

    #[test]
    fn a_path_of_the_build_machine_is_shown_with_what_follows_it() {
        let mut elf = Elf::good();
        elf.tail.extend(b" \0/home/someone/src/lib.rs\0");
        let folders = ["/home/someone".to_owned(), "/elsewhere".to_owned(), "/".to_owned()];
        let expected = Expected { folders: &folders, ..AMD64 };
        let found = Fault::BuildPath("/home/someone/src/lib.rs".to_owned());
        assert_eq!(check(&elf.bytes(), &expected), [found]);
    }

    #[test]
    fn a_folder_whose_name_only_begins_alike_is_no_fault() {
        let mut elf = Elf::good();
        elf.tail.extend(b"/homes/x");
        let folders = ["/home".to_owned()];
        assert_eq!(check(&elf.bytes(), &Expected { folders: &folders, ..AMD64 }), []);
    }

    #[test]
    fn what_is_not_elf_is_reported_as_such() {
        for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", &[0x7f, b'E', b'L', b'F', 1, 1, 1]] {
            assert!(matches!(check(bytes, &AMD64)[..], [Fault::NotElf(_)]), "{bytes:?}");
        }
    }

    #[test]
    fn a_binary_of_this_build_is_dynamic_and_not_stripped() {
        let own = std::env::current_exe().unwrap();
        let architecture =
            if cfg!(target_arch = "x86_64") { Architecture::Amd64 } else { Architecture::Arm64 };
        let faults = check_file(&own, &Expected { architecture, ..AMD64 }).unwrap();
        assert!(faults.contains(&Fault::Interpreter), "{faults:?}");
        assert!(faults.contains(&Fault::NotStripped), "{faults:?}");
        assert!(!faults.iter().any(|fault| matches!(fault, Fault::Machine(_))), "{faults:?}");
    }

    proptest::proptest! {
        #[test]
        fn no_flipped_byte_makes_the_reader_panic(at in 0_usize..1000, value in 0_u8..=255) {
            let mut bytes = Elf::good().bytes();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _faults = check(&bytes, &AMD64);
        }
    }
}
