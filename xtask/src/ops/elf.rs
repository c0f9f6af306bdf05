// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What a delivered executable must be, read from its ELF headers.
//!
//! Static, position-independent and hardened, for the right machine, with its version inside and no
//! trace of where it was built (System V ABI, "Object Files"; LSB 5.0, "Program Header", for the GNU
//! segment types).

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use elf::ElfBytes;
use elf::abi;
use elf::endian::AnyEndian;
use release::Architecture;

/// What a binary is held against.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    /// The machine it runs on.
    pub(crate) architecture: Architecture,
    /// A text that `--version` prints and that therefore stands in the binary.
    pub(crate) version: &'a str,
    /// Folders of the build machine, absolute: none may stand in the binary.
    pub(crate) folders: &'a [String],
}

/// One thing that is wrong with a binary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not a 64-bit little-endian ELF file.
    NotElf(String),
    /// For another machine: `e_machine` as found.
    Machine(u16),
    /// Not position-independent: `e_type` as found.
    NotPie(u16),
    /// Asks for a dynamic loader.
    Interpreter,
    /// Needs a shared library, by its number of `DT_NEEDED` entries.
    SharedLibraries(usize),
    /// Has `DT_RPATH` or `DT_RUNPATH`.
    SearchPath,
    /// The stack is executable, or nothing says that it is not.
    ExecutableStack,
    /// A segment is writable and executable.
    WritableCode,
    /// Has no read-only relocations.
    NoRelro,
    /// Has a symbol table.
    NotStripped,
    /// Names a folder of the build machine: the text around it.
    BuildPath(String),
    /// Does not hold the version.
    NoVersion,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf(reason) => write!(f, "not a 64-bit little-endian ELF file: {reason}"),
            Self::Machine(found) => write!(f, "made for another machine (e_machine {found})"),
            Self::NotPie(found) => write!(f, "not position-independent (e_type {found})"),
            Self::Interpreter => f.write_str("asks for a dynamic loader, expected a static binary"),
            Self::SharedLibraries(count) => write!(f, "needs {count} shared libraries"),
            Self::SearchPath => f.write_str("holds a library search path (RPATH or RUNPATH)"),
            Self::ExecutableStack => f.write_str("its stack is executable"),
            Self::WritableCode => f.write_str("a segment is writable and executable"),
            Self::NoRelro => f.write_str("its relocations stay writable (no RELRO)"),
            Self::NotStripped => f.write_str("not stripped: it holds a symbol table"),
            Self::BuildPath(text) => write!(f, "names a folder of the build machine: {text:?}"),
            Self::NoVersion => f.write_str("does not hold its version"),
        }
    }
}

/// Reads the file at `path` and lists everything that is wrong with it.
pub(crate) fn check_file(path: &Path, expected: &Expected<'_>) -> Result<Vec<Fault>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(check(&bytes, expected))
}

/// Lists everything that is wrong with the binary `bytes`.
pub(crate) fn check(bytes: &[u8], expected: &Expected<'_>) -> Vec<Fault> {
    let mut faults = match headers(bytes, expected.architecture) {
        Ok(faults) => faults,
        Err(fault) => return vec![fault],
    };
    faults.extend(expected.folders.iter().filter_map(|folder| build_path(bytes, folder)));
    if find(bytes, expected.version.as_bytes()).is_none() {
        faults.push(Fault::NoVersion);
    }
    faults
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

    // A static position-independent executable has a dynamic section, to relocate itself with.
    let mut needed = 0;
    for entry in file.dynamic().map_err(not_elf)?.iter().flat_map(elf::parse::ParsingTable::iter) {
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

/// The first mention of `folder` or of something below it, as the text that it stands in.
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

/// Where `needle` first stands in `bytes`.
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

    const AMD64: Expected<'static> =
        Expected { architecture: Architecture::Amd64, version: "1.2.3", folders: &[] };

    /// A little-endian 64-bit ELF file: header, program headers, dynamic section (System V ABI).
    struct Elf {
        machine: u16,
        kind: u16,
        segments: Vec<(u32, u32)>,
        dynamic: Vec<i64>,
        tail: Vec<u8>,
    }

    impl Elf {
        /// A binary that nothing is wrong with.
        fn good() -> Self {
            Self {
                machine: abi::EM_X86_64,
                kind: abi::ET_DYN,
                segments: vec![
                    (abi::PT_LOAD, abi::PF_R | abi::PF_X),
                    (abi::PT_GNU_STACK, abi::PF_R | abi::PF_W),
                    (abi::PT_GNU_RELRO, abi::PF_R),
                ],
                dynamic: vec![abi::DT_FLAGS],
                tail: b"1.2.3".to_vec(),
            }
        }

        fn bytes(&self) -> Vec<u8> {
            let count = self.segments.len() + 1;
            let start = 64 + 56 * count;
            let mut out = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            out.extend(self.kind.to_le_bytes());
            out.extend(self.machine.to_le_bytes());
            out.extend(1_u32.to_le_bytes());
            out.extend([0_u64, 64, 0].iter().flat_map(|v| v.to_le_bytes()));
            out.extend(0_u32.to_le_bytes());
            let count = u16::try_from(count).unwrap();
            out.extend([64, 56, count, 64, 0, 0].iter().flat_map(|v: &u16| v.to_le_bytes()));
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
            out
        }
    }

    #[test]
    fn a_good_binary_passes() {
        assert_eq!(check(&Elf::good().bytes(), &AMD64), []);
    }

    #[test]
    fn each_fault_is_found_alone() {
        type Change = fn(&mut Elf);
        let cases: [(Change, Fault); 10] = [
            (|e| e.machine = abi::EM_AARCH64, Fault::Machine(abi::EM_AARCH64)),
            (|e| e.kind = abi::ET_EXEC, Fault::NotPie(abi::ET_EXEC)),
            (|e| e.segments.push((abi::PT_INTERP, abi::PF_R)), Fault::Interpreter),
            (|e| e.dynamic.push(abi::DT_NEEDED), Fault::SharedLibraries(1)),
            (|e| e.dynamic.push(abi::DT_RUNPATH), Fault::SearchPath),
            (|e| e.segments[1].1 |= abi::PF_X, Fault::ExecutableStack),
            (|e| e.segments[1].0 = abi::PT_NOTE, Fault::ExecutableStack),
            (|e| e.segments[0].1 |= abi::PF_W, Fault::WritableCode),
            (|e| e.segments.truncate(2), Fault::NoRelro),
            (|e| e.tail = b"1.2.4".to_vec(), Fault::NoVersion),
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
    fn what_is_not_elf_is_said_to_be_none() {
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
        fn no_flipped_byte_makes_the_reader_panic(at in 0_usize..400, value in 0_u8..=255) {
            let mut bytes = Elf::good().bytes();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _faults = check(&bytes, &AMD64);
        }
    }
}
