// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! isoinfo and 7z read our images; our reader reads images of xorriso and genisoimage.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use iso9660::reader::{Kind, Limits, Namespace, Volume};
use iso9660::task::TaskIso;

use crate::facts::{NodeContent, image, sample};

fn sample_file(folder: &Path) -> String {
    let path = folder.join("sample.iso");
    image(&sample()).write_to_file(&path).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn isoinfo_lists_both_trees() {
    let Some(isoinfo) = test_support::find("isoinfo") else { return };
    let folder = tempfile::tempdir().unwrap();
    let iso = sample_file(folder.path());
    let rock_ridge = test_support::run(&isoinfo, &["-f", "-R", "-i", &iso]);
    let mut listed: Vec<&str> = rock_ridge.lines().map(|line| &line[1..]).collect();
    listed.sort_unstable();
    let facts = sample();
    let paths: Vec<&str> = facts.iter().map(|fact| fact.path.as_str()).collect();
    assert_eq!(listed, paths);

    let long = test_support::run(&isoinfo, &["-l", "-R", "-i", &iso]);
    let line = long.lines().find(|line| line.ends_with(" more ")).unwrap_or_default();
    // Owners follow in octal.
    assert!(line.starts_with("-r--r--r--   1 "), "{long}");
    assert!(line.contains(" 70001 Nov 14 2023 "), "{line}");

    let joliet = test_support::run(&isoinfo, &["-f", "-J", "-i", &iso]);
    let listed: Vec<&str> = joliet.lines().collect();
    for path in ["/d1/d2/d3/d4/d5/d6/d7/d8/d9/d10/d11/d12/deep.txt;1", "/.hidden.tar.gz;1"] {
        assert!(listed.contains(&path), "{path} is not in\n{joliet}");
    }
    let about = test_support::run(&isoinfo, &["-d", "-i", &iso]);
    assert!(about.contains("Volume id: FACTS\n"), "{about}");
    assert!(about.contains("Joliet with UCS level 3 found"), "{about}");
    assert!(about.contains("Rock Ridge signatures version 1 found"), "{about}");
}

#[test]
fn seven_zip_finds_no_fault() {
    let Some(seven_zip) = test_support::find("7z") else { return };
    let folder = tempfile::tempdir().unwrap();
    let iso = sample_file(folder.path());
    let out = folder.path().join("out");
    let text = test_support::run(&seven_zip, &["x", &format!("-o{}", out.display()), &iso]);
    assert!(text.contains("Everything is Ok"), "{text}");
    assert!(!text.contains("WARNING") && !text.contains("ERROR"), "{text}");
    for fact in sample() {
        // 7z reads Joliet, which cuts names to 103 characters and has no symlinks.
        let plain = fact.path.split('/').all(|name| name.len() <= 103 && !name.contains('😀'));
        if let (NodeContent::File(contents), true) = (&fact.content, plain) {
            assert_eq!(&fs::read(out.join(&fact.path)).unwrap(), contents, "{}", fact.path);
        }
    }
}

#[test]
fn no_program_warns_of_a_task_image() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task.iso");
    let task = TaskIso {
        job_id: "0192f0c1-2b3c-7d4e-8f50-61728394a5b6".to_owned(),
        epoch: 1_767_225_600,
        recipe: b"{}".to_vec(),
        schema: b"{}".to_vec(),
        ..TaskIso::default()
    };
    task.write_to_file(&path).unwrap();
    let iso = path.to_str().unwrap();
    if let Some(xorriso) = test_support::find("xorriso") {
        let text = test_support::run(&xorriso, &["-indev", iso, "-find", "/", "-exec", "lsdl"]);
        assert!(
            text.contains("-r--r--r--    1 0        0               2 Jan  1  2026 '/recipe.json'"),
            "{text}"
        );
        assert!(
            text.contains("dr-xr-xr-x    1 0        0               0 Jan  1  2026 '/'"),
            "{text}"
        );
        assert!(text.contains("Volume id    : 'TASK_0192F0C12B3C7D4E8F506172839'"), "{text}");
        for word in ["WARNING", "SORRY", "FAILURE", "FATAL"] {
            assert!(!text.contains(&format!(": {word} :")), "{text}");
        }
    }
    if let Some(isoinfo) = test_support::find("isoinfo") {
        for tree in ["-R", "-J"] {
            let output = test_support::output(&isoinfo, &["-l", tree, "-i", iso]);
            assert!(output.status.success());
            let errors = String::from_utf8_lossy(&output.stderr);
            // It prints the assumed character set of the terminal.
            assert!(errors.lines().all(|line| line.contains("UTF-8")), "{errors}");
        }
    }
}

/// A folder on disk, the expected list of its image, and the image written by another program.
fn build_foreign(
    make: impl Fn(&str, &str),
) -> (tempfile::TempDir, Vec<u8>, BTreeMap<String, NodeContent>) {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    let mut expected = BTreeMap::new();
    fs::create_dir(&tree).unwrap();
    for fact in sample() {
        // genisoimage truncates Joliet names without keeping them unique.
        if fact.path.split('/').any(|name| name.len() > 103) {
            continue;
        }
        let path = tree.join(&fact.path);
        match &fact.content {
            NodeContent::Directory => {
                fs::create_dir(&path).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
            NodeContent::File(contents) => fs::write(&path, contents).unwrap(),
            NodeContent::Symlink(target) if target.len() < 200 => {
                std::os::unix::fs::symlink(target, &path).unwrap();
            }
            NodeContent::Symlink(_) => continue,
        }
        expected.insert(fact.path, fact.content);
    }
    let iso = folder.path().join("foreign.iso");
    make(tree.to_str().unwrap(), iso.to_str().unwrap());
    let bytes = fs::read(iso).unwrap();
    (folder, bytes, expected)
}

fn check_foreign(bytes: &[u8], expected: &BTreeMap<String, NodeContent>) {
    let mut volume = Volume::open(std::io::Cursor::new(bytes)).unwrap();
    assert_eq!(volume.namespace(), Namespace::RockRidge);
    let mut found = BTreeMap::new();
    for (path, entry) in volume.walk().unwrap() {
        let content = match &entry.kind {
            Kind::Directory => NodeContent::Directory,
            Kind::Symlink(target) => NodeContent::Symlink(target.trim_end_matches('/').to_owned()),
            Kind::File => NodeContent::File(volume.read_file(&entry, 1 << 20).unwrap()),
            Kind::Special => panic!("{path}"),
        };
        found.insert(path, content);
    }
    found.remove("rr_moved");
    let trimmed = |content: &NodeContent| match content {
        NodeContent::Symlink(target) => {
            NodeContent::Symlink(target.trim_end_matches('/').to_owned())
        }
        other => other.clone(),
    };
    let expected: BTreeMap<_, _> = expected.iter().map(|(p, w)| (p.clone(), trimmed(w))).collect();
    assert_eq!(found, expected);
    let input = std::io::Cursor::new(bytes);
    let mut joliet = Volume::open_with(input, Some(Namespace::Joliet), Limits::default()).unwrap();
    let entry = joliet.find("/many/003mmmmmmmmmmmm").unwrap();
    assert_eq!(joliet.read_file(&entry, 100).unwrap().len(), 3);
}

#[test]
fn an_image_of_xorriso_is_read() {
    let Some(xorriso) = test_support::find("xorriso") else { return };
    let (_folder, bytes, expected) = build_foreign(|tree, iso| {
        let args =
            ["-as", "mkisofs", "-iso-level", "3", "-r", "-J", "-joliet-long", "-o", iso, tree];
        test_support::run(&xorriso, &args);
    });
    check_foreign(&bytes, &expected);
}

#[test]
fn an_image_of_genisoimage_with_moved_folders_is_read() {
    let Some(genisoimage) = test_support::find("genisoimage") else { return };
    let (_folder, bytes, expected) = build_foreign(|tree, iso| {
        let args = ["-quiet", "-iso-level", "3", "-r", "-J", "-joliet-long", "-o", iso, tree];
        test_support::run(&genisoimage, &args);
    });
    // Folders below the eighth level are moved to the root (CL, PL and RE).
    assert!(bytes.windows(8).any(|window| window == b"RR_MOVED"));
    check_foreign(&bytes, &expected);
}
