// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A release goes through a bundle to a site without a network, and is verified there.

use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use release::{Architecture, Channel};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use signing::PrivateKey;
use tempfile::TempDir;
use test_support::assert_contains;

use crate::mock_registry::Registry;
use crate::support::{BINARY, IMAGE, KeyFile, Release, expect_failure, expect_success, notary};

/// A signed release with an index for two architectures.
struct Site {
    folder: TempDir,
    release: Release,
    key: KeyFile,
}

impl Site {
    fn new() -> Self {
        let both = [Architecture::Amd64, Architecture::Arm64];
        let release = Release::create_unsigned_for(&both, Channel::Stable, "content");
        let key = KeyFile::new(&PrivateKey::generate());
        release.sign_with(&key);
        Self { folder: tempfile::tempdir().unwrap(), release, key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the release folder `release` to the bundle `name`.
    fn bundle(&self, release: &Path, name: &str, more: &[&str]) -> PathBuf {
        let path = self.path(name);
        let mut command = notary();
        command.arg("bundle").arg("--release").arg(release).arg("--to").arg(&path).args(more);
        expect_success(&command.output().unwrap());
        path
    }

    fn verify(&self, place: &[&str]) -> Output {
        notary().arg("verify").args(place).arg("--key").arg(self.key.public()).output().unwrap()
    }
}

fn unbundle(bundle: &Path, arguments: &[&str]) -> Output {
    notary().arg("unbundle").arg(bundle).args(arguments).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_bundle_becomes_the_release_folder_and_the_same_bundle_again() {
    let site = Site::new();
    let bundle = site.bundle(site.release.root(), "a.tar", &[]);
    let restored = site.path("nested/restored");
    expect_success(&unbundle(&bundle, &["--release", text(&restored)]));
    for file in site.release.files() {
        // The name of an image in its layout is optional.
        if !file.ends_with("/index.json") {
            let expected = fs::read(site.release.path(&file)).unwrap();
            assert_eq!(fs::read(restored.join(&file)).unwrap(), expected, "{file}");
        }
    }
    let report = expect_success(&site.verify(&["--release", text(&restored)]));
    assert!(report.ends_with("\nVERIFIED\n"), "{report}");
    let again = site.bundle(&restored, "b.tar", &[]);
    assert_eq!(fs::read(again).unwrap(), fs::read(&bundle).unwrap());
    let left = fs::read_dir(site.path("nested")).unwrap().count();
    assert_eq!(left, 1, "a temporary folder is left");
    assert_contains(expect_failure(&unbundle(&bundle, &["--release", text(&restored)])), "exists");
}

#[test]
fn a_bundle_goes_from_one_registry_to_another() {
    let site = Site::new();
    let (first, second) = (Registry::start(true), Registry::start(true));
    expect_success(&site.release.publish(&first.namespace()).output().unwrap());
    let bundle = site.path("from-registry.tar");
    let mut command = notary();
    command.args(["bundle", "--from", &format!("http://{}/product:0.1.0", first.address)]);
    expect_success(&command.arg("--to").arg(&bundle).output().unwrap());
    let of_folder = site.bundle(site.release.root(), "from-folder.tar", &[]);
    assert_eq!(fs::read(&bundle).unwrap(), fs::read(of_folder).unwrap());

    let target = format!("http://{}/product", second.address);
    expect_success(&unbundle(&bundle, &["--to", &target]));
    assert_eq!(second.state().manifests, first.state().manifests);
    assert_eq!(second.state().tags, first.state().tags);
    let report = expect_success(&site.verify(&["--registry", &format!("{target}:0.1.0")]));
    assert!(report.ends_with("\nVERIFIED\n"), "{report}");
}

#[test]
fn a_changed_byte_is_refused() {
    let site = Site::new();
    let bundle = site.bundle(site.release.root(), "a.tar", &[]);
    let good = fs::read(&bundle).unwrap();
    let binary = fs::read(site.release.path(BINARY)).unwrap();
    let place = good.windows(binary.len()).position(|it| it == binary).unwrap();
    let changed = site.path("changed.tar");
    let restored = site.path("restored");
    let refuse = |bytes: &[u8], expected: &str| {
        fs::write(&changed, bytes).unwrap();
        let message = expect_failure(&unbundle(&changed, &["--release", text(&restored)]));
        assert!(message.contains(expected), "{expected}: {message}");
        assert!(!restored.exists());
    };
    let mut bytes = good.clone();
    bytes[place] ^= 1;
    refuse(&bytes, "blobs/sha256/");
    refuse(&good[..place], "blobs/sha256/");
    refuse(&good[..1024], "index.json");
    refuse(b"", "it has no file oci-layout");
}

#[test]
fn a_bundle_that_does_not_fit_is_not_unpacked() {
    let site = Site::new();
    let bundle = site.bundle(site.release.root(), "a.tar", &[]);
    // A hole takes no space itself.
    fs::File::options().write(true).open(&bundle).unwrap().set_len(1 << 43).unwrap();
    let registry = Registry::start(true);
    let target = format!("http://{}/product", registry.address);
    let restored = site.path("new/restored");
    for arguments in [["--to", &target], ["--release", text(&restored)]] {
        let message = expect_failure(&unbundle(&bundle, &arguments));
        assert!(message.contains("the blobs of the bundle need 8192.0 GiB"), "{message}");
    }
    assert!(registry.state().calls.is_empty());
    assert_eq!(fs::read_dir(site.path("new")).unwrap().count(), 0, "something was unpacked");
}

#[test]
fn a_stopped_run_leaves_nothing() {
    let site = Site::new();
    let bundle = fs::read(site.bundle(site.release.root(), "a.tar", &[])).unwrap();
    let pipe = site.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for signal in [Signal::INT, Signal::TERM] {
        let mut command = notary();
        command.arg("unbundle").arg(&pipe).arg("--release").arg(site.path("new/restored"));
        let mut unbundle = command.spawn().unwrap();
        // This waits for the reader, which has its temporary folder by then, and waits for the rest.
        let mut writer = fs::File::options().write(true).open(&pipe).unwrap();
        writer.write_all(&bundle[..bundle.len() / 2]).unwrap();
        assert_eq!(fs::read_dir(site.path("new")).unwrap().count(), 1);
        kill_process(Pid::from_child(&unbundle), signal).unwrap();
        assert_eq!(unbundle.wait().unwrap().signal(), Some(signal.as_raw()));
        assert_eq!(fs::read_dir(site.path("new")).unwrap().count(), 0, "something is left");
    }
}

#[test]
fn a_trusted_root_is_carried_beside_the_release() {
    let site = Site::new();
    let root = site.path("root.json");
    fs::write(&root, "{}").unwrap();
    let bundle = site.path("bad.tar");
    let mut command = notary();
    command.arg("bundle").arg("--release").arg(site.release.root()).arg("--trusted-root");
    let message = expect_failure(&command.arg(&root).arg("--to").arg(&bundle).output().unwrap());
    assert!(message.contains("cannot read the trusted root"), "{message}");
    assert!(!bundle.exists());

    let content = mock_sigstore::Sigstore::new().root().to_string();
    fs::write(&root, &content).unwrap();
    let bundle = site.bundle(site.release.root(), "a.tar", &["--trusted-root", text(&root)]);
    let (restored, out) = (site.path("restored"), site.path("out.json"));
    let arguments = ["--release", text(&restored), "--trusted-root", text(&out)];
    expect_success(&unbundle(&bundle, &arguments));
    assert_eq!(fs::read(&out).unwrap(), fs::read(&root).unwrap());
    assert!(expect_success(&site.verify(&["--release", text(&restored)])).contains("VERIFIED"));

    let without = site.bundle(site.release.root(), "b.tar", &[]);
    let other = site.path("other");
    let arguments = ["--release", text(&other), "--trusted-root", text(&out)];
    assert_contains(
        expect_failure(&unbundle(&without, &arguments)),
        "the bundle has no trusted root",
    );
}

fn run(program: &Path, folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env("HOME", folder);
    command.env_remove("REGISTRY_AUTH_FILE").env_remove("XDG_RUNTIME_DIR");
    expect_success(&command.output().unwrap())
}

#[test]
fn skopeo_reads_an_image_of_a_bundle() {
    let Some(skopeo) = test_support::find("skopeo") else { return };
    let site = Site::new();
    site.bundle(site.release.root(), "a.tar", &[]);
    let source = format!("oci-archive:a.tar:{IMAGE}:v0.1.0");
    let arguments = ["--insecure-policy", "copy", "--all", "--preserve-digests"];
    run(&skopeo, site.folder.path(), &[&arguments[..], &[&source, "oci:copied:x"]].concat());
    let index = fs::read_to_string(site.path("copied/index.json")).unwrap();
    assert!(index.contains(&site.release.manifest().images[0].digest), "{index}");
}

#[test]
fn oras_finds_the_referrers_in_a_bundle() {
    let Some(oras) = test_support::find("oras") else { return };
    let site = Site::new();
    site.bundle(site.release.root(), "a.tar", &[]);
    let image = format!("a.tar@{}", site.release.manifest().images[0].digest);
    let arguments = ["discover", "--oci-layout", "--format", "json", &image];
    let tree = run(&oras, site.folder.path(), &arguments);
    let found: Value = serde_json::from_str(&tree).unwrap();
    let referrers = found["manifests"].as_array().or(found["referrers"].as_array()).unwrap();
    assert_eq!(referrers.len(), 7, "{tree}");
}
