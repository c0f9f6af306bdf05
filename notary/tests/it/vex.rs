// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The VEX document of a release is signed, attested for each image, and verified.

use release::{Artifact, ArtifactKind, Channel, Manifest, layout};
use serde_json::{Value, json};
use signing::statement::OPENVEX;
use signing::{Bundle, PrivateKey, sha256_from_hex};

use crate::mock_registry::Registry;
use crate::support::{IMAGE, KeyFile, Release, expect_failure, expect_success, notary, sha256};

/// Adds or replaces a file of the release in its manifest and its checksums.
fn put(release: &Release, manifest: &mut Manifest, path: &str, kind: ArtifactKind, bytes: &[u8]) {
    release.put(path, bytes);
    manifest.put_artifact(Artifact {
        path: path.to_owned(),
        kind,
        architecture: None,
        describes: None,
        size: bytes.len() as u64,
        sha256: sha256(bytes),
    });
}

/// A signed release with a VEX document.
fn release(key: &PrivateKey) -> Release {
    let release = Release::create_unsigned(Channel::Stable, "content");
    let mut manifest = release.manifest();
    let document = json!({"@context": "https://openvex.dev/ns/v0.2.0", "statements": []});
    let bytes = document.to_string().into_bytes();
    put(&release, &mut manifest, layout::VEX, ArtifactKind::Vex, &bytes);
    manifest.artifacts.retain(|it| it.kind != ArtifactKind::Checksums);
    manifest.artifacts.sort_by(|a, b| a.path.cmp(&b.path));
    let lines = manifest.artifacts.iter().map(|it| format!("{}  {}\n", it.sha256, it.path));
    let sums = lines.collect::<String>();
    put(&release, &mut manifest, layout::CHECKSUMS, ArtifactKind::Checksums, sums.as_bytes());
    release.put(layout::MANIFEST, manifest.to_json().unwrap().as_bytes());
    release.sign(key);
    release
}

#[test]
fn a_vex_document_is_attested_for_each_image_and_published_as_a_referrer() {
    let key = PrivateKey::generate();
    let release = release(&key);
    let report = release.verify(&key.public());
    assert!(report.is_verified(), "{report}");
    let bundle = std::fs::read(release.path(&layout::vex_attestation(IMAGE))).unwrap();
    let digest = release.manifest().images[0].digest.replace("sha256:", "");
    let digest = sha256_from_hex(&digest).unwrap();
    let bundle = Bundle::parse(&bundle).unwrap();
    let statement = bundle.verify_statement(&key.public(), OPENVEX, &digest).unwrap();
    assert_eq!(statement.predicate["statements"], json!([]));

    let registry = Registry::start(true);
    let target = format!("http://{}/product", registry.address);
    expect_success(&release.publish(&target).output().unwrap());
    let file = KeyFile::new(&key);
    let mut verify = notary();
    verify.args(["verify", "--registry", &format!("{target}:0.1.0"), "--key"]).arg(file.public());
    expect_success(&verify.output().unwrap());
    let referrers = registry
        .state()
        .manifests
        .values()
        .filter(|(_, bytes)| {
            let document: Value = serde_json::from_slice(bytes).unwrap();
            document["subject"].is_object()
        })
        .count();
    assert_eq!(referrers, 8);
}

#[test]
fn a_missing_or_another_attestation_is_a_fault() {
    let key = PrivateKey::generate();
    let release = release(&key);
    let place = layout::vex_attestation(IMAGE);
    let fault = || {
        let report = release.verify(&key.public());
        assert!(!report.is_verified());
        report.faults.iter().map(|it| format!("{}: {}", it.place, it.problem)).collect::<Vec<_>>()
    };
    let sbom = std::fs::read(
        release.path(&layout::sbom_attestation(IMAGE, layout::SbomFormat::CycloneDx)),
    );
    release.put(&place, &sbom.unwrap());
    assert!(fault()[0].contains("it is a statement of type"), "{:?}", fault());
    std::fs::remove_file(release.path(&place)).unwrap();
    assert_eq!(fault(), [format!("{place}: it is missing")]);

    // Only the VEX document may have its path.
    let mut manifest = release.manifest();
    for artifact in &mut manifest.artifacts {
        if artifact.kind == ArtifactKind::Vex {
            artifact.kind = ArtifactKind::Binary;
        }
    }
    release.put(layout::MANIFEST, manifest.to_json().unwrap().as_bytes());
    let output = release.notary("sign", Some(&KeyFile::new(&key)));
    let text = expect_failure(&output);
    assert!(text.contains("openvex.json is the VEX document or has its path, not both"), "{text}");
}
