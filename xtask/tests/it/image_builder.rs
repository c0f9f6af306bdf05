// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `iso --engine iso=image-builder` with the real skopeo and podman, and a fake image-builder that
//! pulls the image from podman and writes an ISO.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use iso9660::{Directory, Image, Labels, Metadata, Node, Source};
use oci::{Layout, media_type};
use release::{Architecture, Channel, Manifest};
use serde_json::json;

use crate::common::{Answer, Fixture, need, path};

const RELEASE: &str = r#"
[[base]]
name = "base"
suite = "trixie"
lock = "images.lock"

[[image]]
name = "maintenance-os"
context = "image"
title = "Image"
description = "Is made into an ISO"
base = "base"
binary = "one"
limit_mb = 1

[iso]
name = "maintenance"
image = "maintenance-os"
description = "image"
label = "LIVE"
packages = []
limit_mb = 1
bound_limit_mb = 1

[engines]
iso = "image-builder"
"#;

/// Files that image-builder requires in the image, and one more.
const FILES: [&str; 8] = [
    "boot/efi/EFI/centos/gcdx64.efi",
    "boot/efi/EFI/centos/mmx64.efi",
    "boot/efi/EFI/centos/shimx64.efi",
    "etc/os-release",
    "usr/lib/efi/shim/15.8/EFI/centos/shimx64.efi",
    "usr/lib/image-builder/bootc/iso.yaml",
    "usr/lib/modules/6.12/initramfs.img",
    "usr/lib/modules/6.12/vmlinuz",
];

/// Fake image-builder: `build TYPE --bootc-ref REFERENCE …`, output folder last.
const PROGRAM: &str = r#"#!/bin/sh
set -eu
[ "$1" = version ] && { echo 'image-builder: version: 47.0'; exit; }
echo "$*" > CALLED
podman image inspect --format '{{.Architecture}}' "$4" >> CALLED
for folder; do :; done
mkdir -p "$folder/bootiso"
cp MADE "$folder/bootiso/install.iso"
"#;

/// A workspace with an image that has `FILES` except those that contain `without`.
struct Bench {
    fixture: Fixture,
    beside: tempfile::TempDir,
}

impl Bench {
    fn new(without: &str) -> Self {
        let fixture = Fixture::new();
        fixture.append("release.toml", RELEASE);
        fixture.write("images.lock", "suite = \"trixie\"\nepoch = 1577836800\n");
        fixture.write("image/README", "");
        fixture.commit();
        let bench = Self { fixture, beside: tempfile::tempdir().unwrap() };
        let program = PROGRAM
            .replace("CALLED", bench.called_file().to_str().unwrap())
            .replace("MADE", bench.made_file().to_str().unwrap());
        let path = bench.beside.path().join("bin/image-builder");
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, program).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        // Separate storage for skopeo and podman, with a driver that works on any file system.
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/store\"\nrunroot = \"{0}/run\"\n",
            bench.beside.path().display()
        );
        fs::write(bench.beside.path().join("storage.conf"), storage).unwrap();
        bench.image(without);
        bench.makes("readme.txt");
        bench
    }

    fn called_file(&self) -> PathBuf {
        self.beside.path().join("called")
    }

    fn made_file(&self) -> PathBuf {
        self.beside.path().join("made.iso")
    }

    /// Sets the ISO that image-builder will write, with one file.
    fn makes(&self, file: &str) {
        let metadata = Metadata { mode: 0o444, uid: 0, gid: 0, mtime: 0 };
        let mut root = Directory::new(Metadata { mode: 0o555, ..metadata });
        root.insert(file, Node::File(metadata, Source::bytes("x"))).unwrap();
        let labels = Labels { volume: "LIVE".to_owned(), ..Labels::default() };
        Image { labels, epoch: 0, root, boot: None }.write_to_file(&self.made_file()).unwrap();
    }

    /// Adds the image to the release.
    fn image(&self, without: &str) {
        let plan = self.xtask(&["iso", "--target", "x86_64", "--plan", "json"]);
        let plan: serde_json::Value = serde_json::from_str(&plan.out()).unwrap();
        let written = plan["steps"][0]["plan"]["writes"][0].as_str().unwrap();
        let version = Path::new(written).iter().nth(2).unwrap().to_str().unwrap();
        let dist = self.fixture.root().join("target/dist").join(version);
        let layout = Layout::create(dist.join("images/maintenance-os")).unwrap();
        let mut archive = tar::Builder::new(Vec::new());
        for path in FILES.iter().filter(|path| without.is_empty() || !path.contains(without)) {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(1);
            archive.append_data(&mut header, path, "x".as_bytes()).unwrap();
        }
        let layer = archive.into_inner().unwrap();
        let layer = layout.write_blob(media_type::IMAGE_LAYER, layer.as_slice()).unwrap();
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": [layer.digest().to_string()] },
        });
        let config = layout.write_json(media_type::IMAGE_CONFIG, &config).unwrap();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE_MANIFEST,
            "config": config,
            "layers": [layer],
        });
        let manifest = layout.write_json(media_type::IMAGE_MANIFEST, &manifest).unwrap();
        let digest = manifest.digest().to_string();
        layout.write_index(vec![manifest]).unwrap();
        let source = release::Source {
            uri: "https://example.org/one".to_owned(),
            commit: "0".repeat(40),
            dirty: false,
        };
        let mut record =
            Manifest::new("one".to_owned(), version.to_owned(), Channel::Snapshot, source, 0);
        record.put_image(release::Image {
            repository: "maintenance-os".to_owned(),
            layout: "images/maintenance-os".to_owned(),
            digest,
            media_type: media_type::IMAGE_MANIFEST.to_owned(),
            architectures: vec![Architecture::Amd64],
            tags: vec![format!("v{version}")],
        });
        fs::write(dist.join("release.json"), record.to_json().unwrap()).unwrap();
    }

    fn xtask(&self, args: &[&str]) -> Answer {
        let programs = [self.beside.path().join("bin")];
        let path = path();
        let path = std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&path)));
        let mut command = self.fixture.command(args);
        command.env("PATH", path.unwrap());
        command.env("CONTAINERS_STORAGE_CONF", self.beside.path().join("storage.conf"));
        Answer(command.output().unwrap())
    }

    fn iso(&self) -> Answer {
        self.xtask(&["iso", "--target", "x86_64"])
    }

    fn record(&self) -> Manifest {
        let path = self.fixture.root().join("target/dist/latest/release.json");
        Manifest::parse(&fs::read(path).unwrap()).unwrap()
    }

    /// Names of the images left in the container storage.
    fn list_left(&self) -> String {
        let mut command = std::process::Command::new("podman");
        command.env("CONTAINERS_STORAGE_CONF", self.beside.path().join("storage.conf"));
        let output = command.args(["images", "--format", "{{.Repository}}"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn the_image_goes_to_image_builder_and_its_iso_into_the_release() {
    need!(&["podman", "skopeo"]);
    let bench = Bench::new("");
    let answer = bench.iso();
    assert_eq!(answer.code(), 0, "{}", answer.err());
    let called = fs::read_to_string(bench.called_file()).unwrap();
    let root = bench.fixture.root();
    let folder = root.join("target/xtask/iso-image-builder/amd64");
    let called = called.replace(folder.to_str().unwrap(), "FOLDER");
    let (call, architecture) = called.trim_end().split_once('\n').unwrap();
    assert_eq!(architecture, "amd64");
    let words: Vec<_> = call.split(' ').collect();
    assert_eq!(words[..3], ["build", "bootc-generic-iso", "--bootc-ref"]);
    assert!(words[3].starts_with("localhost/maintenance-os:"), "{call}");
    // Includes the epoch of the commit, which differs in each run.
    let options: BTreeMap<_, _> = words[4..].chunks(2).map(|pair| (pair[0], pair[1])).collect();
    assert!(options["--seed"].parse::<u64>().is_ok(), "{call}");
    assert_eq!(options["--arch"], "x86_64");
    assert_eq!(options["--bootc-default-fs"], "ext4");
    assert_eq!(options["--cache"], "FOLDER/cache");
    assert_eq!(options["--output-dir"], "FOLDER/output");

    let record = bench.record();
    assert_eq!(record.engines["iso"].name, "image-builder");
    assert_eq!(record.engines["iso"].version, "47.0");
    let [iso] = record.artifacts.as_slice() else { panic!("one ISO: {record:?}") };
    let made = fs::read(bench.made_file()).unwrap();
    assert_eq!(fs::read(root.join("target/dist/latest").join(&iso.path)).unwrap(), made);
    assert_eq!(bench.list_left(), "");

    fs::remove_file(bench.called_file()).unwrap();
    assert_eq!(bench.iso().code(), 0);
    assert!(!bench.called_file().exists(), "the same image was made into an ISO again");
}

#[test]
fn an_iso_that_installs_is_found() {
    need!(&["podman", "skopeo"]);
    let bench = Bench::new("");
    bench.makes("install.ks");
    let answer = bench.iso();
    assert_eq!(answer.code(), 1, "{}", answer.err());
    assert!(answer.err().contains("iso-installs"), "{}", answer.err());
}

#[test]
fn an_incomplete_image_is_reported_before_anything_runs() {
    need!(&["podman", "skopeo"]);
    let bench = Bench::new("centos/gcd");
    let answer = bench.iso();
    assert_eq!(answer.code(), 1, "{}", answer.err());
    assert!(answer.err().contains("lacks /boot/efi/EFI/centos/gcdx64.efi"), "{}", answer.err());
    assert!(!bench.called_file().exists());
}

#[test]
fn a_type_that_installs_is_refused() {
    let bench = Bench::new("");
    let answer = bench.xtask(&["iso", "--engine", "iso=image-builder:anaconda-iso"]);
    assert_ne!(answer.code(), 0);
    assert!(answer.err().contains("erases the first disk that it finds"), "{}", answer.err());
    assert!(!bench.called_file().exists());
}
