// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

use std::collections::BTreeMap;

use super::*;

const PROGRAM: &[u8] = b"\x7fELF program";

/// An entry of a package: its path, and content or the target of a link.
enum Entry {
    File(&'static str, &'static [u8]),
    Link(&'static str, &'static str),
}

fn package(entries: &[Entry]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = Header::new_gnu();
        header.set_mode(0o755);
        match entry {
            Entry::File(path, content) => {
                header.set_size(content.len() as u64);
                archive.append_data(&mut header, path, *content).unwrap();
            }
            Entry::Link(path, target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_size(0);
                archive.append_link(&mut header, path, target).unwrap();
            }
        }
    }
    archive.into_inner().unwrap()
}

/// Paths that are collected from `packages` for `architecture`, with their kinds.
fn collect(architecture: Architecture, packages: &[(&str, &[Entry])]) -> Vec<(String, EntryType)> {
    let mut collector = Collector::new(architecture, 7, Vec::new());
    for (name, entries) in packages {
        collector.package(name, package(entries).as_slice()).unwrap();
    }
    let tar = collector.finish().unwrap();
    let mut archive = tar::Archive::new(tar.as_slice());
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            (path, entry.header().entry_type())
        })
        .collect()
}

#[test]
fn programs_that_print_the_architecture_and_scripts_are_not_taken() {
    let coreutils = [
        Entry::File("./usr/bin/ls", PROGRAM),
        Entry::File("./usr/bin/uname", PROGRAM),
        Entry::File("./usr/bin/arch", PROGRAM),
        Entry::File("./usr/share/x", PROGRAM),
    ];
    let dpkg = [Entry::File("./usr/bin/dpkg", PROGRAM), Entry::File("./usr/bin/dpkg-deb", PROGRAM)];
    let grep =
        [Entry::File("./usr/bin/egrep", b"#!/bin/sh\n"), Entry::File("./usr/bin/grep", PROGRAM)];
    let bash = [Entry::File("./usr/bin/bash", PROGRAM)];
    let found = collect(
        Architecture::Arm64,
        &[("coreutils", &coreutils), ("dpkg", &dpkg), ("grep", &grep), ("bash", &bash)],
    );
    let folder = EntryType::Directory;
    let file = EntryType::Regular;
    let expected = [
        ("usr/", folder),
        ("usr/bin/", folder),
        ("usr/bin/ls", file),
        ("usr/bin/dpkg-deb", file),
        ("usr/bin/grep", file),
    ];
    assert_eq!(found, expected.map(|(path, kind)| (path.to_owned(), kind)));
}

#[test]
fn libraries_come_with_their_loader() {
    let libc = [
        Entry::File("./usr/lib/x86_64-linux-gnu/libc.so.6", b"library"),
        Entry::File("./usr/lib/x86_64-linux-gnu/gconv/UTF-16.so", b"table"),
        Entry::File("./usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", b"loader"),
        Entry::Link(
            "./usr/lib64/ld-linux-x86-64.so.2",
            "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
        ),
    ];
    let paths: Vec<_> = collect(Architecture::Amd64, &[("libc6", &libc)])
        .into_iter()
        .filter(|(_, kind)| !kind.is_dir())
        .map(|(path, _)| path)
        .collect();
    assert_eq!(
        paths,
        [
            "usr/lib/x86_64-linux-gnu/libc.so.6",
            "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            "usr/lib64/ld-linux-x86-64.so.2",
            "lib64",
        ]
    );
}

#[test]
fn packages_without_programs_or_libraries_are_not_needed() {
    for (package, needed) in
        [("dash", true), ("libc6", true), ("zlib1g", true), ("bash", false), ("tzdata", false)]
    {
        assert_eq!(is_needed(package), needed, "{package}");
    }
}

/// A base with one file, and a tar file of native programs.
fn prepare(folder: &Path) -> (Layout, std::path::PathBuf) {
    let root = folder.join("root.tar");
    let foreign = package(&[Entry::File("usr/bin/dash", b"foreign")]);
    std::fs::write(&root, foreign).unwrap();
    let base = folder.join("base");
    crate::base::write(&base, &root, Architecture::Arm64, "2025-10-09T08:53:20Z").unwrap();
    let mut collector = Collector::new(Architecture::Amd64, 7, Vec::new());
    let dash = package(&[Entry::File("usr/bin/dash", PROGRAM)]);
    collector.package("dash", dash.as_slice()).unwrap();
    let programs = folder.join("programs.tar");
    std::fs::write(&programs, collector.finish().unwrap()).unwrap();
    (Layout::open(base).unwrap(), programs)
}

/// Saves the image in `from` with the layer `own` on top, as a builder does.
fn build(from: &Layout, own: &[u8], to: &Path) -> Layout {
    let layout = Layout::create(to).unwrap();
    let mut config = normalise::config(from).unwrap();
    let mut layers = normalise::manifest(from).unwrap().layers().clone();
    for layer in &layers {
        let blob = from.open_blob(layer).unwrap();
        layout.write_blob(layer.media_type().as_ref(), blob).unwrap();
    }
    layers.push(layout.write_blob(media_type::IMAGE_LAYER, own).unwrap());
    config.rootfs_mut().diff_ids_mut().push(oci::Digest::sha256(own).to_string());
    let history = HistoryBuilder::default().created_by("/bin/sh -c dpkg").build().unwrap();
    config.history_mut().as_mut().unwrap().push(history);
    let config = layout.write_json(media_type::IMAGE_CONFIG, &config).unwrap();
    let manifest = artifact::image(config, layers).unwrap();
    let manifest = layout.write_json(media_type::IMAGE_MANIFEST, &manifest).unwrap();
    layout.write_index(vec![manifest]).unwrap();
    layout
}

const CREATED: &str = "2026-01-01T00:00:00Z";

#[test]
fn an_image_is_the_same_as_without_native_programs() {
    let folder = tempfile::tempdir().unwrap();
    let (base, programs) = prepare(folder.path());
    let native_base = add(&base, &programs, &folder.path().join("native_base")).unwrap();
    assert_eq!(normalise::manifest(&native_base.layout).unwrap().layers().len(), 2);
    let own = package(&[Entry::File("usr/bin/mtools", b"foreign")]);
    let tree = |from: &Layout, native_base: Option<&NativeBase>, name: &str| {
        let built = build(from, &own, &folder.path().join(format!("{name}.built")));
        let to = folder.path().join(name);
        normalise::image(&built, &base, native_base, &to, CREATED).unwrap();
        let files = walkdir::WalkDir::new(&to).into_iter().map(Result::unwrap);
        files
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| {
                let path = entry.path().strip_prefix(&to).unwrap().to_owned();
                (path, std::fs::read(entry.path()).unwrap())
            })
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(
        tree(&native_base.layout, Some(&native_base), "native"),
        tree(&base, None, "emulated")
    );
}

#[test]
fn a_native_program_that_the_containerfile_changes_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let (base, programs) = prepare(folder.path());
    let native_base = add(&base, &programs, &folder.path().join("native_base")).unwrap();
    for (name, path) in [
        ("changed", "usr/bin/dash"),
        ("removed", "usr/bin/.wh.dash"),
        ("emptied", "usr/bin/.wh..wh..opq"),
        ("folder", "usr/.wh.bin"),
        ("loader", ".wh.lib64"),
    ] {
        let own = package(&[Entry::File(path, b"")]);
        let built = build(&native_base.layout, &own, &folder.path().join(format!("{name}.built")));
        let to = folder.path().join(name);
        let error = normalise::image(&built, &base, Some(&native_base), &to, CREATED).unwrap_err();
        let path = if name == "loader" { "/lib64" } else { "/usr/bin/dash" };
        let expected = format!("the Containerfile changes {path}, which a native program");
        assert!(error.to_string().starts_with(&expected), "{name}: {error}");
    }
}
