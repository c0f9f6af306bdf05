// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Test operating systems are pushed to their own namespace and are never part of a release.

use std::fs;
use std::path::Path;
use std::process::Output;

use oci::spec::Descriptor;
use oci::{Layout, artifact, media_type};
use release::test_artifacts::{NON_PRODUCTION, RECORD};
use release::{Channel, TestArtifact, TestArtifacts, layout};
use signing::PrivateKey;

use crate::mock_registry::Registry;
use crate::support::{IMAGE, KeyFile, Release, expect_failure, expect_success, notary};

/// Writes an artifact with these annotations to the new layout `folder`.
fn artifact(folder: &Path, annotations: &[(&str, &str)]) -> Descriptor {
    let layout = Layout::create(folder).unwrap();
    let layer = layout.write_blob("application/x-ms-wim", b"a system".as_slice()).unwrap();
    layout.write_blob(media_type::EMPTY, artifact::EMPTY_JSON).unwrap();
    let annotations =
        annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let manifest = artifact::manifest("application/x-test", vec![layer], None, annotations);
    let root = layout.write_json(media_type::IMAGE_MANIFEST, &manifest.unwrap()).unwrap();
    layout.write_index(vec![root.clone()]).unwrap();
    root
}

/// A folder of test artifacts with one artifact, `windows`.
fn systems(annotations: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = artifact(&folder.path().join("windows"), annotations);
    let one = TestArtifact { name: "windows".to_owned(), digest: root.digest().to_string() };
    let record = TestArtifacts::new("0.1.0".to_owned(), vec![one]);
    fs::write(folder.path().join(RECORD), record.to_json().unwrap()).unwrap();
    folder
}

fn push(folder: &Path, registry: &Registry) -> Output {
    let to = format!("{}/product", registry.address);
    notary().args(["push-test-artifacts", "--to", &to, "--from"]).arg(folder).output().unwrap()
}

#[test]
fn they_get_into_the_namespace_of_tests() {
    let registry = Registry::start(true);
    let folder = systems(&[(NON_PRODUCTION, "true")]);
    expect_success(&push(folder.path(), &registry));
    assert_eq!(registry.state().versions(), ["product/ci/windows:v0.1.0"]);
}

#[test]
fn one_without_the_label_goes_nowhere() {
    let registry = Registry::start(true);
    test_support::assert_contains(
        expect_failure(&push(systems(&[]).path(), &registry)),
        NON_PRODUCTION,
    );
    assert_eq!(registry.state().writes(), 0);
}

/// All ways to include a test artifact in a release folder.
#[test]
fn none_is_signed_or_published_as_part_of_a_release() {
    let key = KeyFile::new(&PrivateKey::generate());
    let refused = |release: &Release, expected: &str| {
        for verb in ["sign", "attest"] {
            let error = expect_failure(&release.notary(verb, Some(&key)));
            assert!(error.contains(expected), "{verb}: {error}");
        }
        let registry = Registry::start(true);
        let error = expect_failure(&release.publish(&registry.namespace()).output().unwrap());
        assert!(error.contains(expected), "publish: {error}");
        assert_eq!(registry.state().writes(), 0);
    };

    // As a release image, by label and by name.
    for (label, repository) in [(Some(NON_PRODUCTION), IMAGE), (None, "ci/windows")] {
        let release = Release::create_unsigned(Channel::Stable, "content");
        let annotations: Vec<_> = label.map(|name| (name, "true")).into_iter().collect();
        let place = "images/disguised";
        let root = artifact(&release.path(place), &annotations);
        let mut manifest = release.manifest();
        let mut image = manifest.images.remove(0);
        image.repository = repository.to_owned();
        image.layout = place.to_owned();
        image.digest = root.digest().to_string();
        manifest.images.push(image);
        release.put(layout::MANIFEST, manifest.to_json().unwrap().as_bytes());
        refused(&release, "test artifact");
    }

    // Their record under the name release.json.
    let release = Release::create_unsigned(Channel::Stable, "content");
    let folder = systems(&[(NON_PRODUCTION, "true")]);
    release.put(layout::MANIFEST, &fs::read(folder.path().join(RECORD)).unwrap());
    refused(&release, "provisioner/test-artifacts/v1");
}
