// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Releases that the workflow of their tag signed, in channels whose records a key signs.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use mock_sigstore::{ISSUER, Sigstore};
use oci::Digest;
use release::channels::record::{BUNDLE, CURRENT, DOCUMENT, PREDICATE_TYPE};
use release::layout;
use signing::{Bundle, PrivateKey, Statement};
use tempfile::TempDir;

use crate::identity::sign_as;
use crate::mock_registry::Registry;
use crate::site::{TIME, expect_code, kind};
use crate::support::{KeyFile, Release, expect_failure, expect_success, notary};

/// The identity and the builder of a release.
const IDENTITY: &str = "https://forge.example/people/project/release.yml@refs/tags/v{version}";
const BUILDER: &str = "https://forge.example/people/project/build.yml@refs/tags/v{version}";

/// `text` of one version.
fn of_version(text: &str, version: &str) -> String {
    text.replace("{version}", version)
}

/// A registry, the key of its records, and a Sigstore.
struct Site {
    registry: Registry,
    sigstore: Sigstore,
    key: KeyFile,
    folder: TempDir,
}

impl Site {
    fn start() -> Self {
        let sigstore = Sigstore::new();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("root.json"), sigstore.root().to_string()).unwrap();
        let key = KeyFile::new(&PrivateKey::generate());
        Self { registry: Registry::start(true), sigstore, key, folder }
    }

    /// A release that the workflows of the tag of `tag` built and signed.
    fn create(&self, version: &str, tag: &str) -> Release {
        let release = Release::version(version, kind(version), None);
        let file = KeyFile::new(&PrivateKey::generate());
        expect_success(&release.notary("sign", Some(&file)));
        let mut attest = notary();
        attest.args(["attest", "--builder", &of_version(BUILDER, tag), "--release"]);
        attest.arg(release.root()).arg("--key").arg(file.path()).env("COSIGN_PASSWORD", "");
        expect_success(&attest.output().unwrap());
        sign_as(&release, &self.sigstore, &of_version(IDENTITY, tag));
        release
    }

    fn publish(&self, release: &Release) {
        expect_success(&release.publish(&self.registry.namespace()).output().unwrap());
    }

    /// Adds the options that name the signer of releases, as the project publishes them.
    fn name_identity(&self, command: &mut Command) {
        self.name(command, IDENTITY, BUILDER);
    }

    fn name(&self, command: &mut Command, identity: &str, builder: &str) {
        self.name_signer(command.args(["--builder", builder]), identity);
    }

    fn name_signer(&self, command: &mut Command, identity: &str) {
        command.args(["--certificate-identity", identity, "--certificate-oidc-issuer", ISSUER]);
        command.arg("--trusted-root").arg(self.folder.path().join("root.json"));
    }

    /// A change of a channel whose record `key` signs, without an identity.
    fn change(&self, words: &str, key: &KeyFile) -> Command {
        let mut command = notary();
        command.args(words.split(' ')).args(["--registry", &self.registry.namespace()]);
        command.args(["--by", "tester", "--time", TIME, "--key"]).arg(key.path());
        command.env("COSIGN_PASSWORD", "");
        command
    }

    /// The same, of a release by the identity of its version.
    fn change_keyless(&self, words: &str) -> Output {
        let mut command = self.change(words, &self.key);
        self.name_identity(&mut command);
        command.output().unwrap()
    }

    /// Verifies with each program, which all print the same.
    fn verify(&self, more: &[&str], signers: &[Trusted]) -> Output {
        let mut outputs = verifiers().into_iter().map(|mut command| {
            command.args(more);
            for signer in signers {
                match signer {
                    Trusted::Key => drop(command.arg("--key").arg(self.key.public())),
                    Trusted::Identity => self.name_identity(&mut command),
                }
            }
            command.output().unwrap()
        });
        let first = outputs.next().unwrap();
        for other in outputs {
            assert_eq!(other.stdout, first.stdout);
            assert_eq!(other.status.code(), first.status.code());
        }
        first
    }

    /// Verifies a version in the registry.
    fn verify_version(&self, version: &str, signers: &[Trusted]) -> Output {
        let place = format!("{}:{version}", self.registry.namespace());
        self.verify(&["--registry", &place], signers)
    }

    /// Verifies a folder.
    fn verify_folder(&self, release: &Release, more: &[&str], signers: &[Trusted]) -> Output {
        let folder = ["--release", release.root().to_str().unwrap()];
        self.verify(&[&folder, more].concat(), signers)
    }

    /// Verifies the release that `stable` points to.
    fn follow(&self, signers: &[Trusted]) -> Output {
        let (state, place) = (self.folder.path().join("state.json"), self.registry.namespace());
        let state = ["--state", state.to_str().unwrap()];
        self.verify(&[&["--registry", &place, "--channel", "stable"], &state[..]].concat(), signers)
    }
}

/// A signer that a client trusts.
#[derive(Clone, Copy)]
enum Trusted {
    Key,
    Identity,
}

const BOTH: &[Trusted] = &[Trusted::Key, Trusted::Identity];
const KEY: &[Trusted] = &[Trusted::Key];
const ALONE: &[Trusted] = &[Trusted::Identity];

/// `notary verify`, and `controller verify-release` where it is built.
fn verifiers() -> Vec<Command> {
    let program = |path: PathBuf, verb: &str| {
        let mut command = Command::new(path);
        command.arg(verb).env(oci::client::DELAY, "1");
        command
    };
    let controller = test_support::controller().map(|path| program(path, "verify-release"));
    let notary = program(env!("CARGO_BIN_EXE_notary").into(), "verify");
    [Some(notary), controller].into_iter().flatten().collect()
}

#[test]
fn releases_of_their_tags_enter_channels_whose_records_a_key_signs() {
    let site = Site::start();
    for version in ["1.4.0", "1.5.0"] {
        site.publish(&site.create(version, version));
        expect_success(&site.change_keyless(&format!("promote {version} --to stable")));
        let found = expect_code(&site.follow(BOTH), 0);
        let signer = format!("signed by {} of {ISSUER}\n", of_version(IDENTITY, version));
        assert!(found.contains(version) && found.contains(&signer), "{found}");
    }
    let found = expect_code(&site.verify_version("1.4.0", BOTH), 0);
    assert!(!found.contains("NOTE"), "{found}");
    // Each of the two signers is for its own documents.
    assert!(expect_code(&site.follow(ALONE), 2).contains("give their public key too"));
    let found = expect_code(&site.follow(KEY), 1);
    assert!(
        found.contains("it was signed with a certificate of an identity, expected a key"),
        "{found}"
    );
    expect_success(&site.change_keyless("rollback stable"));
    assert!(expect_code(&site.follow(BOTH), 0).contains("provisioner 1.4.0"));

    expect_success(&site.change_keyless("yank 1.5.0 --reason burns"));
    let found = expect_code(&site.verify_version("1.5.0", BOTH), 1);
    assert!(found.contains("1.5.0 was yanked by tester: burns"), "{found}");
    let note = "NOTE whether 1.5.0 was withdrawn was not checked: channels.json is not signed by";
    assert!(expect_code(&site.verify_version("1.5.0", ALONE), 0).contains(note));
    let place = format!("{}:1.5.0", site.registry.namespace());
    let json = expect_code(&site.verify(&["--json", "--registry", &place], ALONE), 0);
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(format!("NOTE {}", report["notes"][0].as_str().unwrap()).starts_with(note), "{json}");
}

#[test]
fn a_release_that_another_tag_signed_is_refused_in_every_way() {
    let site = Site::start();
    let release = site.create("1.4.0", "1.5.0");
    site.publish(&release);
    let [found, expected] = ["1.5.0", "1.4.0"].map(|it| of_version(IDENTITY, it));
    let reason = format!("it was signed by {found}, expected {expected}");
    let message = expect_failure(&site.change_keyless("promote 1.4.0 --to stable"));
    assert!(message.contains("is not verified") && message.contains(&reason), "{message}");
    // Somebody promoted it with the wrong identity.
    let mut wrong = site.change("promote 1.4.0 --to stable", &site.key);
    site.name(&mut wrong, &found, &of_version(BUILDER, "1.5.0"));
    expect_success(&wrong.output().unwrap());
    for output in [
        site.verify_folder(&release, &[], ALONE),
        site.verify_folder(&release, &[], BOTH),
        site.verify_folder(&release, &["--release-version", "1.4.0"], ALONE),
        site.verify_version("1.4.0", ALONE),
        site.verify_version("1.4.0", BOTH),
        site.follow(BOTH),
    ] {
        let output = expect_code(&output, 1);
        assert!(output.contains(&reason) && output.contains("REJECTED"), "{output}");
    }
    // Only the version that was asked for counts, whatever release.json states.
    let release = site.create("1.5.0", "1.5.0");
    expect_code(&site.verify_folder(&release, &[], ALONE), 0);
    expect_code(&site.verify_folder(&release, &["--release-version", "v1.5.0"], ALONE), 0);
    let other = site.verify_folder(&release, &["--release-version", "1.4.0"], ALONE);
    assert!(expect_code(&other, 1).contains(&reason));
    site.publish(&release);
    let registry = &site.registry;
    let place = |tag: &str| ("product/release".to_owned(), tag.to_owned());
    let newer = registry.state().tags[&place("v1.5.0")].clone();
    registry.state().tags.insert(place("v1.4.0"), newer);
    assert!(expect_code(&site.verify_version("1.4.0", BOTH), 1).contains(&reason));
    assert!(expect_code(&site.follow(BOTH), 1).contains(&reason));
}

#[test]
fn a_builder_of_another_tag_is_refused() {
    let site = Site::start();
    let release = site.create("1.4.0", "1.5.0");
    sign_as(&release, &site.sigstore, &of_version(IDENTITY, "1.4.0"));
    let output = expect_code(&site.verify_folder(&release, &[], ALONE), 1);
    let [found, expected] = ["1.5.0", "1.4.0"].map(|it| of_version(BUILDER, it));
    assert!(output.contains(&format!("its builder is {found:?}, expected {expected:?}")));
    assert!(!output.contains("FAULT signature"), "{output}");
}

#[test]
fn a_version_in_a_folder_completes_no_other_identity() {
    let site = Site::start();
    for version in ["1.4.0/main", "1.4.0@refs/tags/v1.4.0", "latest", "1.4"] {
        let release = Release::version("1.4.0", kind("1.4.0"), None);
        let manifest = release::Manifest { version: version.to_owned(), ..release.manifest() };
        release.put(layout::MANIFEST, manifest.to_json().unwrap().as_bytes());
        release.sign(&PrivateKey::generate());
        sign_as(&release, &site.sigstore, &of_version(IDENTITY, version));
        let folder = ["--release", release.root().to_str().unwrap()];
        for more in [&[][..], &["--release-version", version]] {
            let mut command = notary();
            site.name_signer(command.arg("verify").args(folder).args(more), IDENTITY);
            let output = expect_code(&command.output().unwrap(), 1);
            let reason = format!("{{version}} cannot stand for its version {version:?}");
            assert!(output.contains(&reason), "{output}");
        }
        release.put(layout::MANIFEST, b"{}");
        let output = expect_code(&site.verify_folder(&release, &[], ALONE), 1);
        assert!(output.contains("it has no version"), "{output}");
    }
}

#[test]
fn the_key_of_the_records_signs_no_release_and_the_identity_no_record() {
    let site = Site::start();
    let release = Release::version("1.4.0", kind("1.4.0"), None);
    release.sign_with(&site.key);
    site.publish(&release);
    let message = expect_failure(&site.change_keyless("promote 1.4.0 --to stable"));
    let reason = "it was signed with a key, expected a certificate";
    assert!(message.contains(reason), "{message}");
    // Who has the key can move the channel. No client that names the identity follows.
    expect_success(&site.change("promote 1.4.0 --to stable", &site.key).output().unwrap());
    for output in [
        site.verify_folder(&release, &[], BOTH),
        site.verify_version("1.4.0", BOTH),
        site.follow(BOTH),
    ] {
        assert!(expect_code(&output, 1).contains(reason));
    }
    for output in [
        site.verify_folder(&release, &[], KEY),
        site.verify_version("1.4.0", KEY),
        site.follow(KEY),
    ] {
        expect_code(&output, 0);
    }

    // The same record, signed by the identity of the release that it names.
    site.publish(&site.create("1.5.0", "1.5.0"));
    expect_success(&site.change_keyless("promote 1.5.0 --to stable"));
    expect_success(&site.change_keyless("yank 1.4.0 --reason burns"));
    expect_code(&site.follow(BOTH), 0);
    sign_record_as(&site, &of_version(IDENTITY, "1.5.0"));
    let reason = "it was signed with a certificate of an identity, expected a key";
    let output = expect_code(&site.follow(BOTH), 1);
    assert!(output.contains(reason) && output.contains("FAULT signature channels.json"));
    assert!(expect_failure(&site.change_keyless("refresh-channels")).contains(reason));
    let output = expect_code(&site.verify_version("1.5.0", BOTH), 0);
    assert!(output.contains("NOTE") && output.contains(reason), "{output}");
    // Nor does it withdraw a release.
    assert!(expect_code(&site.verify_version("1.4.0", KEY), 0).contains(reason));
    let mut keyless = notary();
    keyless.args(["refresh-channels", "--registry", &site.registry.namespace(), "--by", "x"]);
    keyless.args(["--engine", "cosign:keyless"]);
    site.name_identity(&mut keyless);
    let message = expect_failure(&keyless.output().unwrap());
    assert!(message.contains("{version} signs no records"), "{message}");
}

/// Replaces the signature of the newest record by one of `subject`.
fn sign_record_as(site: &Site, subject: &str) {
    let mut state = site.registry.state();
    let repository = format!("product/{}", release::channels::record::REPOSITORY);
    let blobs = state.blobs.clone();
    let mut signed = Vec::new();
    state.edit(&repository, CURRENT, |manifest| {
        let layers = manifest["layers"].as_array_mut().unwrap();
        let mut layer = |title: &str| {
            let named = |it: &&mut serde_json::Value| {
                it["annotations"]["org.opencontainers.image.title"] == title
            };
            layers.iter_mut().find(named).unwrap().take()
        };
        let (document, mut bundle) = (layer(DOCUMENT), layer(BUNDLE));
        let digest = document["digest"].as_str().unwrap().to_owned();
        let digest = signing::sha256(&blobs[&(repository.clone(), digest)]);
        let statement = Statement::new(DOCUMENT, &digest, PREDICATE_TYPE, serde_json::json!({}));
        let new = site.sigstore.sign_statement(&site.sigstore.certify_as(subject), &statement);
        signed = Bundle::parse(new.to_string().as_bytes()).unwrap().to_json().unwrap();
        bundle["digest"] = Digest::sha256(&signed).to_string().into();
        bundle["size"] = signed.len().into();
        manifest["layers"] = vec![document, bundle].into();
    });
    state.blobs.insert((repository, Digest::sha256(&signed).to_string()), signed);
}

#[test]
fn a_registry_of_one_signer_changes_to_two() {
    let site = Site::start();
    let old = KeyFile::new(&PrivateKey::generate());
    let release = Release::version("1.4.0", kind("1.4.0"), None);
    release.sign_with(&old);
    site.publish(&release);
    expect_success(&site.change("promote 1.4.0 --to stable", &old).output().unwrap());
    site.publish(&site.create("1.5.0", "1.5.0"));
    let words = "promote 1.5.0 --to stable";
    assert!(expect_failure(&site.change_keyless(words)).contains("signed with another key"));
    let previous = old.public();
    let words = format!("{words} --previous-key {}", previous.display());
    expect_success(&site.change_keyless(&words));
    assert!(expect_code(&site.follow(BOTH), 0).contains("provisioner 1.5.0"));
    expect_success(&site.change_keyless("refresh-channels"));
    // Releases of the old signer are verified with it as before; the record is not.
    let mut verify = notary();
    verify.args(["verify", "--registry", &format!("{}:1.4.0", site.registry.namespace())]);
    let output = expect_code(&verify.arg("--key").arg(&previous).output().unwrap(), 0);
    assert!(output.contains("NOTE whether 1.4.0 was withdrawn was not checked"), "{output}");
}
