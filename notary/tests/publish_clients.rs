// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Other clients read a release published to the controller's registry.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test that asked for it")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use release::Channel;
use signing::PrivateKey;
use support::{IMAGE, KeyFile, Release, notary, succeeded};

/// The controller with a release in its registry.
struct Published {
    /// `HOST:PORT/product`.
    prefix: String,
    release: Release,
    key: KeyFile,
    folder: tempfile::TempDir,
    _registry: test_support::Registry,
}

impl Published {
    /// `None` if the controller was not built.
    fn new() -> Option<Self> {
        let registry = test_support::Registry::controller()?;
        let prefix = format!("{}/product", registry.address);
        let folder = tempfile::tempdir().unwrap();
        let release = Release::unsigned(Channel::Stable, "content");
        let key = KeyFile::new(&PrivateKey::generate());
        for verb in ["sign", "attest"] {
            succeeded(&release.notary(verb, Some(&key)));
        }
        let mut publish = notary();
        publish.args(["publish", "--to", &prefix, "--release"]).arg(release.root());
        succeeded(&publish.output().unwrap());
        Some(Self { prefix, release, key, folder, _registry: registry })
    }

    fn image(&self) -> String {
        format!("{}/{IMAGE}:v0.1.0", self.prefix)
    }

    /// Runs a program with the test folder as home, without credentials.
    fn run(&self, program: PathBuf, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).env("HOME", self.folder.path());
        command.env_remove("REGISTRY_AUTH_FILE").env_remove("XDG_RUNTIME_DIR");
        succeeded(&command.output().unwrap())
    }
}

#[test]
fn oras_pulls_the_folder_and_lists_what_accompanies_the_image() {
    let (Some(oras), Some(published)) = (test_support::find("oras"), Published::new()) else {
        return;
    };
    let release = format!("{}/release:v0.1.0", published.prefix);
    published.run(oras.clone(), &["pull", "--plain-http", "--output", "pulled", &release]);
    let pulled = published.folder.path().join("pulled");
    let mut found = BTreeMap::new();
    let mut folders = vec![pulled.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&pulled).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read(path).unwrap());
            }
        }
    }
    let mut expected = BTreeMap::new();
    for name in published.release.files() {
        if !name.starts_with("images/") {
            let content = fs::read(published.release.path(&name)).unwrap();
            expected.insert(name, content);
        }
    }
    assert_eq!(found, expected);

    let image = published.image();
    let tree = published.run(oras, &["discover", "--plain-http", "--format", "json", &image]);
    for (artifact_type, count) in [
        ("application/vnd.dev.sigstore.bundle.v0.3+json", 4),
        ("application/vnd.cyclonedx+json", 1),
        ("application/spdx+json", 2),
    ] {
        assert_eq!(tree.matches(artifact_type).count(), count, "{artifact_type}: {tree}");
    }
}

#[test]
fn skopeo_copies_the_image_unchanged() {
    let (Some(skopeo), Some(published)) = (test_support::find("skopeo"), Published::new()) else {
        return;
    };
    let image = format!("docker://{}", published.image());
    published.run(
        skopeo.clone(),
        &[
            "--insecure-policy",
            "copy",
            "--preserve-digests",
            "--src-tls-verify=false",
            &image,
            "oci:copied:v0.1.0",
        ],
    );
    let digest = &published.release.manifest().images[0].digest;
    let index = fs::read_to_string(published.folder.path().join("copied/index.json")).unwrap();
    assert!(index.contains(digest.as_str()), "{index}");
    let inspected = published.run(skopeo, &["inspect", "--tls-verify=false", &image]);
    assert!(inspected.contains(&format!("\"Digest\": \"{digest}\"")), "{inspected}");
}

#[test]
fn cosign_verifies_signature_and_attestations() {
    let (Some(cosign), Some(published)) = (test_support::find("cosign"), Published::new()) else {
        return;
    };
    let image = published.image();
    let key = published.key.public();
    let common =
        ["--key", key.to_str().unwrap(), "--insecure-ignore-tlog", "--allow-http-registry", &image];
    let run = |verb: &[&str]| published.run(cosign.clone(), &[verb, &common].concat());
    assert!(run(&["verify"]).contains(&published.release.manifest().images[0].digest));
    run(&["verify-attestation", "--type", "slsaprovenance1"]);
    run(&["verify-attestation", "--type", "cyclonedx"]);
}
