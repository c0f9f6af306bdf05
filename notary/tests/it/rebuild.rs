// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Third parties attest that they rebuilt a release, and a verifier requires several of them.

use std::fs;
use std::path::Path;
use std::process::Output;

use release::{Channel, layout};
use signing::PrivateKey;
use test_support::assert_contains;

use crate::mock_registry::Registry;
use crate::support::{BINARY, KeyFile, Release, expect_failure, expect_success, notary};

/// A signed release, and keys of two rebuilders.
struct Case {
    release: Release,
    key: KeyFile,
    rebuilders: [KeyFile; 2],
}

impl Case {
    fn new() -> Self {
        let key = PrivateKey::generate();
        let release = Release::create_unsigned(Channel::Stable, "content");
        release.sign(&key);
        let rebuilders = [0, 1].map(|_| KeyFile::new(&PrivateKey::generate()));
        Self { release, key: KeyFile::new(&key), rebuilders }
    }

    fn attest(&self, rebuilt: &Path, key: &KeyFile) -> Output {
        let mut command = notary();
        command.arg("attest").arg("--release").arg(self.release.root());
        command.arg("--rebuild").arg(rebuilt).arg("--key").arg(key.path());
        command.env("COSIGN_PASSWORD", "").output().unwrap()
    }

    /// Verifies with `required` rebuilds by the keys of `rebuilders`.
    fn verify(&self, place: &[&str], required: &str, rebuilders: &[&KeyFile]) -> Output {
        let mut command = notary();
        command.arg("verify").args(place).arg("--key").arg(self.key.public());
        command.args(["--rebuilds", required]);
        for key in rebuilders {
            command.arg("--rebuild-key").arg(key.public());
        }
        command.output().unwrap()
    }
}

fn verdict(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_verifier_demands_rebuilds_by_different_keys_in_a_folder_and_in_a_registry() {
    let case = Case::new();
    let [first, second] = &case.rebuilders;
    let root = case.release.root().to_str().unwrap();
    let folder = ["--release", root];
    let rebuilt = Release::create_unsigned(Channel::Stable, "content");

    let none = case.verify(&folder, "1", &[first]);
    assert_eq!(none.status.code(), Some(1));
    assert_contains(verdict(&none), "0 of the keys attest a rebuild, expected at least 1");

    expect_success(&case.attest(rebuilt.root(), first));
    // Attestations are no part of the release, and change nothing for who does not require them.
    let plain =
        notary().args(["verify", "--release", root, "--key"]).arg(case.key.public()).output();
    assert!(expect_success(&plain.unwrap()).ends_with("\nVERIFIED\n"));
    expect_success(&case.verify(&folder, "1", &[first]));
    assert_eq!(case.verify(&folder, "1", &[second]).status.code(), Some(1));
    assert_eq!(case.verify(&folder, "2", &[first, second]).status.code(), Some(1));
    assert_eq!(case.verify(&folder, "2", &[first, first]).status.code(), Some(2));
    expect_success(&case.attest(rebuilt.root(), second));
    expect_success(&case.verify(&folder, "2", &[first, second]));

    let (registry, site) = (Registry::start(true), Registry::start(false));
    let namespace = |it: &Registry| format!("http://{}/product", it.address);
    expect_success(&case.release.publish(&namespace(&registry)).output().unwrap());
    let place = format!("{}:0.1.0", namespace(&registry));
    expect_success(&case.verify(&["--registry", &place], "2", &[first, second]));
    let mut copy = notary();
    copy.args(["copy", "--from", &place, "--to", &namespace(&site)]);
    expect_success(&copy.output().unwrap());
    let place = format!("{}:0.1.0", namespace(&site));
    expect_success(&case.verify(&["--registry", &place], "2", &[first, second]));
}

#[test]
fn attestations_go_through_a_bundle() {
    let case = Case::new();
    let [first, _] = &case.rebuilders;
    let rebuilt = Release::create_unsigned(Channel::Stable, "content");
    expect_success(&case.attest(rebuilt.root(), first));
    let temporary = tempfile::tempdir().unwrap();
    let (bundle, restored) = (temporary.path().join("a.tar"), temporary.path().join("restored"));
    let mut command = notary();
    command.arg("bundle").arg("--release").arg(case.release.root()).arg("--to").arg(&bundle);
    expect_success(&command.output().unwrap());
    let mut command = notary();
    command.arg("unbundle").arg(&bundle).arg("--release").arg(&restored);
    expect_success(&command.output().unwrap());
    expect_success(&case.verify(&["--release", restored.to_str().unwrap()], "1", &[first]));
}

#[test]
fn only_equal_bytes_and_another_key_are_attested() {
    let case = Case::new();
    let other = Release::create_unsigned(Channel::Stable, "other content");
    let message = expect_failure(&case.attest(other.root(), &case.rebuilders[0]));
    assert!(message.contains(&format!("{BINARY} has the digest")), "{message}");
    let same = Release::create_unsigned(Channel::Stable, "content");
    assert_contains(expect_failure(&case.attest(same.root(), &case.key)), "signed with this key");
    assert!(!case.release.path(layout::REBUILDS).exists());

    // The release's own key does not count.
    let key = &case.key;
    fs::remove_file(case.release.path(layout::PUBLIC_KEY)).unwrap();
    expect_success(&case.attest(same.root(), key));
    case.release.put(layout::PUBLIC_KEY, &fs::read(key.public()).unwrap());
    let root = case.release.root().to_str().unwrap();
    let text = verdict(&case.verify(&["--release", root], "1", &[key]));
    assert!(text.contains("0 of the keys attest a rebuild"), "{text}");
}

#[test]
fn an_attestation_of_another_release_or_under_another_name_does_not_count() {
    let (case, other) = (Case::new(), Case::new());
    let [first, _] = &case.rebuilders;
    let rebuilt = Release::create_unsigned(Channel::Stable, "content");
    // Both have the same files, but the other one is another release.json.
    let mut manifest = case.release.manifest();
    manifest.epoch += 1;
    other.release.put(layout::MANIFEST, manifest.to_json().unwrap().as_bytes());
    expect_success(&other.attest(rebuilt.root(), first));
    let name = other.release.files().into_iter().find(|it| it.starts_with(layout::REBUILDS));
    let name = name.unwrap();
    let bytes = fs::read(other.release.path(&name)).unwrap();
    case.release.put(&name, &bytes);
    let root = case.release.root().to_str().unwrap();
    let text = verdict(&case.verify(&["--release", root], "1", &[first]));
    assert!(text.contains("0 of the keys attest a rebuild"), "{text}");

    expect_success(&case.attest(rebuilt.root(), first));
    case.release.put("rebuilds/a.sigstore.json", &bytes);
    let text = verdict(&case.verify(&["--release", root], "1", &[first]));
    assert!(text.contains("rebuilds/a.sigstore.json: it is not part of the release"), "{text}");
}
