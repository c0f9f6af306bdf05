// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Releases crafted to exhaust a verifier: only `release.json` and its signature are read before
//! the signature is verified, and all later work is bounded.

use std::fs;
use std::path::Path;

use oci::{Digest, Layout, artifact, media_type};
use release::layout;
use serde_json::{Value, json};
use signing::{Bundle, PrivateKey};
use verify::{Policy, Report};

use crate::support::{KeyFile, Release, expect_failure, notary};

/// A release with one image, whose manifests reference the previous one `fan` times, `depth` deep.
fn write_endless(root: &Path, depth: usize, fan: usize) {
    let image = Layout::create(root.join("images/x")).unwrap();
    // Written directly: `Layout` would sync every file to disk.
    let put = |media_type: &str, document: &Value| {
        let bytes = document.to_string().into_bytes();
        let digest = Digest::sha256(&bytes);
        fs::write(image.blob_path(&digest), &bytes).unwrap();
        artifact::descriptor(media_type, &digest, bytes.len() as u64)
    };
    let mut last = put(media_type::EMPTY, &json!({}));
    for _ in 0..depth {
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE_MANIFEST,
            "config": last,
            "layers": vec![&last; fan - 1],
        });
        last = put(media_type::IMAGE_MANIFEST, &manifest);
    }
    let manifest = json!({
        "schema": "provisioner/release/v1", "product": "p", "version": "1.0.0", "channel": "stable",
        "source": {"uri": "u", "commit": "0", "dirty": false}, "epoch": 0,
        "materials": [], "engines": {}, "artifacts": [],
        "images": [{
            "repository": "x", "layout": "images/x", "digest": last.digest().to_string(),
            "media_type": media_type::IMAGE_MANIFEST, "architectures": ["amd64"], "tags": ["latest"],
        }],
    });
    fs::write(root.join(layout::MANIFEST), manifest.to_string()).unwrap();
}

fn verify(root: &Path, key: &PrivateKey) -> Report {
    verify::folder(root, &key.public(), &Policy::default()).unwrap()
}

fn sign(root: &Path, key: &PrivateKey) {
    let text = fs::read(root.join(layout::MANIFEST)).unwrap();
    let bundle = Bundle::sign_file(key, &signing::sha256(&text)).unwrap();
    let place = root.join(layout::signature(layout::MANIFEST));
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, bundle.to_json().unwrap()).unwrap();
}

#[test]
fn an_unsigned_endless_release_is_rejected_by_its_missing_signature_alone() {
    let key = PrivateKey::generate();
    for (depth, fan) in [(60, 2), (20_000, 1)] {
        let root = tempfile::tempdir().unwrap();
        write_endless(root.path(), depth, fan);
        let report = verify(root.path(), &key);
        assert!(!report.is_verified() && !report.is_complete(), "{report}");
        assert_eq!(report.faults.len(), 1, "{report}");
        assert_eq!(report.faults[0].place, layout::signature(layout::MANIFEST), "{report}");
        assert_eq!(report.release, None, "an untrusted release is reported");
    }
}

#[test]
fn a_signed_endless_release_is_rejected_too() {
    let key = PrivateKey::generate();
    for (depth, fan) in [(60, 2), (20_000, 1)] {
        let root = tempfile::tempdir().unwrap();
        write_endless(root.path(), depth, fan);
        sign(root.path(), &key);
        let report = verify(root.path(), &key);
        assert!(report.is_complete(), "{report}");
        assert!(report.to_string().contains("expected only blobs"), "{report}");
    }
}

#[test]
fn a_manifest_that_names_another_signer_than_its_own_is_rejected() {
    let key = PrivateKey::generate();
    let release = Release::create_signed(&key, "");
    let mut manifest = release.manifest();
    let (identity, issuer) = ("somebody@example.org".to_owned(), "https://issuer".to_owned());
    manifest.signer = Some(release::Signer { identity, issuer });
    release.put(layout::MANIFEST, manifest.to_json().unwrap().as_bytes());
    sign(release.root(), &key);
    let report = verify(release.root(), &key);
    let expected = "its signer is somebody@example.org of https://issuer, expected a key";
    assert!(report.to_string().contains(expected) && !report.is_complete(), "{report}");
}

/// Errors of the parser repeat names of the document.
#[test]
fn an_error_about_a_document_has_no_control_characters_for_the_terminal() {
    let release = Release::create_signed(&PrivateKey::generate(), "");
    let name = "\\u001b]0;owned\\u0007\\u001b[2K\\rVERIFIED";
    let document = format!(r#"{{"schema": "provisioner/release/v1", "{name}": 1}}"#);
    release.put(layout::MANIFEST, document.as_bytes());
    let error = expect_failure(&release.publish("127.0.0.1:1/product").output().unwrap());
    assert!(error.contains(r"unknown field `\x1b]0;owned\x07\x1b[2K\x0dVERIFIED`"), "{error}");
    assert!(!error.contains(|it: char| it.is_control() && it != '\n'), "{error:?}");
}

/// An unreadable folder causes no fault before the signature is verified: it is not listed.
#[test]
fn nothing_is_listed_before_the_signature_is_good() {
    let key = PrivateKey::generate();
    let release = Release::create_signed(&key, "");
    fs::create_dir_all(release.path(&"deep/".repeat(64))).unwrap();
    let report = verify(release.root(), &PrivateKey::generate());
    assert!(!report.is_verified() && !report.is_complete(), "{report}");
    let error = verify::folder(release.root(), &key.public(), &Policy::default()).unwrap_err();
    assert!(error.to_string().contains("nested deeper"), "{error}");
}

#[test]
fn a_manifest_of_any_size_is_not_read_to_its_end() {
    let root = tempfile::tempdir().unwrap();
    let file = fs::File::create(root.path().join(layout::MANIFEST)).unwrap();
    file.set_len(1 << 40).unwrap();
    let report = verify(root.path(), &PrivateKey::generate());
    assert!(report.to_string().contains("release.json: it is longer than"), "{report}");
}

#[test]
fn a_folder_with_another_release_is_rejected_where_one_is_asked_for() {
    let key = PrivateKey::generate();
    let release = Release::create_signed(&key, "");
    let file = KeyFile::new(&key);
    let verify = |arguments: &[&str]| {
        let mut command = notary();
        command.args(["verify", "--json", "--release"]).arg(release.root());
        let output = command.arg("--key").arg(file.public()).args(arguments).output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(i32::from(report["verdict"] != "VERIFIED")));
        report["faults"].as_array().unwrap().first().map(|it| it["message"].to_string())
    };
    let version = release.manifest().version;
    assert_eq!(verify(&["--release-version", &version, "--channel", "snapshot"]), None);
    assert_eq!(verify(&["--release-version", &format!("v{version}")]), None);
    for (arguments, expected) in [
        (["--release-version", "0.1.0"], "expected 0.1.0"),
        (["--channel", "stable"], "of the channel snapshot, expected stable"),
        (["--product", "other"], "expected other"),
    ] {
        test_support::assert_contains(verify(&arguments).unwrap(), expected);
    }
}
