// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verifies published releases from the registry alone, and detects tampering there.

mod referrers;

use release::layout::{self, SbomFormat};
use release::{Architecture, Channel};
use serde_json::Value;
use signing::{PrivateKey, bundle, statement};

use crate::mock_registry::{Fault, Registry, State};
use crate::support::{
    BINARY, IMAGE, KeyFile, Release, expect_failure, expect_success, notary, sha256,
};

/// A stable release in a registry.
struct Published {
    release: Release,
    registry: Registry,
    key: KeyFile,
}

impl Published {
    fn new(referrers: bool) -> Self {
        Self::of(Release::create_unsigned(Channel::Stable, "content"), referrers)
    }

    /// The same, with an image for two architectures.
    fn index() -> Self {
        let both = [Architecture::Amd64, Architecture::Arm64];
        Self::of(Release::create_unsigned_for(&both, Channel::Stable, "content"), true)
    }

    fn of(release: Release, referrers: bool) -> Self {
        let key = KeyFile::new(&PrivateKey::generate());
        release.sign_with(&key);
        let registry = Registry::start(referrers);
        expect_success(&release.publish(&registry.namespace()).output().unwrap());
        Self { release, registry, key }
    }

    /// The verdict and the faults, as lines `CHECK SUBJECT: PLACE: MESSAGE`.
    fn verify(&self) -> (String, Vec<String>) {
        self.verify_as("0.1.0", &[])
    }

    /// Verifies the release with the tag of `version`.
    fn verify_as(&self, version: &str, arguments: &[&str]) -> (String, Vec<String>) {
        let mut command = notary();
        command.args(["verify", "--json", "--registry"]);
        command.arg(format!("http://{}/product:{version}", self.registry.address));
        command.args(arguments);
        let output = command.arg("--key").arg(self.key.public()).output().unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(printed.is_empty(), "{printed}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let verdict = report["verdict"].as_str().unwrap().to_owned();
        assert_eq!(output.status.success(), verdict == "VERIFIED");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let line = |f: &Value| {
            let [check, subject, place, message] =
                ["check", "subject", "place", "message"].map(|name| text(&f[name]));
            format!("{check} {subject}: {place}: {message}")
        };
        (verdict, report["faults"].as_array().unwrap().iter().map(line).collect())
    }

    /// Applies `change` to the registry, and expects a fault with all texts of `expected`.
    fn expect_caught(change: impl FnOnce(&mut State, &Release), expected: &[&str]) {
        let published = Self::new(true);
        change(&mut published.registry.state(), &published.release);
        let (verdict, faults) = published.verify();
        assert_eq!(verdict, "REJECTED", "{expected:?}");
        let named = faults.iter().any(|fault| expected.iter().all(|part| fault.contains(part)));
        assert!(named, "{expected:?} is not in {faults:#?}");
    }
}

/// The repository of the image.
fn image() -> String {
    format!("product/{IMAGE}")
}

/// Removes the referrer whose statement has the type `predicate_type`.
fn remove_referrer(state: &mut State, predicate_type: &str) {
    let before = state.manifests.len();
    let State { manifests, blobs, .. } = state;
    manifests.retain(|(repository, _), (_, bytes)| {
        let manifest: Value = serde_json::from_slice(bytes).unwrap();
        if manifest["artifactType"] != bundle::MEDIA_TYPE {
            return true;
        }
        let layer = manifest["layers"][0]["digest"].as_str().unwrap().to_owned();
        let envelope = &blobs[&(repository.clone(), layer)];
        let bundle = bundle::Bundle::parse(envelope).unwrap();
        let payload = serde_json::to_value(&bundle).unwrap()["dsseEnvelope"]["payload"].clone();
        let payload = decode(payload.as_str().unwrap());
        statement::Statement::parse(&payload).unwrap().predicate_type != predicate_type
    });
    assert_eq!(manifests.len(), before - 1, "{predicate_type}");
}

/// Edits the list of files of the release. Returns the digest of its manifest before.
fn edit_files(state: &mut State, change: impl FnOnce(&mut Vec<Value>)) -> String {
    state.edit("product/release", "v0.1.0", |it| change(it["layers"].as_array_mut().unwrap()))
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.decode(text).unwrap()
}

#[test]
fn what_was_published_is_verified_with_and_without_the_referrers_api() {
    for referrers in [true, false] {
        assert_eq!(Published::new(referrers).verify(), ("VERIFIED".to_owned(), Vec::new()));
    }
}

/// podman resolves an index to the manifest of its architecture, and requires a signature of that.
#[test]
fn each_part_of_an_index_is_signed() {
    let signatures = |state: &State| {
        state.tags.keys().filter(|(_, tag)| tag.contains(".sig")).cloned().collect::<Vec<_>>()
    };
    let published = Published::index();
    assert_eq!(published.verify(), ("VERIFIED".to_owned(), Vec::new()));
    let tags = signatures(&published.registry.state());
    assert_eq!(tags.len(), 3, "the index and both parts: {tags:?}");
    for gone in tags {
        let digest = published.registry.state().tags.remove(&gone).unwrap();
        let (verdict, faults) = published.verify();
        assert_eq!(verdict, "REJECTED", "without {gone:?}");
        assert!(faults[0].contains(&gone.1) && faults[0].contains("missing"), "{faults:?}");
        published.registry.state().tags.insert(gone, digest);
    }

    let root = published.release.manifest().images[0].digest.clone();
    let referrers: Vec<_> = {
        let state = published.registry.state();
        let of_part = |bytes: &[u8]| {
            let document: Value = serde_json::from_slice(bytes).unwrap();
            document["subject"].is_object() && document["subject"]["digest"] != root.as_str()
        };
        let manifests = state.manifests.iter().filter(|(_, (_, bytes))| of_part(bytes));
        manifests.map(|(place, manifest)| (place.clone(), manifest.clone())).collect()
    };
    assert_eq!(referrers.len(), 8, "signature, provenance and two SBOMs of each part");
    for (place, manifest) in referrers {
        published.registry.state().manifests.remove(&place);
        let (verdict, faults) = published.verify();
        assert_eq!((verdict.as_str(), faults.len()), ("REJECTED", 1), "{faults:?}");
        assert!(faults[0].contains("no referrer of sha256:"), "{faults:?}");
        published.registry.state().manifests.insert(place, manifest);
    }

    let key =
        signing::PublicKey::from_pem(&std::fs::read_to_string(published.key.public()).unwrap());
    let key = key.unwrap();
    let release = &published.release;
    for path in [layout::legacy_signature, layout::signature] {
        let [file, other] = [Architecture::Arm64, Architecture::Amd64]
            .map(|architecture| path(&layout::part(IMAGE, architecture)));
        let before = std::fs::read(release.path(&file)).unwrap();
        release.put(&file, &std::fs::read(release.path(&other)).unwrap());
        let report = release.verify(&key);
        assert_eq!(report.faults.len(), 1, "{:?}", report.faults);
        assert_eq!(report.faults[0].place, file);
        release.put(&file, &before);
    }
}

/// A verifier of a platform manifest accepts a statement only if it is one of the subjects.
#[test]
fn an_attestation_that_leaves_out_a_part_of_an_index_is_refused() {
    let published = Published::index();
    let key = std::fs::read_to_string(published.key.path()).unwrap();
    let key = signing::keyfile::decrypt(&key, b"").unwrap();
    let release = &published.release;
    for path in [
        layout::provenance(IMAGE),
        layout::sbom_attestation(IMAGE, SbomFormat::CycloneDx),
        layout::sbom_attestation(IMAGE, SbomFormat::Spdx),
    ] {
        let before = std::fs::read(release.path(&path)).unwrap();
        let bundle = bundle::Bundle::parse(&before).unwrap();
        let mut statement = bundle.verify_any_statement(&key.public()).unwrap();
        assert_eq!(statement.subject.len(), 3, "{path}");
        statement.subject.pop();
        let bundle = bundle::Bundle::sign_statement(&key, &statement).unwrap();
        release.put(&path, &bundle.to_json().unwrap());
        let report = release.verify(&key.public());
        let places: Vec<_> = report.faults.iter().map(|it| &it.place).collect();
        assert_eq!(places, [&path], "{report}");
        release.put(&path, &before);
    }
    assert!(release.verify(&key.public()).is_verified());
}

#[test]
fn a_missing_referrer_is_named_by_what_it_carried() {
    for (predicate_type, check, file) in [
        (statement::COSIGN_SIGN, "signature", layout::signature(IMAGE)),
        (signing::slsa::PREDICATE_TYPE, "provenance", layout::provenance(IMAGE)),
        (statement::CYCLONEDX, "sbom", layout::sbom_attestation(IMAGE, SbomFormat::CycloneDx)),
        (statement::SPDX, "sbom", layout::sbom_attestation(IMAGE, SbomFormat::Spdx)),
    ] {
        let change = |state: &mut State, _: &Release| remove_referrer(state, predicate_type);
        Published::expect_caught(change, &[check, IMAGE, &file, "no referrer"]);
    }
}

#[test]
fn a_moved_or_missing_tag_is_named() {
    let version = || (image(), "v0.1.0".to_owned());
    Published::expect_caught(
        |state, _| {
            let other = state.manifests.keys().find(|(r, d)| {
                *r == image() && state.tags.get(&version()).is_some_and(|digest| digest != d)
            });
            let other = other.unwrap().1.clone();
            state.tags.insert(version(), other);
        },
        &[IMAGE, "the tag v0.1.0 points to"],
    );
    Published::expect_caught(
        |state, _| drop(state.tags.remove(&version())),
        &[IMAGE, "points to nothing"],
    );
    Published::expect_caught(
        |state, _| state.tags.retain(|(_, tag), _| !tag.starts_with("sha256-")),
        &["signature", IMAGE, ".sig", "missing"],
    );
}

#[test]
fn a_missing_or_changed_part_of_an_image_is_named() {
    for removed in [true, false] {
        Published::expect_caught(
            |state, release| {
                let layer = sha256(&layer_of(release));
                let place = (image(), format!("sha256:{layer}"));
                if removed {
                    state.blobs.remove(&place).unwrap();
                } else {
                    state.blobs.get_mut(&place).unwrap()[0] ^= 1;
                }
            },
            &["content", IMAGE, "sha256:"],
        );
    }
}

fn layer_of(release: &Release) -> Vec<u8> {
    let blobs = release.path(&format!("{}/{IMAGE}/blobs/sha256", layout::IMAGES));
    let files =
        std::fs::read_dir(blobs).unwrap().map(|e| std::fs::read(e.unwrap().path()).unwrap());
    files.max_by_key(Vec::len).unwrap()
}

#[test]
fn a_changed_missing_or_added_file_is_named() {
    let digest = |release: &Release, path: &str| {
        let bytes = std::fs::read(release.path(path)).unwrap();
        ("product/release".to_owned(), format!("sha256:{}", sha256(&bytes)))
    };
    Published::expect_caught(
        |state, release| state.blobs.get_mut(&digest(release, BINARY)).unwrap()[0] ^= 1,
        &["content", BINARY],
    );
    Published::expect_caught(
        |state, release| drop(state.blobs.remove(&digest(release, layout::CHECKSUMS)).unwrap()),
        &["content", layout::CHECKSUMS, "missing"],
    );
    let title = "org.opencontainers.image.title";
    Published::expect_caught(
        |state, _| drop(edit_files(state, |layers| drop(layers.remove(0)))),
        &["missing"],
    );
    for (name, expected) in [("added", "not part of"), ("../outside", "which is not a valid path")]
    {
        Published::expect_caught(
            |state, _| {
                edit_files(state, |layers| {
                    let mut layer = layers[0].clone();
                    layer["annotations"][title] = name.into();
                    layers.push(layer);
                });
            },
            &[name, expected],
        );
    }
}

#[test]
fn a_registry_that_refuses_or_has_no_such_release_is_an_error_and_no_verdict() {
    let published = Published::new(true);
    let verify = |version: &str| {
        let mut command = notary();
        command.args(["verify", "--registry"]);
        command.arg(format!("{}/product:{version}", published.registry.address));
        let output = command.arg("--key").arg(published.key.public()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(verify("9.9.9").contains("release:v9.9.9 cannot be read"));
    published.registry.fail(Fault::From(0));
    assert!(verify("0.1.0").contains("403"));
}

/// An attacker who controls the registry serves a valid release under another tag.
#[test]
fn another_release_than_the_one_asked_for_is_rejected_though_it_is_signed() {
    let published = Published::new(true);
    let mut state = published.registry.state();
    let tags: Vec<_> = state.tags.iter().filter(|((_, tag), _)| tag == "v0.1.0").collect();
    let renamed: Vec<_> = tags
        .into_iter()
        .map(|((repository, _), digest)| {
            ((repository.clone(), "v0.2.0".to_owned()), digest.clone())
        })
        .collect();
    assert!(renamed.len() >= 2, "{renamed:?}");
    state.tags.extend(renamed);
    drop(state);
    for (version, arguments, expected) in [
        ("0.2.0", &[][..], "of the version 0.1.0, expected 0.2.0"),
        ("v0.2.0", &[], "of the version 0.1.0, expected 0.2.0"),
        ("0.1.0", &["--product", "other"], "of the product provisioner, expected other"),
        ("0.1.0", &["--channel", "candidate"], "of the channel stable, expected candidate"),
    ] {
        published.registry.fail(Fault::None);
        let (verdict, faults) = published.verify_as(version, arguments);
        assert_eq!(verdict, "REJECTED", "{version} {arguments:?}");
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].contains(expected), "{faults:?}");
        assert_eq!(published.registry.state().calls.len(), 3, "the artifact and two of its blobs");
    }
    let (verdict, faults) = published.verify_as("v0.1.0", &["--channel", "stable"]);
    assert_eq!((verdict.as_str(), faults.as_slice()), ("VERIFIED", &[][..]));
}

#[test]
fn nothing_is_fetched_of_a_release_that_somebody_else_signed() {
    let mut published = Published::new(true);
    published.key = KeyFile::new(&PrivateKey::generate());
    published.registry.fail(Fault::None);
    let (verdict, faults) = published.verify();
    assert_eq!(verdict, "REJECTED");
    assert!(faults.len() == 1 && faults[0].contains("another key"), "{faults:?}");
    let calls = published.registry.state().calls.clone();
    assert_eq!(calls.len(), 3, "{calls:?}");
}

/// Layer descriptors are unsigned: if one differs from release.json, it is not fetched.
#[test]
fn a_file_that_claims_another_size_or_digest_is_not_fetched() {
    let published = Published::new(true);
    let bytes = std::fs::read(published.release.path(BINARY)).unwrap();
    let digest = format!("sha256:{}", sha256(&bytes));
    for (field, value, expected) in [
        ("size", Value::from(1_u64 << 60), "expected"),
        ("digest", format!("sha256:{}", "0".repeat(64)).into(), "SHA-256"),
    ] {
        let before = edit_files(&mut published.registry.state(), |layers| {
            let layer = layers.iter_mut().find(|it| it["digest"] == digest.as_str()).unwrap();
            layer[field] = value;
        });
        published.registry.fail(Fault::None);
        let (verdict, faults) = published.verify();
        assert_eq!(verdict, "REJECTED");
        let named = |it: &String| it.contains(BINARY) && it.contains(expected);
        assert!(faults.iter().any(named), "{faults:?}");
        let mut state = published.registry.state();
        assert!(!state.calls.iter().any(|call| call.contains(&digest)), "{:?}", state.calls);
        state.tags.insert(("product/release".to_owned(), "v0.1.0".to_owned()), before);
    }
}

/// A full disk is no fault of the release.
#[test]
fn a_release_that_does_not_fit_in_the_temporary_folder_is_no_verdict() {
    let key = PrivateKey::generate();
    let mut published = Published::new(true);
    published.key = KeyFile::new(&key);
    let mut manifest = published.release.manifest();
    manifest.artifacts[0].size = 1 << 60;
    let manifest = manifest.to_json().unwrap().into_bytes();
    let bundle = bundle::Bundle::sign_file(&key, &signing::sha256(&manifest)).unwrap();
    let bundle = bundle.to_json().unwrap();
    let path = layout::MANIFEST;
    for (path, bytes) in [(path.to_owned(), manifest), (layout::signature(path), bundle)] {
        let digest = format!("sha256:{}", sha256(&bytes));
        let mut state = published.registry.state();
        edit_files(&mut state, |layers| {
            let is_it = |it: &&mut Value| {
                it["annotations"]["org.opencontainers.image.title"] == path.as_str()
            };
            let layer = layers.iter_mut().find(is_it).unwrap();
            layer["digest"] = digest.clone().into();
            layer["size"] = bytes.len().into();
        });
        state.blobs.insert(("product/release".to_owned(), digest), bytes);
    }
    let mut command = notary();
    command.args(["verify", "--registry"]);
    command.arg(format!("{}/product:0.1.0", published.registry.address));
    let output = command.arg("--key").arg(published.key.public()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("the files of the release need") && error.contains("TMPDIR"), "{error}");
}

/// Copies the stable release to `mirror`.
fn copy(published: &Published, mirror: &Registry) -> std::process::Output {
    let mut command = notary();
    command.args(["copy", "--from", &format!("{}/product:0.1.0", published.registry.address)]);
    command.args(["--to", &format!("{}/mirror", mirror.address)]).output().unwrap()
}

#[test]
fn a_copy_in_another_registry_verifies_and_a_second_one_writes_nothing() {
    let published = Published::index();
    for referrers in [true, false] {
        let mirror = Registry::start(referrers);
        expect_success(&copy(&published, &mirror));
        let mut verify = notary();
        verify.args(["verify", "--registry", &format!("{}/mirror:0.1.0", mirror.address)]);
        verify.arg("--key").arg(published.key.public());
        assert!(expect_success(&verify.output().unwrap()).contains("VERIFIED"));
        mirror.fail(Fault::None);
        expect_success(&copy(&published, &mirror));
        assert_eq!(mirror.state().writes(), 0, "{:?}", mirror.state().calls);
    }
}

/// Blobs are in temporary files while they are copied.
#[test]
fn a_copy_that_does_not_fit_on_the_disk_sends_nothing() {
    let published = Published::new(true);
    edit_files(&mut published.registry.state(), |layers| {
        let layer = layers.iter_mut().find(|it| it["annotations"].to_string().contains(BINARY));
        layer.unwrap()["size"] = Value::from(1_u64 << 60);
    });
    let mirror = Registry::start(true);
    let message = expect_failure(&copy(&published, &mirror));
    assert!(
        message.contains("TMPDIR") && message.contains("nothing was written or pushed"),
        "{message}"
    );
    assert_eq!(mirror.state().writes(), 0);
}

#[test]
fn a_copy_of_something_else_sets_no_tag() {
    let published = Published::new(true);
    for blob in published.registry.state().blobs.values_mut() {
        blob.push(b' ');
    }
    let mirror = Registry::start(true);
    test_support::assert_contains(expect_failure(&copy(&published, &mirror)), "sha256:");
    assert!(mirror.state().versions().is_empty());
}
