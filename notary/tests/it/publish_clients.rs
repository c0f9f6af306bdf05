// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Other clients read a release published to the controller's registry, and to docker-registry,
//! which has no referrers API.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use oci::Layout;
use release::{Architecture, Channel};
use signing::PrivateKey;
use test_support::Distribution;
use test_support::folder::tree;

use crate::support::{IMAGE, KeyFile, Release, expect_success};

/// A registry with a release that has an image for two architectures.
struct Published {
    /// `HOST:PORT/product`.
    prefix: String,
    release: Release,
    key: KeyFile,
    folder: tempfile::TempDir,
    _registry: test_support::Registry,
}

impl Published {
    /// In the controller's registry; `None` if it was not built.
    fn new() -> Option<Self> {
        Some(Self::publish_at(test_support::Registry::controller()?))
    }

    /// In each of the registries that are there.
    fn publish_everywhere() -> Vec<Self> {
        let distribution = test_support::Registry::distribution(Distribution::default());
        let registries = [test_support::Registry::controller(), distribution];
        registries.into_iter().flatten().map(Self::publish_at).collect()
    }

    fn publish_at(registry: test_support::Registry) -> Self {
        let prefix = format!("{}/product", registry.address);
        let folder = tempfile::tempdir().unwrap();
        let both = [Architecture::Amd64, Architecture::Arm64];
        let release = Release::create_unsigned_for(&both, Channel::Stable, "content");
        let key = KeyFile::new(&PrivateKey::generate());
        release.sign_with(&key);
        expect_success(&release.publish(&prefix).output().unwrap());
        Self { prefix, release, key, folder, _registry: registry }
    }

    /// The image, and its manifest for each architecture, by digest.
    fn manifests(&self) -> Vec<String> {
        let image = &self.release.manifest().images[0];
        let layout = Layout::open(self.release.path(&image.layout)).unwrap();
        let index = fs::read(layout.blob_path(&image.digest.parse().unwrap())).unwrap();
        let parts = verify::parts(&serde_json::from_slice(&index).unwrap());
        assert_eq!(parts.len(), 2);
        let digests = parts.into_values().map(|it| it.to_string());
        let digests = std::iter::once(image.digest.clone()).chain(digests);
        digests.map(|digest| format!("{}/{IMAGE}@{digest}", self.prefix)).collect()
    }

    fn image(&self) -> String {
        format!("{}/{IMAGE}:v0.1.0", self.prefix)
    }

    /// Runs a program with the test folder as home, without credentials.
    fn run(&self, program: PathBuf, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).env("HOME", self.folder.path());
        command.env_remove("REGISTRY_AUTH_FILE").env_remove("XDG_RUNTIME_DIR");
        expect_success(&command.output().unwrap())
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
    let mut expected = tree(published.release.root());
    expected.retain(|path, _| !path.starts_with("images"));
    assert_eq!(tree(&pulled), expected);
}

#[test]
fn oras_lists_what_accompanies_an_index_and_each_of_its_manifests() {
    let Some(oras) = test_support::find("oras") else { return };
    for published in Published::publish_everywhere() {
        for (n, name) in published.manifests().iter().enumerate() {
            let discover = ["discover", "--plain-http", "--format", "json", name];
            let tree = published.run(oras.clone(), &discover);
            let documents = usize::from(n == 0);
            for (artifact_type, count) in [
                // Signature, provenance, and the SBOMs in CycloneDX and SPDX.
                ("application/vnd.dev.sigstore.bundle.v0.3+json", 4),
                ("application/vnd.cyclonedx+json", documents),
                ("application/spdx+json", 2 * documents),
            ] {
                let found = tree.matches(artifact_type).count();
                assert_eq!(found, count, "{artifact_type} of {name}: {tree}");
            }
        }
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
            "--all",
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
fn cosign_verifies_signature_and_attestations_of_an_index_and_each_of_its_manifests() {
    let Some(cosign) = test_support::find("cosign") else { return };
    for published in Published::publish_everywhere() {
        let key = published.key.public();
        let key = ["--key", key.to_str().unwrap(), "--insecure-ignore-tlog"];
        for name in published.manifests() {
            let run = |verb: &[&str]| {
                let arguments = [verb, &key, &["--allow-http-registry", &name]].concat();
                published.run(cosign.clone(), &arguments)
            };
            let (_, digest) = name.split_once('@').unwrap();
            assert!(run(&["verify"]).contains(digest), "{name}");
            for predicate_type in ["slsaprovenance1", "cyclonedx", "spdxjson"] {
                run(&["verify-attestation", "--type", predicate_type]);
            }
        }
    }
}
