// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;

use super::*;

/// A folder with the source files of members.
struct Sources(tempfile::TempDir);

impl Sources {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn member(&self, path: &str, bytes: &[u8], mode: Mode) -> Member {
        let source = self.0.path().join(oci::Digest::sha256(bytes).hex());
        std::fs::write(&source, bytes).unwrap();
        Member { path: path.to_owned(), mode, source }
    }
}

/// Path, mode, uid, gid, mtime and content of every member.
fn unpack(bytes: &[u8]) -> Vec<(String, u32, u64, u64, u64, Vec<u8>)> {
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes));
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let header = entry.header();
        let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
        (path, header.mode().unwrap(), uid, gid, header.mtime().unwrap(), bytes)
    });
    entries.collect()
}

proptest! {
    #[test]
    fn any_order_of_members_gives_the_same_bytes_and_reads_back(
        members in prop::collection::btree_map(
            "[a-z]{1,60}(/[a-z.é ]{1,80}x){0,2}",
            (prop::collection::vec(any::<u8>(), 0..2000), any::<bool>()),
            0..12,
        ),
        seed in any::<u64>(),
        epoch in 0_u64..=0o77_777_777_777,
    ) {
        let sources = Sources::new();
        let ordered: Vec<Member> = members
            .iter()
            .map(|(path, (bytes, executable))| {
                sources.member(path, bytes, if *executable { Mode::Executable } else { Mode::File })
            })
            .collect();
        let mut shuffled = ordered.clone();
        shuffled.sort_by_key(|m| m.path.len() as u64 ^ seed ^ u64::from(m.path.as_bytes()[0]));
        let first = write(Vec::new(), ordered, epoch).unwrap();
        prop_assert_eq!(&first, &write(Vec::new(), shuffled, epoch).unwrap());
        let expected: Vec<_> = members
            .into_iter()
            .map(|(path, (bytes, executable))| {
                (path, if executable { 0o755 } else { 0o644 }, 0, 0, epoch, bytes)
            })
            .collect();
        prop_assert_eq!(unpack(&first), expected);
    }
}

#[test]
fn the_state_of_the_file_on_disk_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let content = |name: &str, mode: u32| {
        let path = folder.path().join(name);
        std::fs::write(&path, "text").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        Member { path: "x".to_owned(), mode: Mode::File, source: path }
    };
    let private = write(Vec::new(), vec![content("a", 0o600)], 7).unwrap();
    let open = write(Vec::new(), vec![content("b", 0o777)], 7).unwrap();
    assert_eq!(private, open);
}

#[test]
fn the_gzip_header_holds_neither_time_nor_name_nor_system() {
    let bytes = write(Vec::new(), Vec::new(), 1_700_000_000).unwrap();
    // ID1 ID2 CM FLG MTIME(4) XFL OS
    assert_eq!(bytes[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
}

#[test]
fn a_path_that_leaves_the_folder_is_refused() {
    for path in ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a/./b", "a\0b"] {
        let members = vec![Sources::new().member(path, b"", Mode::File)];
        let error = write(Vec::new(), members, 0).unwrap_err();
        assert!(error.to_string().contains("relative path"), "{path:?}: {error}");
    }
}

#[test]
fn the_same_path_twice_is_refused() {
    let sources = Sources::new();
    let members = ["1", "2"].map(|text| sources.member("a", text.as_bytes(), Mode::File)).into();
    assert!(write(Vec::new(), members, 0).unwrap_err().to_string().contains("a twice"));
}

#[test]
fn a_missing_file_is_named_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("out.tar.gz");
    let gone = folder.path().join("gone");
    let members = vec![Member { path: "x".to_owned(), mode: Mode::File, source: gone }];
    let error = write_file(&target, members, 0).unwrap_err();
    assert!(format!("{error:#}").contains("gone"), "{error:#}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_file_that_changes_size_while_it_is_read_is_an_error() {
    let mut shrunk = Exact { inner: &b"abc"[..], left: 5 };
    assert!(io::copy(&mut shrunk, &mut io::sink()).is_err());
    let mut grown = Exact { inner: &b"abc"[..], left: 2 };
    assert!(io::copy(&mut grown, &mut io::sink()).is_err());
    let mut same = Exact { inner: &b"abc"[..], left: 3 };
    assert_eq!(io::copy(&mut same, &mut io::sink()).unwrap(), 3);
}
