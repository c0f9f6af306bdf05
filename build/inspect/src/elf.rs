// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks the properties of a release binary in its ELF headers.
//!
//! Static, position-independent, hardened, of the right architecture, with embedded identity, and
//! without paths of the build host (System V ABI, "Object Files"; LSB 5.0, "Program Header", for
//! the GNU segment types).

use std::path::Path;

use anyhow::Result;
use elf::dynamic::DynamicTable;
use elf::endian::AnyEndian;
use elf::{ElfBytes, abi};
use foundation::file;
use memchr::memmem;
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

/// Checks the file at `path` and returns all faults.
pub fn check_file(path: &Path, expected: &Expected<'_>) -> Result<Vec<String>> {
    let bytes = file::read(path)?;
    Ok(check(&bytes, expected))
}

/// Checks the binary `bytes` and returns all faults.
pub fn check(bytes: &[u8], expected: &Expected<'_>) -> Vec<String> {
    let mut faults = match headers(bytes, expected.architecture) {
        Ok(faults) => faults,
        Err(fault) => return vec![fault],
    };
    faults.extend(expected.folders.iter().filter_map(|folder| build_path(bytes, folder)));
    if let Err(found) = identity(bytes, expected) {
        faults.push(format!("identity ({}): {found}", build_info::SECTION));
    }
    if let Err(found) = crates(bytes, expected) {
        faults.push(format!("crate list ({}) {found}", auditable::SECTION));
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

fn headers(bytes: &[u8], architecture: Architecture) -> Result<Vec<String>, String> {
    let not_elf = |e: elf::ParseError| format!("not a 64-bit little-endian ELF file: {e}");
    let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).map_err(not_elf)?;
    if file.ehdr.class != elf::file::Class::ELF64 || file.ehdr.endianness != AnyEndian::Little {
        return Err("not a 64-bit little-endian ELF file: another class or byte order".to_owned());
    }
    let mut faults = Vec::new();
    let mut add = |fault: &str| faults.push(fault.to_owned());
    let machine = match architecture {
        Architecture::Amd64 => abi::EM_X86_64,
        Architecture::Arm64 => abi::EM_AARCH64,
    };
    if file.ehdr.e_machine != machine {
        add(&format!("built for another architecture (e_machine {})", file.ehdr.e_machine));
    }
    if file.ehdr.e_type != abi::ET_DYN {
        add(&format!("not position-independent (e_type {})", file.ehdr.e_type));
    }

    let mut plain_stack = false;
    let mut relro = false;
    for segment in file.segments().iter().flat_map(elf::parse::ParsingTable::iter) {
        let executable = segment.p_flags & abi::PF_X != 0;
        match segment.p_type {
            abi::PT_INTERP => add("requires a dynamic loader, expected a static binary"),
            abi::PT_GNU_STACK => plain_stack = !executable,
            abi::PT_GNU_RELRO => relro = true,
            abi::PT_LOAD if executable && segment.p_flags & abi::PF_W != 0 => {
                add("a segment is writable and executable");
            }
            _ => {}
        }
    }
    if !plain_stack {
        add("executable stack");
    }
    if !relro {
        add("writable relocations (no RELRO)");
    }

    // A static position-independent executable has a dynamic section for self-relocation. The
    // segment is checked instead, since the loader ignores sections.
    let mut needed = 0;
    for entry in dynamic(&file).map_err(not_elf)?.iter().flat_map(DynamicTable::iter) {
        match entry.d_tag {
            abi::DT_NEEDED => needed += 1,
            abi::DT_RPATH | abi::DT_RUNPATH => {
                add("has a library search path (RPATH or RUNPATH)");
            }
            abi::DT_NULL => break,
            _ => {}
        }
    }
    if needed != 0 {
        add(&format!("needs {needed} shared libraries"));
    }
    let sections = file.section_headers();
    if sections
        .iter()
        .flat_map(elf::parse::ParsingTable::iter)
        .any(|s| s.sh_type == abi::SHT_SYMTAB)
    {
        add("not stripped: has a symbol table");
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
fn build_path(bytes: &[u8], folder: &str) -> Option<String> {
    let mut needle = folder.trim_end_matches('/').to_owned();
    if needle.is_empty() {
        return None;
    }
    needle.push('/');
    let start = memmem::find(bytes, needle.as_bytes())?;
    let text: Vec<u8> = bytes
        .iter()
        .skip(start)
        .take(120)
        .take_while(|c| (b' '..=b'~').contains(c))
        .copied()
        .collect();
    Some(format!("contains a path of the build host: {:?}", String::from_utf8_lossy(&text)))
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
        assert_eq!(check(&Elf::good().bytes(), &AMD64), [""; 0]);
    }

    #[test]
    fn each_fault_is_found_alone() {
        type Change = fn(&mut Elf);
        const SEARCH_PATH: &str = "has a library search path (RPATH or RUNPATH)";
        let cases: [(Change, &str); 16] = [
            (|e| e.machine = abi::EM_AARCH64, "built for another architecture (e_machine 183)"),
            (|e| e.kind = abi::ET_EXEC, "not position-independent (e_type 2)"),
            (
                |e| e.segments.push((abi::PT_INTERP, abi::PF_R)),
                "requires a dynamic loader, expected a static binary",
            ),
            (|e| e.dynamic.push(abi::DT_NEEDED), "needs 1 shared libraries"),
            (|e| e.dynamic.push(abi::DT_RUNPATH), SEARCH_PATH),
            (|e| e.segments[1].1 |= abi::PF_X, "executable stack"),
            (|e| e.segments[1].0 = abi::PT_NOTE, "executable stack"),
            (|e| e.segments[0].1 |= abi::PF_W, "a segment is writable and executable"),
            (|e| e.segments.truncate(2), "writable relocations (no RELRO)"),
            (|e| e.dynamic.push(abi::DT_RPATH), SEARCH_PATH),
            (
                |e| e.sections.push((".symtab", abi::SHT_SYMTAB, vec![])),
                "not stripped: has a symbol table",
            ),
            (
                |e| e.sections[0].0 = ".note.other",
                "identity (.note.package): it has no section .note.package: a program has one that \
                 prints `build_info::long_version()`",
            ),
            (
                |e| e.sections[0].2 = note(*b"GNU\0", "{}"),
                "identity (.note.package): its section .note.package has another note",
            ),
            (
                |e| e.sections[0].2 = note(build_info::OWNER, r#"{"version":"1.2.4"}"#),
                r#"identity (.note.package): found {"version":"1.2.4"}, expected {"version":"1.2.3"}"#,
            ),
            (|e| drop(e.sections.pop()), "crate list (.dep-v0) is missing"),
            (
                |e| e.sections[1].2 = list("other"),
                "crate list (.dep-v0) is that of other, expected that of package",
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
        let found = r#"contains a path of the build host: "/home/someone/src/lib.rs""#;
        assert_eq!(check(&elf.bytes(), &expected), [found]);
    }

    #[test]
    fn a_folder_whose_name_only_begins_alike_is_no_fault() {
        let mut elf = Elf::good();
        elf.tail.extend(b"/homes/x");
        let folders = ["/home".to_owned()];
        assert_eq!(check(&elf.bytes(), &Expected { folders: &folders, ..AMD64 }), [""; 0]);
    }

    #[test]
    fn what_is_not_elf_is_reported_as_such() {
        for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", &[0x7f, b'E', b'L', b'F', 1, 1, 1]] {
            let faults = check(bytes, &AMD64);
            assert_eq!(faults.len(), 1, "{bytes:?}: {faults:?}");
            assert!(faults[0].starts_with("not a 64-bit little-endian ELF file: "), "{faults:?}");
        }
    }

    #[test]
    fn a_binary_of_this_build_is_dynamic_and_not_stripped() {
        let own = std::env::current_exe().unwrap();
        let architecture =
            if cfg!(target_arch = "x86_64") { Architecture::Amd64 } else { Architecture::Arm64 };
        let faults = check_file(&own, &Expected { architecture, ..AMD64 }).unwrap();
        let has = |text: &str| faults.iter().any(|fault| fault.contains(text));
        assert!(has("requires a dynamic loader"), "{faults:?}");
        assert!(has("not stripped"), "{faults:?}");
        assert!(!has("built for another architecture"), "{faults:?}");
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
