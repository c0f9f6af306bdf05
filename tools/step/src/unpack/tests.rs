// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Layers that try to escape the root, and layers of unusual tools.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};

use tar::{Builder, Header};
use tempfile::TempDir;
use test_support::folder::names;

use super::*;

/// A root, a folder outside of it, and an owner that this process may set.
struct World {
    dir: TempDir,
    owner: (u64, u64),
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["root", "outside/sub"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("outside/secret"), "secret").unwrap();
        let owner = fs::metadata(dir.path()).unwrap();
        Self { owner: (owner.uid().into(), owner.gid().into()), dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn header(&self, kind: EntryType, size: usize) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(self.owner.0);
        header.set_gid(self.owner.1);
        header.set_size(size as u64);
        header
    }

    /// Adds an entry with an unmodified name.
    fn add(
        &self,
        tar: &mut Builder<Vec<u8>>,
        kind: EntryType,
        name: &str,
        link: &str,
        data: &[u8],
    ) {
        let mut header = self.header(kind, data.len());
        let bytes = header.as_old_mut();
        bytes.name[..name.len()].copy_from_slice(name.as_bytes());
        bytes.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        tar.append(&header, data).unwrap();
    }

    /// Adds a pax header for the next entry (`x`) or all entries (`g`).
    fn pax(&self, tar: &mut Builder<Vec<u8>>, kind: EntryType, records: &[(&str, &str)]) {
        let mut text = String::new();
        for (key, value) in records {
            let rest = format!(" {key}={value}\n");
            let length = (1..1000).find(|n| n.to_string().len() + rest.len() == *n).unwrap();
            text += &length.to_string();
            text += &rest;
        }
        self.add(tar, kind, "pax", "", text.as_bytes());
    }

    fn unpack(&self, layer: Builder<Vec<u8>>) -> Result<()> {
        self.unpack_bytes(&layer.into_inner().unwrap())
    }

    fn unpack_bytes(&self, mut layer: &[u8]) -> Result<()> {
        unpack_layer(&mut layer, &Root::open(&self.path("root")).unwrap())
    }

    /// Asserts that nothing outside of the root has changed.
    #[track_caller]
    fn check_outside(&self) {
        assert_eq!(names(&self.path("outside")), ["secret", "sub"]);
        assert_eq!(fs::read_dir(self.path("outside/sub")).unwrap().count(), 0);
        let secret = fs::metadata(self.path("outside/secret")).unwrap();
        assert_eq!((secret.nlink(), secret.len()), (1, 6));
        assert_eq!(fs::read_dir(self.dir.path()).unwrap().count(), 2);
    }
}

fn tar() -> Builder<Vec<u8>> {
    Builder::new(Vec::new())
}

#[test]
fn no_layer_leaves_the_root() {
    type Build = fn(&World, &mut Builder<Vec<u8>>);
    let layers: [(&str, Build); 9] = [
        ("a link made in the same layer, then a file through it", |world, tar| {
            world.add(tar, EntryType::Symlink, "b", "a/sub", b"");
            world.add(tar, EntryType::Regular, "b/evil", "", b"evil");
        }),
        ("GNU sparse 1.0, whose real name is in the pax header", |world, tar| {
            let records = [
                ("GNU.sparse.major", "1"),
                ("GNU.sparse.minor", "0"),
                ("GNU.sparse.name", "a/sub/sparse"),
                ("GNU.sparse.realsize", "5"),
            ];
            world.pax(tar, EntryType::XHeader, &records);
            let mut data = b"1\n0\n5\n".to_vec();
            data.resize(512, 0);
            data.extend_from_slice(b"pwned");
            world.add(tar, EntryType::Regular, "GNUSparseFile.0/x", "", &data);
        }),
        ("a path in a global header", |world, tar| {
            world.pax(tar, EntryType::XGlobalHeader, &[("path", "a/sub/global")]);
            world.add(tar, EntryType::Regular, "innocent", "", b"evil");
        }),
        ("a path in a pax header", |world, tar| {
            world.pax(tar, EntryType::XHeader, &[("path", "a/sub/pax")]);
            world.add(tar, EntryType::Regular, "innocent", "", b"evil");
        }),
        ("a hard link to a file outside", |world, tar| {
            world.add(tar, EntryType::Link, "stolen", "a/secret", b"");
        }),
        ("a hard link by a parent", |world, tar| {
            world.add(tar, EntryType::Link, "stolen", "../outside/secret", b"");
        }),
        ("a parent in a path", |world, tar| {
            world.add(tar, EntryType::Regular, "../outside/evil", "", b"evil");
        }),
        ("a folder where the link is, and its attributes", |world, tar| {
            world.add(tar, EntryType::Regular, "up/outside/sub/evil", "", b"evil");
        }),
        ("a whiteout through the link", |world, tar| {
            world.add(tar, EntryType::Regular, "a/.wh.secret", "", b"");
            world.add(tar, EntryType::Regular, "a/.wh..wh..opq", "", b"");
        }),
    ];
    for (what, build) in layers {
        let world = World::new();
        let outside = world.path("outside").display().to_string();
        let mut lower = tar();
        world.add(&mut lower, EntryType::Symlink, "a", &outside, b"");
        world.add(&mut lower, EntryType::Symlink, "up", "../../..", b"");
        world.unpack(lower).unwrap();
        let mut upper = tar();
        build(&world, &mut upper);
        let result = world.unpack(upper);
        world.check_outside();
        // With the root as `/`, `up` is the root itself: the whiteout has nothing to delete.
        let is_harmless = what.contains("whiteout") || what.contains("attributes");
        assert_eq!(result.is_ok(), is_harmless, "{what}: {result:?}");
        assert!(!world.path("root/stolen").exists(), "{what}");
    }
}

#[test]
fn links_lead_where_they_lead_in_the_installed_system() {
    let world = World::new();
    let mut lower = tar();
    world.add(&mut lower, EntryType::Directory, "usr/lib/", "", b"");
    world.add(&mut lower, EntryType::Symlink, "lib", "/usr/lib", b"");
    world.unpack(lower).unwrap();
    let mut upper = tar();
    world.add(&mut upper, EntryType::Regular, "./lib/x", "", b"x");
    world.add(&mut upper, EntryType::Link, "y", "/lib/x", b"");
    world.add(&mut upper, EntryType::Fifo, "pipe", "", b"");
    world.unpack(upper).unwrap();
    assert_eq!(fs::read(world.path("root/usr/lib/x")).unwrap(), b"x");
    assert_eq!(fs::metadata(world.path("root/y")).unwrap().nlink(), 2);
    assert!(fs::metadata(world.path("root/pipe")).unwrap().file_type().is_fifo());
    // A folder replaces a link to one, and a file a folder.
    let mut top = tar();
    world.add(&mut top, EntryType::Directory, "lib/", "", b"");
    world.add(&mut top, EntryType::Regular, "usr", "", b"file");
    world.unpack(top).unwrap();
    assert!(fs::symlink_metadata(world.path("root/lib")).unwrap().is_dir());
    assert_eq!(fs::read(world.path("root/usr")).unwrap(), b"file");
}

#[test]
fn a_whiteout_names_a_file() {
    for name in [".wh.", ".wh..", ".wh...", "d/.wh..", "d/.wh...", "d/.wh."] {
        let world = World::new();
        fs::create_dir(world.path("root/d")).unwrap();
        fs::write(world.path("root/d/kept"), "").unwrap();
        let mut layer = tar();
        world.add(&mut layer, EntryType::Regular, name, "", b"");
        let error = format!("{:#}", world.unpack(layer).unwrap_err());
        assert!(error.contains("whiteout of"), "{name}: {error}");
        world.check_outside();
        assert!(world.path("root/d/kept").exists(), "{name}");
    }
}

#[test]
fn a_whiteout_deletes_what_lower_layers_have() {
    let world = World::new();
    for path in ["gone/deep", "opaque/old", "opaque/own/old", "kept"] {
        let path = world.path("root").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "lower").unwrap();
    }
    symlink(world.path("outside"), world.path("root/gone/link")).unwrap();
    let mut layer = tar();
    world.add(&mut layer, EntryType::Regular, ".wh.gone", "", b"");
    world.add(&mut layer, EntryType::Regular, ".wh.never-was", "", b"");
    world.add(&mut layer, EntryType::Regular, ".wh..wh.plnk", "", b"");
    world.add(&mut layer, EntryType::Regular, "opaque/own/new", "", b"upper");
    world.add(&mut layer, EntryType::Regular, "opaque/.wh..wh..opq", "", b"");
    world.add(&mut layer, EntryType::Regular, ".wh.kept", "", b"");
    world.add(&mut layer, EntryType::Regular, "kept", "", b"upper");
    world.unpack(layer).unwrap();
    world.check_outside();
    let names = |path: &str| names(&world.path(path));
    assert_eq!(names("root"), ["kept", "opaque"]);
    assert_eq!(names("root/opaque"), ["own"]);
    assert_eq!(names("root/opaque/own"), ["new"]);
}

#[test]
fn modes_and_times_are_those_of_the_archive() {
    let world = World::new();
    let mut layer = tar();
    for (kind, name, mode) in [
        (EntryType::Directory, "d/", 0o1700),
        (EntryType::Regular, "d/f", 0o4751),
        (EntryType::Regular, "old-folder/", 0o750),
    ] {
        let mut header = world.header(kind, 0);
        header.set_mode(mode);
        header.set_mtime(1_000_000);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        layer.append(&header, &[][..]).unwrap();
    }
    world.unpack(layer).unwrap();
    for (name, mode) in [("d", 0o1700), ("d/f", 0o4751), ("old-folder", 0o750)] {
        let found = fs::metadata(world.path("root").join(name)).unwrap();
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{name}");
        assert_eq!(found.mtime(), 1_000_000, "{name}");
    }
    assert!(world.path("root/old-folder").is_dir());
}

#[test]
fn a_sparse_file_keeps_its_holes() {
    let world = World::new();
    let sparse = |map: &str, data: &[u8]| {
        let mut layer = tar();
        let records = [
            ("GNU.sparse.major", "1"),
            ("GNU.sparse.minor", "0"),
            ("GNU.sparse.name", "disk"),
            ("GNU.sparse.realsize", "1048576"),
        ];
        world.pax(&mut layer, EntryType::XHeader, &records);
        let mut contents = map.as_bytes().to_vec();
        contents.resize(512, 0);
        contents.extend_from_slice(data);
        world.add(&mut layer, EntryType::Regular, "GNUSparseFile.1/disk", "", &contents);
        world.unpack(layer)
    };
    sparse("2\n4096\n3\n1048576\n0\n", b"abc").unwrap();
    let bytes = fs::read(world.path("root/disk")).unwrap();
    assert_eq!((bytes.len(), &bytes[4096..4099]), (1 << 20, &b"abc"[..]));
    assert!(bytes.iter().filter(|byte| **byte != 0).count() == 3);
    assert!(fs::metadata(world.path("root/disk")).unwrap().blocks() < 100);
    for (map, data) in [
        ("1\n0\n4\n", &b"abc"[..]),
        ("1\n0\n2\n", b"abc"),
        ("2\n4\n1\n0\n2\n", b"abc"),
        ("1\n1048575\n3\n", b"abc"),
        ("x\n", b""),
        ("9999999999999999999999\n", b""),
    ] {
        assert!(sparse(map, data).is_err(), "{map:?}");
    }
}

#[test]
fn a_layer_that_ends_early_is_an_error() {
    let world = World::new();
    let mut layer = tar();
    world.add(&mut layer, EntryType::Regular, "data", "", &[7; 5000]);
    let bytes = layer.into_inner().unwrap();
    let error = format!("{:#}", world.unpack_bytes(&bytes[..2000]).unwrap_err());
    assert!(error.contains("cannot unpack \"data\": the layer ends in the middle"), "{error}");
    assert!(world.unpack_bytes(&[b'x'; 1000]).is_err());
}
