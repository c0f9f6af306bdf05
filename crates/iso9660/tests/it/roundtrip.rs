// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Every tree that can be written is read back equal, by our reader and by xorriso.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use iso9660::reader::{Limits, Namespace, Volume};
use proptest::prelude::*;

use crate::facts::{self, Fact, NodeContent, image, read, sample, write};

/// Names without slashes and NULs, of valid length; `.` and `..` are excluded.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[^/\u{0}]{1,12}", "[a-cA-C._-]{1,6}", "[a-zA-Z]{60,253}", "[ä-ü€😀]{1,60}",]
        .prop_filter("a name", |name| {
            name != "." && name != ".." && name.len() <= iso9660::MAX_NAME
        })
}

fn target() -> impl Strategy<Value = String> {
    let parts =
        prop::collection::vec(prop_oneof![name(), Just("..".into()), Just(".".into())], 1..5);
    (any::<bool>(), parts)
        .prop_map(|(root, parts)| format!("{}{}", if root { "/" } else { "" }, parts.join("/")))
        .prop_filter("a target", |target| target.len() <= iso9660::MAX_TARGET)
}

fn node() -> impl Strategy<Value = (u32, u32, u32, u64, NodeContent)> {
    let content = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..5000).prop_map(NodeContent::File),
        1 => Just(NodeContent::Directory),
        1 => target().prop_map(NodeContent::Symlink),
    ];
    (0_u32..=0o7777, any::<u32>(), any::<u32>(), 0_u64..4_200_000_000, content)
}

/// A valid tree: each node is placed in one of the directories before it.
fn tree() -> impl Strategy<Value = Vec<Fact>> {
    prop::collection::vec((any::<prop::sample::Index>(), name(), node()), 0..40).prop_map(|nodes| {
        let mut directories = vec![String::new()];
        let mut facts = BTreeMap::new();
        for (parent, name, (mode, uid, gid, mtime, content)) in nodes {
            let parent = parent.get(&directories);
            let path = if parent.is_empty() { name } else { format!("{parent}/{name}") };
            if facts.contains_key(&path) {
                continue;
            }
            if content == NodeContent::Directory {
                directories.push(path.clone());
            }
            facts.insert(path.clone(), Fact { path, mode, uid, gid, mtime, content });
        }
        facts.into_values().collect()
    })
}

#[test]
fn the_sample_is_read_back_the_same() {
    let facts = sample();
    let mut volume = Volume::open(Cursor::new(write(&image(&facts)))).unwrap();
    assert_eq!(volume.namespace(), Namespace::RockRidge);
    assert_eq!(volume.info().volume_id, "FACTS");
    assert_eq!(volume.info().created, Some(1_600_000_000));
    assert_eq!(volume.root().posix.unwrap().mode, 0o755);
    assert_eq!(read(&mut volume), facts);
}

#[test]
fn the_joliet_and_plain_trees_have_the_same_files() {
    let facts = sample();
    let bytes = write(&image(&facts));
    let files = facts.iter().filter(|f| matches!(f.content, NodeContent::File(_)));
    let mut expected: Vec<&[u8]> = files
        .map(|f| if let NodeContent::File(c) = &f.content { c.as_slice() } else { &[] })
        .collect();
    expected.sort_unstable();
    for namespace in [Namespace::Joliet, Namespace::Plain] {
        let input = Cursor::new(&bytes);
        let mut volume = Volume::open_with(input, Some(namespace), Limits::default()).unwrap();
        let mut found = Vec::new();
        for (_, entry) in volume.walk().unwrap() {
            if !entry.is_directory() {
                found.push(volume.read_file(&entry, 1 << 20).unwrap());
            }
        }
        if namespace == Namespace::Plain {
            // The plain tree has symlinks as empty files.
            let links =
                facts.iter().filter(|f| matches!(f.content, NodeContent::Symlink(_))).count();
            for _ in 0..links {
                let empty = found.iter().position(Vec::is_empty).unwrap();
                found.swap_remove(empty);
            }
        }
        found.sort_unstable();
        assert_eq!(found, expected, "{namespace:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_is_read_back_the_same(facts in tree()) {
        let bytes = write(&image(&facts));
        prop_assert_eq!(&bytes, &write(&image(&facts)));
        let mut volume = Volume::open(Cursor::new(&bytes)).unwrap();
        prop_assert_eq!(read(&mut volume), facts);
        for namespace in [Namespace::Joliet, Namespace::Plain] {
            let mut volume =
                Volume::open_with(Cursor::new(&bytes), Some(namespace), Limits::default()).unwrap();
            let mut paths: Vec<_> = volume.walk().unwrap().into_iter().map(|(p, _)| p).collect();
            let count = paths.len();
            paths.sort();
            paths.dedup();
            prop_assert_eq!(paths.len(), count, "two files of one name");
        }
    }
}

#[test]
fn xorriso_reads_any_tree_back_the_same() {
    let Some(xorriso) = test_support::find("xorriso") else { return };
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    runner
        .run(&tree(), |facts| {
            check(&xorriso, &facts);
            Ok(())
        })
        .unwrap();
}

#[test]
fn xorriso_reads_the_sample_back_the_same() {
    let Some(xorriso) = test_support::find("xorriso") else { return };
    check(&xorriso, &sample());
}

/// Lists and extracts the image with xorriso.
fn check(xorriso: &Path, facts: &[Fact]) {
    let folder = tempfile::tempdir().unwrap();
    let iso = folder.path().join("x.iso");
    image(facts).write_to_file(&iso).unwrap();
    let out = folder.path().join("out");
    let text = test_support::run(
        xorriso,
        &[
            "-osirrox",
            "on:auto_chmod_on:o_excl_off",
            "-report_about",
            "NOTE",
            "-indev",
            iso.to_str().unwrap(),
            "-find",
            "/",
            "-exec",
            "lsdl",
            "--",
            "-extract",
            "/",
            out.to_str().unwrap(),
        ],
    );
    for word in ["WARNING", "SORRY", "FAILURE", "FATAL"] {
        assert!(!text.contains(&format!(": {word} :")), "{text}");
    }
    for fact in facts {
        let Fact { path, mode, uid, gid, mtime, content } = fact;
        let kind = match content {
            NodeContent::Directory => 'd',
            NodeContent::File(_) => '-',
            NodeContent::Symlink(_) => 'l',
        };
        // Permissions, links, owners; xorriso prints sizes and dates in separate columns.
        let start = format!("{kind}{}    1 {uid:<8} {gid:<8}", permissions(*mode));
        let end = match content {
            NodeContent::Symlink(target) => {
                format!("'{}' -> '{}'", quote(&format!("/{path}")), quote(target))
            }
            _ => format!("'{}'", quote(&format!("/{path}"))),
        };
        assert!(
            text.split('\n').any(|line| line.starts_with(&start) && line.ends_with(&end))
                || path.contains(char::is_control)
                || end.contains(char::is_control),
            "{start} {end} is not in\n{text}"
        );
        let at = out.join(path);
        let metadata = fs::symlink_metadata(&at).unwrap();
        if !metadata.is_symlink() {
            assert_eq!(u64::try_from(metadata.mtime()).unwrap(), *mtime, "{path}");
        }
        match content {
            NodeContent::Directory => assert!(metadata.is_dir(), "{path}"),
            NodeContent::File(contents) => assert_eq!(&fs::read(&at).unwrap(), contents, "{path}"),
            NodeContent::Symlink(target) => {
                assert_eq!(fs::read_link(&at).unwrap(), Path::new(target), "{path}");
            }
        }
    }
    if facts.iter().any(|fact| fact.path.contains(char::is_control)) {
        return;
    }
    let is_listed = |line: &&str| line.starts_with(['-', 'd', 'l']) && line.contains(" '/");
    let listed = text.split('\n').filter(is_listed).count();
    assert_eq!(listed, facts.len() + 1, "the root and every fact:\n{text}");
}

/// Permissions as `ls -l` prints them.
fn permissions(mode: u32) -> String {
    let mut out = String::new();
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift & 7;
        out.push(if bits & 4 != 0 { 'r' } else { '-' });
        out.push(if bits & 2 != 0 { 'w' } else { '-' });
        out.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    out
}

/// Quotes for a shell, as xorriso does.
fn quote(text: &str) -> String {
    text.replace('\'', "'\"'\"'")
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.iso");
    let mut image = image(&sample());
    let short = iso9660::Source::reader(10_000, || Ok(Box::new(std::io::empty())));
    image.root.insert("zz", iso9660::Node::File(facts::ROOT, short)).unwrap();
    let error = image.write_to_file(&path).unwrap_err();
    assert!(matches!(error, iso9660::WriteError::SourceLength { expected: 10_000, found: 0, .. }));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn sources_of_every_kind_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let contents: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let path = folder.path().join("contents");
    fs::write(&path, &contents).unwrap();
    let len = contents.len() as u64;
    let copy = contents.clone();
    let sources = [
        iso9660::Source::bytes(contents),
        iso9660::Source::path(&path).unwrap(),
        iso9660::Source::reader(len, move || Ok(Box::new(Cursor::new(copy.clone())))),
    ];
    let mut images = Vec::new();
    for (i, source) in sources.into_iter().enumerate() {
        let mut image = image(&[]);
        image.root.insert("f", iso9660::Node::File(facts::ROOT, source)).unwrap();
        let to = folder.path().join(format!("{i}.iso"));
        image.write_to_file(&to).unwrap();
        assert_eq!(fs::read(&to).unwrap(), write(&image));
        images.push(write(&image));
    }
    assert!(images.windows(2).all(|pair| pair[0] == pair[1]));
    fs::write(&path, b"shorter").unwrap();
    let mut image = image(&[]);
    let gone = iso9660::Source::path(&path).unwrap();
    image.root.insert("f", iso9660::Node::File(facts::ROOT, gone)).unwrap();
    fs::write(&path, b"much longer").unwrap();
    let error = image.write_to(Vec::new()).unwrap_err();
    assert!(matches!(error, iso9660::WriteError::SourceLength { expected: 7, found: 8, .. }));
}
