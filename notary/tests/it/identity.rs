// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Releases signed by an identity.

use std::fs;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use mock_sigstore::{ISSUER, SUBJECT, Sigstore, TIME, USAGE};
use release::{Signer, layout};
use serde_json::Value;
use signing::{Bundle, Identity, PrivateKey, Statement};
use verify::Policy;

use crate::support::{BINARY, IMAGE, Release, expect_success, notary};

/// A release that the identity signed.
fn create_signed(sigstore: &Sigstore) -> Release {
    let release = Release::create_signed(&PrivateKey::generate(), "");
    sign_as(&release, sigstore, SUBJECT);
    release
}

/// Replaces all bundles of a release that a key signed by ones of the identity `subject`.
pub(crate) fn sign_as(release: &Release, sigstore: &Sigstore, subject: &str) {
    let signer = sigstore.certify_as(subject);
    let put = |path: &str, bundle: &Value| {
        let bundle = Bundle::parse(bundle.to_string().as_bytes()).unwrap();
        release.put(path, &bundle.to_json().unwrap());
    };
    let sign = |path: &str, at: &str| {
        let digest = signing::sha256(&fs::read(release.path(path)).unwrap());
        put(at, &sigstore.sign_file(&signer, &digest, TIME));
    };
    let mut manifest = release.manifest();
    manifest.signer = Some(Signer { identity: subject.to_owned(), issuer: ISSUER.to_owned() });
    release.put(layout::MANIFEST, manifest.to_json().unwrap().as_bytes());
    for path in release.files() {
        if path == layout::PUBLIC_KEY || path == layout::legacy_signature(IMAGE) {
            fs::remove_file(release.path(&path)).unwrap();
        } else if path == layout::legacy_payload(IMAGE) {
            sign(&path, &layout::legacy_bundle(IMAGE));
        } else if path == layout::signature(layout::MANIFEST) {
            sign(layout::MANIFEST, &path);
        } else if path.ends_with(".sigstore.json") {
            let old: Value =
                serde_json::from_slice(&fs::read(release.path(&path)).unwrap()).unwrap();
            let bytes =
                |place: &str| BASE64_STANDARD.decode(old.pointer(place)?.as_str().unwrap()).ok();
            let new = if let Some(digest) = bytes("/messageSignature/messageDigest/digest") {
                sigstore.sign_file(&signer, &digest.try_into().unwrap(), TIME)
            } else {
                let payload = bytes("/dsseEnvelope/payload").unwrap();
                sigstore.sign_statement(&signer, &Statement::parse(&payload).unwrap())
            };
            put(&path, &new);
        }
    }
}

#[test]
fn a_release_is_verified_by_who_signed_it() {
    let sigstore = Sigstore::new();
    let release = create_signed(&sigstore);
    let report = verify::folder(release.root(), &sigstore.identity(), &Policy::default()).unwrap();
    assert!(report.is_verified(), "{report}");
    assert!(report.to_string().contains(&format!("signed by {SUBJECT} of {ISSUER}")), "{report}");
    release.compare_with_oracle(|bundle, digest| sigstore.oracle(bundle, digest));

    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root.json");
    fs::write(&root, sigstore.root().to_string()).unwrap();
    let call = |subject: &str, issuer: &str, own_root: bool| {
        let mut command = notary();
        command.args(["verify", "--certificate-identity", subject]);
        command.args(["--certificate-oidc-issuer", issuer, "--release"]).arg(release.root());
        if own_root {
            command.arg("--trusted-root").arg(&root);
        }
        command.output().unwrap()
    };
    expect_success(&call(SUBJECT, ISSUER, true));
    for (subject, issuer, own_root) in [
        ("somebody@else.example", ISSUER, true),
        (SUBJECT, "https://other.example", true),
        (SUBJECT, ISSUER, false),
    ] {
        let output = call(subject, issuer, own_root);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stdout).ends_with("REJECTED\n"), "{output:?}");
    }
}

#[test]
fn what_a_key_signed_is_not_of_an_identity_and_the_other_way_round() {
    let (sigstore, key) = (Sigstore::new(), PrivateKey::generate());
    let by_key = Release::create_signed(&key, "");
    let report = verify::folder(by_key.root(), &sigstore.identity(), &Policy::default()).unwrap();
    assert!(!report.is_verified());
    assert!(report.to_string().contains("it was signed with a key"), "{report}");
    let report = create_signed(&sigstore).verify(&key.public());
    assert!(report.to_string().contains("it was signed with a certificate"), "{report}");
}

#[test]
fn a_bundle_of_another_or_of_another_content_is_caught() {
    let (sigstore, other) = (Sigstore::new(), Sigstore::new());
    let (good, foreign) = (create_signed(&sigstore), create_signed(&other));
    let identity = sigstore.identity();
    let sbom = layout::sbom_attestation(IMAGE, layout::SbomFormat::CycloneDx);
    for path in [
        layout::signature(layout::MANIFEST),
        layout::signature(IMAGE),
        layout::provenance(BINARY),
        layout::legacy_bundle(IMAGE),
        sbom,
    ] {
        let copy = good.copy();
        copy.put(&path, &fs::read(foreign.path(&path)).unwrap());
        let report = verify::folder(copy.root(), &identity, &Policy::default()).unwrap();
        assert!(report.faults.iter().any(|fault| fault.place == path), "{path}\n{report}");
    }
    let copy = good.copy();
    let swapped = fs::read(good.path(&layout::signature(IMAGE))).unwrap();
    copy.put(&layout::provenance(IMAGE), &swapped);
    let report = verify::folder(copy.root(), &identity, &Policy::default()).unwrap();
    assert!(report.to_string().contains("expected \"https://slsa.dev/provenance/v1\""), "{report}");
    let stranger = Identity { subject: "other".to_owned(), ..identity };
    assert!(!verify::folder(good.root(), &stranger, &Policy::default()).unwrap().is_verified());
}

#[test]
fn whatever_is_done_to_a_file_is_caught_and_named() {
    let sigstore = Sigstore::new();
    let (release, identity) = (create_signed(&sigstore), sigstore.identity());
    let files = release.files();
    for (n, path) in files.iter().enumerate() {
        let bytes = fs::read(release.path(path)).unwrap();
        let flipped = |place: usize| {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1;
            flipped
        };
        let neighbour = fs::read(release.path(&files[(n + 1) % files.len()])).unwrap();
        // One of each suffices: the tests with a key apply them all to every file, through the same
        // code.
        let others = [
            flipped(bytes.len() / 2),
            bytes[..bytes.len() - 1].to_vec(),
            neighbour,
            flipped(0),
            [&bytes, b"\n".as_slice()].concat(),
            flipped(bytes.len() - 1),
        ];
        release.put(path, &others[n % others.len()]);
        let report = verify::folder(release.root(), &identity, &Policy::default()).unwrap();
        let named = |it: &verify::Fault| it.place == *path || it.subject == *path;
        assert!(report.faults.iter().any(named), "{path}\n{report}");
        release.put(path, &bytes);
    }
}

#[test]
fn a_manifest_that_names_another_signer_or_none_is_caught_though_it_is_signed() {
    let sigstore = Sigstore::new();
    let (release, identity) = (create_signed(&sigstore), sigstore.identity());
    let good = release.manifest();
    let signer = |identity: &str, issuer: &str| {
        Some(Signer { identity: identity.to_owned(), issuer: issuer.to_owned() })
    };
    for signer in [
        None,
        signer("somebody@else.example", ISSUER),
        signer(SUBJECT, "https://other.example"),
        signer(SUBJECT, ""),
    ] {
        let text = release::Manifest { signer, ..good.clone() }.to_json().unwrap();
        release.put(layout::MANIFEST, text.as_bytes());
        let digest = signing::sha256(text.as_bytes());
        let bundle = sigstore.sign_file(&sigstore.certify(USAGE, true), &digest, TIME);
        let bundle = Bundle::parse(bundle.to_string().as_bytes()).unwrap();
        release.put(&layout::signature(layout::MANIFEST), &bundle.to_json().unwrap());
        let report = verify::folder(release.root(), &identity, &Policy::default()).unwrap();
        assert!(report.to_string().contains("its signer is"), "{report}");
    }
}
