// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Where two files differ, told as far inside as it can be: the member of an archive in an archive,
//! the section of an executable, the value in a document, the offset and the bytes.

use std::fmt;
use std::io::Read as _;

use elf::ElfBytes;
use elf::endian::AnyEndian;
use flate2::read::{GzDecoder, ZlibDecoder};

use super::rpm::Package;

/// How many bytes of each side are shown.
const SHOWN: usize = 16;
/// How many characters of a value are shown.
const VALUE: usize = 80;

/// The first difference of two files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    /// From the outside to the inside: `gzip`, the member's path, `.rodata`.
    pub(crate) place: Vec<String>,
    /// What differs there.
    pub(crate) what: What,
}

/// What differs at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
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
pub(crate) fn bytes(first: &[u8], second: &[u8]) -> Option<Difference> {
    if first == second {
        return None;
    }
    let inner = gzip(first, second)
        .or_else(|| tar(first, second))
        .or_else(|| ar(first, second))
        .or_else(|| rpm(first, second))
        .or_else(|| section(first, second))
        .or_else(|| json(first, second));
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

/// Both are tar archives.
fn tar(first: &[u8], second: &[u8]) -> Option<Difference> {
    archives(members(first)?, members(second)?)
}

/// Both are `ar` archives, as Debian packages are.
fn ar(first: &[u8], second: &[u8]) -> Option<Difference> {
    let read = |bytes| -> Option<Vec<Member>> {
        let members = super::ar::members(bytes)?.into_iter();
        let owned = members.map(|it| Member {
            path: it.name,
            fields: it.fields.to_vec(),
            content: it.content.to_owned(),
        });
        Some(owned.collect())
    };
    archives(read(first)?, read(second)?)
}

fn archives(first: Vec<Member>, second: Vec<Member>) -> Option<Difference> {
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let (a, b) = (first.next(), second.next());
        let (Some(one), Some(other)) = (&a, &b) else {
            // Members alike to the end: what differs is padding.
            (a.is_some() || b.is_some()).then_some(())?;
            return Some(other_members(a, b));
        };
        if one.path != other.path {
            return Some(other_members(a, b));
        }
        let fields = one.fields.iter().zip(&other.fields);
        if let Some(((name, x), (_, y))) = fields.clone().find(|(x, y)| x != y)
            && one.content == other.content
        {
            let what = What::Field { name, first: x.clone(), second: y.clone() };
            return Some(Difference { place: vec![one.path.clone()], what });
        }
        if let Some(inner) = bytes(&one.content, &other.content) {
            return Some(inner.within(&one.path));
        }
    }
}

fn other_members(first: Option<Member>, second: Option<Member>) -> Difference {
    let path = |member: Option<Member>| member.map(|member| member.path);
    let what = What::Members { first: path(first), second: path(second) };
    Difference { place: Vec::new(), what }
}

struct Member {
    path: String,
    fields: Vec<(&'static str, String)>,
    content: Vec<u8>,
}

/// The members of a tar archive; nothing where it is none.
fn members(bytes: &[u8]) -> Option<Vec<Member>> {
    // POSIX ustar: `magic` in the header of the first member.
    if bytes.get(257..262)? != b"ustar" {
        return None;
    }
    let mut archive = tar::Archive::new(bytes);
    let mut members = Vec::new();
    for entry in archive.entries().ok()? {
        let mut entry = entry.ok()?;
        let path = entry.path().ok()?.to_string_lossy().into_owned();
        let header = entry.header();
        let number =
            |value: std::io::Result<u64>| value.map_or_else(|_| "?".to_owned(), |n| n.to_string());
        let link = entry.link_name().ok()?.map(|link| link.to_string_lossy().into_owned());
        let fields = vec![
            ("type", format!("{:?}", header.entry_type())),
            ("mode", header.mode().map_or_else(|_| "?".to_owned(), |mode| format!("{mode:o}"))),
            ("uid", number(header.uid())),
            ("gid", number(header.gid())),
            ("mtime", number(header.mtime())),
            ("link", link.unwrap_or_default()),
        ];
        let mut content = Vec::new();
        entry.read_to_end(&mut content).ok()?;
        members.push(Member { path, fields, content });
    }
    Some(members)
}

/// Both are RPM packages: their files first, since the rest follows from those.
fn rpm(first: &[u8], second: &[u8]) -> Option<Difference> {
    archives(rpm_members(first)?, rpm_members(second)?)
}

fn rpm_members(bytes: &[u8]) -> Option<Vec<Member>> {
    let package = Package::parse(bytes)?;
    let mut members: Vec<_> = package
        .files()?
        .into_iter()
        .map(|file| Member {
            path: file.path,
            fields: vec![("mode", file.mode), ("sha256", file.sha256)],
            content: Vec::new(),
        })
        .collect();
    let values = package.values().chain([("payload".to_owned(), package.payload)]);
    let values = values.map(|(path, bytes)| (path, Vec::new(), bytes.to_owned()));
    members.extend(values.map(|(path, fields, content)| Member { path, fields, content }));
    Some(members)
}

/// Both are JSON documents of different content: the first value that differs, by its JSON pointer.
fn json(first: &[u8], second: &[u8]) -> Option<Difference> {
    use serde_json::Value;

    fn search(first: &Value, second: &Value, pointer: &str) -> Option<Difference> {
        if first == second {
            return None;
        }
        let child = |key: &str, a: Option<&Value>, b: Option<&Value>| {
            let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            search(a.unwrap_or(&Value::Null), b.unwrap_or(&Value::Null), &pointer)
        };
        let inner = match (first, second) {
            (Value::Object(a), Value::Object(b)) => {
                let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
                keys.into_iter().find_map(|key| child(key, a.get(key), b.get(key)))
            }
            (Value::Array(a), Value::Array(b)) => (0..a.len().max(b.len()))
                .find_map(|at| child(&at.to_string(), a.get(at), b.get(at))),
            _ => None,
        };
        inner.or_else(|| {
            let text = |value: &Value| value.to_string().chars().take(VALUE).collect::<String>();
            let what = What::Value { first: text(first), second: text(second) };
            Some(Difference { place: vec![pointer.to_owned()], what })
        })
    }

    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    let (first, second) = (parse(first)?, parse(second)?);
    // A text of one number is no document.
    (first.is_object() || first.is_array()).then(|| search(&first, &second, "")).flatten()
}

/// Both are executables or hold their debug information: the section, unpacked.
fn section(first: &[u8], second: &[u8]) -> Option<Difference> {
    archives(sections(first)?, sections(second)?)
}

/// The sections of an ELF file. First those with texts, which others point into; last those that are
/// a digest over the rest, and tell nothing.
fn sections(bytes: &[u8]) -> Option<Vec<Member>> {
    const DIGESTS: &[&str] = &[".note.gnu.build-id", ".gnu_debuglink"];
    let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).ok()?;
    let (headers, names) = file.section_headers_with_strtab().ok()?;
    let (headers, names) = (headers?, names?);
    let mut sections = Vec::new();
    for header in headers.iter().filter(|it| it.sh_type != elf::abi::SHT_NOBITS) {
        let name = names.get(usize::try_from(header.sh_name).ok()?).ok()?;
        let (content, compressed) = file.section_data(&header).ok()?;
        let mut unpacked = Vec::new();
        // The other way that there is, Zstandard (ELF gABI, "Section Compression"), nobody here uses.
        match compressed.filter(|it| it.ch_type == elf::abi::ELFCOMPRESS_ZLIB) {
            Some(_) => drop(ZlibDecoder::new(content).read_to_end(&mut unpacked).ok()?),
            None => unpacked.extend_from_slice(content),
        }
        let rank = match name {
            _ if DIGESTS.contains(&name) => 2,
            _ if header.sh_flags & u64::from(elf::abi::SHF_STRINGS) != 0 => 0,
            _ => 1,
        };
        let flags = format!("{:#x}", header.sh_flags);
        let fields = vec![("flags", flags)];
        sections.push((rank, Member { path: name.to_owned(), fields, content: unpacked }));
    }
    sections.sort_by_key(|(rank, _)| *rank);
    Some(sections.into_iter().map(|(_, section)| section).collect())
}

impl Difference {
    /// The same, seen from the file that holds the differing one under the name `place`.
    pub(crate) fn within(mut self, place: &str) -> Self {
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
mod tests {
    use super::*;
    use crate::ops::archive::{self, LEVEL, gzip_header};

    fn archive(members: &[(&str, u64, &[u8])]) -> Vec<u8> {
        let mut archive = ::tar::Builder::new(Vec::new());
        for (path, mtime, content) in members {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mtime(*mtime);
            header.set_mode(0o644);
            archive.append_data(&mut header, path, *content).unwrap();
        }
        archive.into_inner().unwrap()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut out = gzip_header().write(Vec::new(), LEVEL);
        std::io::Write::write_all(&mut out, bytes).unwrap();
        out.finish().unwrap()
    }

    fn told(first: &[u8], second: &[u8]) -> String {
        bytes(first, second).unwrap().to_string()
    }

    #[test]
    fn equal_files_have_no_difference() {
        let file = packed(&archive(&[("a", 1, b"x")]));
        assert_eq!(bytes(&file, &file), None);
    }

    #[test]
    fn the_innermost_member_and_offset_are_named() {
        let file = |text: &[u8]| {
            let inner = packed(&archive(&[("same", 1, b"x"), ("deep/file", 1, text)]));
            packed(&archive(&[("outer.tar.gz", 1, &inner)]))
        };
        assert_eq!(
            told(&file(b"hello world"), &file(b"hello there")),
            "in gzip > outer.tar.gz > gzip > deep/file: at offset 0x6: 77 6f 72 6c 64, and 74 68 65 72 65"
        );
    }

    #[test]
    fn a_header_field_is_named_with_both_values() {
        let file = |mtime| packed(&archive(&[("a", mtime, b"x")]));
        assert_eq!(told(&file(1), &file(2)), "in gzip > a: mtime is 1, and 2");
    }

    #[test]
    fn a_member_too_many_and_another_order_are_named() {
        let one = archive(&[("a", 1, b"x")]);
        let two = archive(&[("a", 1, b"x"), ("b", 1, b"")]);
        assert_eq!(told(&one, &two), "the next member is the end, and b");
        let turned = archive(&[("b", 1, b""), ("a", 1, b"x")]);
        assert_eq!(told(&two, &turned), "the next member is a, and b");
    }

    #[test]
    fn a_debian_packages_file_is_named() {
        let package = |text: &[u8]| {
            let data = packed(&archive(&[("./usr/bin/a", 1, text)]));
            let mut out = b"!<arch>\n".to_vec();
            for (name, bytes) in [("debian-binary", b"2.0\n".as_slice()), ("data.tar.gz", &data)] {
                out.extend(
                    format!(
                        "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
                        1,
                        0,
                        0,
                        "100644",
                        bytes.len()
                    )
                    .bytes(),
                );
                out.extend(bytes);
                if bytes.len() % 2 == 1 {
                    out.push(b'\n');
                }
            }
            out
        };
        assert_eq!(
            told(&package(b"x1"), &package(b"x2")),
            "in data.tar.gz > gzip > usr/bin/a: at offset 0x1: 31, and 32"
        );
    }

    #[test]
    fn an_rpm_packages_file_is_named_and_else_the_value() {
        use crate::ops::rpm::tests::package;
        let one = package("aa", "x", b"1");
        assert_eq!(told(&one, &package("bb", "x", b"2")), "in /etc/a/b: sha256 is aa, and bb");
        let value = "in header tag 1011: at offset 0x0: 78 00, and 79 00";
        assert_eq!(told(&one, &package("aa", "y", b"1")), value);
        let payload = "in payload: at offset 0x0: 31, and 32";
        assert_eq!(told(&one, &package("aa", "x", b"2")), payload);
    }

    #[test]
    fn a_documents_value_is_named_by_its_pointer() {
        let first = br#"{"a": [1, {"b/c": "x"}], "d": 1}"#;
        let second = br#"{"a": [1, {"b/c": "y"}], "d": 1}"#;
        assert_eq!(told(first, second), r#"in /a/1/b~1c: it is "x", and "y""#);
        assert_eq!(told(br#"{"a": 1}"#, br#"{"b": 1}"#), "in /a: it is 1, and null");
        // The same content in another form.
        assert_eq!(told(b"{}", b"{ }"), "at offset 0x1: 7d, and 20 7d");
    }

    #[test]
    fn another_compression_of_the_same_is_a_difference_of_the_stream() {
        let best = packed(&[7; 1000]);
        let mut fast = gzip_header().write(Vec::new(), flate2::Compression::none());
        std::io::Write::write_all(&mut fast, &[7; 1000]).unwrap();
        let told = told(&best, &fast.finish().unwrap());
        assert!(told.starts_with("at offset 0x8: "), "{told}");
    }

    #[test]
    fn an_executables_section_is_named() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let file = ElfBytes::<AnyEndian>::minimal_parse(&own).unwrap();
        let header = file.section_header_by_name(".rodata").unwrap().unwrap();
        let mut other = own.clone();
        other[usize::try_from(header.sh_offset).unwrap() + 3] ^= 1;
        assert!(told(&own, &other).starts_with("in .rodata: at offset 0x3: "));
        // The digest over it differs too, and tells nothing.
        let header = file.section_header_by_name(".note.gnu.build-id").unwrap().unwrap();
        other[usize::try_from(header.sh_offset).unwrap() + 16] ^= 1;
        assert!(told(&own, &other).starts_with("in .rodata: at offset 0x3: "));
        other.clone_from(&own);
        other[usize::try_from(header.sh_offset).unwrap() + 16] ^= 1;
        assert!(told(&own, &other).starts_with("in .note.gnu.build-id: at offset 0x10: "));
    }

    #[test]
    fn a_shorter_file_ends() {
        assert_eq!(told(b"ab", b"a"), "at offset 0x1: 62, and the end");
        // What an archive step writes is read here as well.
        assert!(archive::write(Vec::new(), Vec::new(), 0).is_ok());
    }
}
