// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A tree as a list of facts, to compare readers with.

use std::fmt;
use std::io::{Read, Seek};

use iso9660::reader::{Kind, Volume};
use iso9660::{Directory, Image, Labels, Metadata, Node, Source};

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum NodeContent {
    Directory,
    File(Vec<u8>),
    Symlink(String),
}

impl fmt::Debug for NodeContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("directory"),
            Self::File(contents) => {
                write!(f, "{} bytes {:?}", contents.len(), contents.first_chunk::<8>())
            }
            Self::Symlink(target) => write!(f, "-> {target:?}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fact {
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: u64,
    pub(crate) content: NodeContent,
}

pub(crate) const ROOT: Metadata = Metadata { mode: 0o755, uid: 0, gid: 0, mtime: 1_600_000_000 };

pub(crate) fn labels(volume: &str) -> Labels {
    Labels { volume: volume.to_owned(), ..Labels::default() }
}

/// An image with these facts; parents come before their children.
pub(crate) fn image(facts: &[Fact]) -> Image {
    let mut root = Directory::new(ROOT);
    for fact in facts {
        let metadata =
            Metadata { mode: fact.mode, uid: fact.uid, gid: fact.gid, mtime: fact.mtime };
        let node = match &fact.content {
            NodeContent::Directory => Node::Directory(Directory::new(metadata)),
            NodeContent::File(contents) => Node::File(metadata, Source::bytes(contents.as_slice())),
            NodeContent::Symlink(target) => Node::Symlink(metadata, target.clone()),
        };
        root.insert(&fact.path, node).unwrap();
    }
    Image { labels: labels("FACTS"), epoch: ROOT.mtime, root, boot: None }
}

pub(crate) fn write(image: &Image) -> Vec<u8> {
    let mut out = Vec::new();
    let size = image.write_to(&mut out).unwrap();
    assert_eq!(size, out.len() as u64);
    out
}

/// Facts of our reader, by path.
pub(crate) fn read<R: Read + Seek>(volume: &mut Volume<R>) -> Vec<Fact> {
    let mut facts: Vec<Fact> = volume
        .walk()
        .unwrap()
        .into_iter()
        .map(|(path, entry)| {
            let posix = entry.posix.unwrap();
            let content = match &entry.kind {
                Kind::Directory => NodeContent::Directory,
                Kind::File => NodeContent::File(volume.read_file(&entry, u64::MAX).unwrap()),
                Kind::Symlink(target) => NodeContent::Symlink(target.clone()),
                Kind::Special => panic!("{path} is special"),
            };
            let mtime = u64::try_from(entry.mtime.unwrap()).unwrap();
            Fact { path, mode: posix.mode, uid: posix.uid, gid: posix.gid, mtime, content }
        })
        .collect();
    facts.sort_by(|a, b| a.path.cmp(&b.path));
    facts
}

/// A tree with every supported feature, except large files.
pub(crate) fn sample() -> Vec<Fact> {
    let deep = (1..=12).map(|n| format!("d{n}")).collect::<Vec<_>>();
    let mut facts: Vec<Fact> = Vec::new();
    let mut add = |path: &str, mode, uid, mtime, content| {
        facts.push(Fact { path: path.to_owned(), mode, uid, gid: uid / 2, mtime, content });
    };
    for depth in 1..=deep.len() {
        add(&deep[..depth].join("/"), 0o755, 0, 1_500_000_000, NodeContent::Directory);
    }
    let file =
        |len: usize| NodeContent::File((0..len).map(|i| (i * 7 % 251).to_le_bytes()[0]).collect());
    add(&format!("{}/deep.txt", deep.join("/")), 0o640, 1000, 1_234_567_890, file(10));
    add("empty", 0o600, 0, 0, file(0));
    add("empty-folder", 0o1777, 0, 2_147_483_647, NodeContent::Directory);
    add("block", 0o4755, 65_534, 1_700_000_001, file(2048));
    add("more", 0o444, 4_000_000_000, 1_700_000_002, file(70_001));
    add(".hidden.tar.gz", 0o400, 1, 951_782_400, file(1));
    add("ünï cödé 😀 $(x) 'q'.txt", 0o644, 0, 1_700_000_000, file(5));
    add(&"n".repeat(253), 0o644, 0, 1_700_000_000, file(6));
    add(&format!("{}.tar", "j".repeat(150)), 0o644, 0, 1_700_000_000, file(7));
    add(&format!("{}2.tar", "j".repeat(150)), 0o644, 0, 1_700_000_000, file(8));
    let link = |target: &str| NodeContent::Symlink(target.to_owned());
    let long = format!("{}/{}", "c".repeat(255), "p/".repeat(380) + "end");
    let targets = ["d1/d2", "/", "..", ".", "/usr/../x", "./a", "../../b/", &long];
    for (i, target) in targets.into_iter().enumerate() {
        add(&format!("link{i}"), 0o777, 7, 1_700_000_003, link(target));
    }
    // More than one block of records, with names that need Rock Ridge continuation areas.
    add("many", 0o755, 0, 1_700_000_000, NodeContent::Directory);
    for i in 0..60 {
        let name = format!("many/{i:03}{}", "m".repeat(i * 4));
        add(&name, 0o644, 0, 1_700_000_000, file(i));
    }
    facts.sort_by(|a, b| a.path.cmp(&b.path));
    facts
}
