// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Generated files of each format with one difference.

use ::elf::ElfBytes;
use ::elf::endian::AnyEndian;
use foundation::archive::{self, LEVEL, gzip_header};

use super::*;

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

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut out = gzip_header().write(Vec::new(), LEVEL);
    std::io::Write::write_all(&mut out, bytes).unwrap();
    out.finish().unwrap()
}

fn show_difference(first: &[u8], second: &[u8]) -> String {
    bytes(first, second).unwrap().to_string()
}

#[test]
fn equal_files_have_no_difference() {
    let file = compress(&archive(&[("a", 1, b"x")]));
    assert_eq!(bytes(&file, &file), None);
}

#[test]
fn the_innermost_member_and_offset_are_named() {
    let file = |text: &[u8]| {
        let inner = compress(&archive(&[("same", 1, b"x"), ("deep/file", 1, text)]));
        compress(&archive(&[("outer.tar.gz", 1, &inner)]))
    };
    assert_eq!(
        show_difference(&file(b"hello world"), &file(b"hello there")),
        "in gzip > outer.tar.gz > gzip > deep/file: at offset 0x6: 77 6f 72 6c 64, and 74 68 65 72 65"
    );
}

#[test]
fn a_header_field_is_named_with_both_values() {
    let file = |mtime| compress(&archive(&[("a", mtime, b"x")]));
    assert_eq!(show_difference(&file(1), &file(2)), "in gzip > a: mtime is 1, and 2");
}

#[test]
fn a_member_too_many_and_another_order_are_named() {
    let one = archive(&[("a", 1, b"x")]);
    let two = archive(&[("a", 1, b"x"), ("b", 1, b"")]);
    assert_eq!(show_difference(&one, &two), "the next member is the end, and b");
    let turned = archive(&[("b", 1, b""), ("a", 1, b"x")]);
    assert_eq!(show_difference(&two, &turned), "the next member is a, and b");
}

#[test]
fn a_debian_packages_file_is_named() {
    let package = |text: &[u8]| {
        let data = compress(&archive(&[("./usr/bin/a", 1, text)]));
        let mut out = b"!<arch>\n".to_vec();
        for (name, bytes) in [("debian-binary", b"2.0\n".as_slice()), ("data.tar.gz", &data)] {
            out.extend(
                format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 1, 0, 0, "100644", bytes.len())
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
        show_difference(&package(b"x1"), &package(b"x2")),
        "in data.tar.gz > gzip > usr/bin/a: at offset 0x1: 31, and 32"
    );
}

#[test]
fn an_rpm_packages_file_is_named_and_else_the_value() {
    use crate::rpm::tests::package;
    let one = package("aa", "x", b"1");
    assert_eq!(
        show_difference(&one, &package("bb", "x", b"2")),
        "in /etc/a/b: sha256 is aa, and bb"
    );
    let value = "in header tag 1011: at offset 0x0: 78 00, and 79 00";
    assert_eq!(show_difference(&one, &package("aa", "y", b"1")), value);
    let payload = "in payload: at offset 0x0: 31, and 32";
    assert_eq!(show_difference(&one, &package("aa", "x", b"2")), payload);
}

#[test]
fn a_documents_value_is_named_by_its_pointer() {
    let first = br#"{"a": [1, {"b/c": "x"}], "d": 1}"#;
    let second = br#"{"a": [1, {"b/c": "y"}], "d": 1}"#;
    assert_eq!(show_difference(first, second), r#"in /a/1/b~1c: it is "x", and "y""#);
    assert_eq!(show_difference(br#"{"a": 1}"#, br#"{"b": 1}"#), "in /a: it is 1, and null");
    // The same content in another form.
    assert_eq!(show_difference(b"{}", b"{ }"), "at offset 0x1: 7d, and 20 7d");
}

#[test]
fn another_compression_of_the_same_is_a_difference_of_the_stream() {
    let best = compress(&[7; 1000]);
    let mut fast = gzip_header().write(Vec::new(), flate2::Compression::none());
    std::io::Write::write_all(&mut fast, &[7; 1000]).unwrap();
    let shown = show_difference(&best, &fast.finish().unwrap());
    assert!(shown.starts_with("at offset 0x8: "), "{shown}");
}

#[test]
fn an_executables_section_is_named() {
    let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let file = ElfBytes::<AnyEndian>::minimal_parse(&own).unwrap();
    let header = file.section_header_by_name(".rodata").unwrap().unwrap();
    let mut other = own.clone();
    other[usize::try_from(header.sh_offset).unwrap() + 3] ^= 1;
    assert!(show_difference(&own, &other).starts_with("in .rodata: at offset 0x3: "));
    // The digest over the section differs too, which explains nothing.
    let header = file.section_header_by_name(".note.gnu.build-id").unwrap().unwrap();
    other[usize::try_from(header.sh_offset).unwrap() + 16] ^= 1;
    assert!(show_difference(&own, &other).starts_with("in .rodata: at offset 0x3: "));
    other.clone_from(&own);
    other[usize::try_from(header.sh_offset).unwrap() + 16] ^= 1;
    assert!(show_difference(&own, &other).starts_with("in .note.gnu.build-id: at offset 0x10: "));
}

#[test]
fn a_shorter_file_ends() {
    assert_eq!(show_difference(b"ab", b"a"), "at offset 0x1: 62, and the end");
    // Archives of the build are read too.
    assert!(archive::write(Vec::new(), Vec::new(), 0).is_ok());
}

/// A cpio archive of these files.
fn cpio(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (path, mtime, content) in files.iter().chain([&("TRAILER!!!", 0, b"".as_slice())]) {
        let sizes = [content.len(), path.len() + 1].map(|it| u32::try_from(it).unwrap());
        let numbers = [1, 0o100_644, 0, 0, 1, *mtime, sizes[0], 0, 0, 0, 0, sizes[1], 0];
        out.extend(b"070701");
        out.extend(numbers.iter().flat_map(|it| format!("{it:08X}").into_bytes()));
        for part in [[path.as_bytes(), b"\0"].concat(), content.to_vec()] {
            out.extend(part);
            out.resize(out.len().next_multiple_of(4), 0);
        }
    }
    out
}

#[test]
fn a_file_in_the_payload_of_an_rpm_package_is_named() {
    use crate::rpm::tests::package;
    let with =
        |sha256: &str, files: &[(&str, u32, &[u8])]| package(sha256, "x", &compress(&cpio(files)));
    let one = with("aa", &[("./etc/a/b", 1, b"hello"), ("./etc/c", 1, b"")]);
    let other = with("bb", &[("./etc/a/b", 1, b"help"), ("./etc/c", 1, b"")]);
    let expected = "in payload > gzip > ./etc/a/b: at offset 0x3: 6c 6f, and 70";
    assert_eq!(show_difference(&one, &other), expected);
    let small = |text: &[u8]| {
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let payload = cpio(&[("./etc/a/b", 1, text)]);
        package("aa", "x", &ruzstd::encoding::compress_to_vec(&*payload, level))
    };
    let expected = "in payload > zstd > ./etc/a/b: at offset 0x3: 6c 6f, and 70";
    assert_eq!(show_difference(&small(b"hello"), &small(b"help")), expected);
    let other = with("aa", &[("./etc/a/b", 1, b"hello"), ("./etc/c", 2, b"")]);
    assert_eq!(show_difference(&one, &other), "in payload > gzip > ./etc/c: mtime is 1, and 2");
}

#[test]
fn a_cpio_archive_cut_short_is_compared_by_its_bytes() {
    let (one, other) = (cpio(&[("a", 1, b"x")]), cpio(&[("a", 1, b"y")]));
    assert_eq!(show_difference(&one, &other), "in a: at offset 0x0: 78, and 79");
    for length in 0..one.len() - 3 {
        assert!(show_difference(&one[..length], &other).starts_with("at offset 0x"), "{length}");
    }
}

/// An ISO image of these files.
fn iso(files: &[(&str, u64, &str)], label: &str) -> Vec<u8> {
    use iso9660::{Directory, Image, Labels, Metadata, Node, Source};
    let metadata = |mode, mtime| Metadata { mode, uid: 0, gid: 0, mtime };
    let mut root = Directory::new(metadata(0o555, 0));
    for (path, mtime, text) in files {
        root.insert(path, Node::File(metadata(0o444, *mtime), Source::bytes(*text))).unwrap();
    }
    let labels = Labels { volume: label.to_owned(), ..Labels::default() };
    let file = tempfile::NamedTempFile::new().unwrap();
    Image { labels, epoch: 0, root, boot: None }.write_to_file(file.path()).unwrap();
    std::fs::read(file.path()).unwrap()
}

#[test]
fn a_file_of_an_iso_is_named() {
    let one = iso(&[("a", 1, "first"), ("folder/b", 1, "hello")], "X");
    let other = iso(&[("a", 1, "first"), ("folder/b", 1, "help!")], "X");
    assert_eq!(show_difference(&one, &other), "in folder/b: at offset 0x3: 6c 6f, and 70 21");
    let longer = iso(&[("a", 1, "first"), ("folder/b", 1, "hello there")], "X");
    assert_eq!(
        show_difference(&one, &longer),
        "in folder/b: at offset 0x5: the end, and 20 74 68 65 72 65"
    );
    let later = iso(&[("a", 2, "first"), ("folder/b", 1, "hello")], "X");
    assert_eq!(show_difference(&one, &later), "in a: mtime is 1, and 2");
    let without = iso(&[("a", 1, "first")], "X");
    assert_eq!(show_difference(&one, &without), "the next member is folder, and the end");
    // The label belongs to no file.
    let named = iso(&[("a", 1, "first"), ("folder/b", 1, "hello")], "Y");
    assert!(
        show_difference(&one, &named).starts_with("at offset 0x8028: 58"),
        "{}",
        show_difference(&one, &named)
    );
}

/// A squashfs file system of this folder with this mtime.
fn squashfs(folder: &std::path::Path, mtime: &str) -> Vec<u8> {
    let image = tempfile::NamedTempFile::new().unwrap();
    let (from, to) = (folder.to_str().unwrap(), image.path().to_str().unwrap());
    let options = ["-noappend", "-quiet", "-no-progress", "-all-root", "-all-time", mtime];
    let arguments = [&[from, to], options.as_slice()].concat();
    test_support::run(&test_support::find("mksquashfs").unwrap(), &arguments);
    std::fs::read(image.path()).unwrap()
}

#[test]
fn a_file_in_the_root_of_an_iso_is_named() {
    test_support::need!(&["mksquashfs", "unsquashfs"]);
    let folder = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| std::fs::write(folder.path().join(path), text).unwrap();
    std::fs::create_dir(folder.path().join("etc")).unwrap();
    std::os::unix::fs::symlink("etc/a name", folder.path().join("link")).unwrap();
    write("etc/a name", "hello");
    std::fs::hard_link(folder.path().join("etc/a name"), folder.path().join("etc/b")).unwrap();
    let one = squashfs(folder.path(), "1");
    let later = squashfs(folder.path(), "2");
    write("etc/a name", "help!");
    let other = squashfs(folder.path(), "1");
    write("etc/c", "");
    let longer = squashfs(folder.path(), "1");
    assert_eq!(show_difference(&one, &other), "in etc/a name: at offset 0x3: 6c 6f, and 70 21");
    assert!(
        show_difference(&one, &later).ends_with("mtime is 1, and 2"),
        "{}",
        show_difference(&one, &later)
    );
    assert_eq!(show_difference(&other, &longer), "the next member is link, and etc/c");
    // A truncated file system is compared by bytes.
    assert!(show_difference(&one[..200], &other).starts_with("at offset 0x"));
}
