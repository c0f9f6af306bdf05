// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Interoperability with cosign in both directions. The commands are those of
//! docs/how-to/verify.md.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use release::layout;
use signing::{Bundle, PrivateKey, keyfile, sha256};
use tempfile::TempDir;

use crate::mock_registry::Registry;
use crate::support::{BINARY, IMAGE, KeyFile, Release, expect_failure, expect_success, notary};

/// cosign with a temporary home folder.
struct Cosign {
    home: TempDir,
    program: std::path::PathBuf,
}

impl Cosign {
    fn find() -> Option<Self> {
        let program = test_support::find("cosign")?;
        Some(Self { home: tempfile::tempdir().unwrap(), program })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env("HOME", self.home.path()).current_dir(self.home.path());
        command.env("COSIGN_PASSWORD", "correct horse");
        // cosign contacts its TUF repository even with `--key`.
        command.env("HTTPS_PROXY", "http://127.0.0.1:1").env("NO_PROXY", "127.0.0.1");
        command
    }

    /// Signs `file` with the key `key`.
    fn sign(&self, key: &Path, file: &Path, bundle: &Path) -> Output {
        let config = self.home.path().join("signing.json");
        let text = concat!(
            r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","#,
            r#""rekorTlogConfig":{},"tsaConfig":{}}"#,
        );
        fs::write(&config, text).unwrap();
        let mut command = self.command();
        command.args(["sign-blob", "--yes", "--signing-config"]).arg(config);
        command.arg("--key").arg(key).arg("--bundle").arg(bundle).arg(file).output().unwrap()
    }

    /// `cosign VERB --key KEY --insecure-ignore-tlog …`
    fn verify(&self, verb: &str, key: &Path, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args([verb, "--insecure-ignore-tlog", "--key"]).arg(key);
        command.args(arguments).output().unwrap()
    }
}

#[test]
fn a_key_pair_of_cosign_signs_here() {
    let Some(cosign) = Cosign::find() else { return };
    expect_success(&cosign.command().arg("generate-key-pair").output().unwrap());
    let read = |name: &str| fs::read_to_string(cosign.home.path().join(name)).unwrap();
    let key = keyfile::decrypt(&read("cosign.key"), b"correct horse").unwrap();
    assert_eq!(key.public().to_pem().unwrap(), read("cosign.pub"));
}

#[test]
fn a_key_pair_of_ours_signs_there_and_its_signature_verifies_here() {
    let Some(cosign) = Cosign::find() else { return };
    let mut generate = notary();
    generate.args(["key", "generate", "--output-key-prefix"]).arg(cosign.home.path().join("our"));
    expect_success(&generate.env("COSIGN_PASSWORD", "correct horse").output().unwrap());
    let path = |name: &str| cosign.home.path().join(name);
    fs::write(path("file"), "content").unwrap();
    expect_success(&cosign.sign(&path("our.key"), &path("file"), &path("bundle")));

    let public = fs::read_to_string(path("our.pub")).unwrap();
    let public = signing::PublicKey::from_pem(&public).unwrap();
    let bundle = Bundle::parse(&fs::read(path("bundle")).unwrap()).unwrap();
    bundle.verify_file(&public, &sha256(b"content")).unwrap();
    assert!(bundle.verify_file(&public, &sha256(b"other")).is_err());
}

#[test]
fn cosign_accepts_the_signatures_and_the_provenance_of_files() {
    let Some(cosign) = Cosign::find() else { return };
    let key = PrivateKey::generate();
    let file = KeyFile::new(&key);
    let release = Release::create_signed(&key, "");
    let path = |path: &str| release.path(path).to_string_lossy().into_owned();
    for name in [BINARY, layout::CHECKSUMS, layout::MANIFEST] {
        let arguments = ["--bundle", &path(&layout::signature(name)), &path(name)];
        expect_success(&cosign.verify("verify-blob", &file.public(), &arguments));
    }
    let provenance = path(&layout::provenance(BINARY));
    let arguments = ["--type", "slsaprovenance1", "--bundle", &provenance, &path(BINARY)];
    expect_success(&cosign.verify("verify-blob-attestation", &file.public(), &arguments));

    let other = ["--bundle", &path(&layout::signature(BINARY)), &path(layout::CHECKSUMS)];
    assert!(!cosign.verify("verify-blob", &file.public(), &other).status.success());
    let stranger = KeyFile::new(&PrivateKey::generate());
    let arguments = ["--bundle", &path(&layout::signature(BINARY)), &path(BINARY)];
    assert!(!cosign.verify("verify-blob", &stranger.public(), &arguments).status.success());
}

#[test]
fn cosign_accepts_images_in_a_registry_with_and_without_the_referrers_api() {
    let Some(cosign) = Cosign::find() else { return };
    let key = PrivateKey::generate();
    let file = KeyFile::new(&key);
    let stranger = KeyFile::new(&PrivateKey::generate());
    let release = Release::create_signed(&key, "");
    for referrers in [true, false] {
        let registry = Registry::start(referrers);
        expect_success(&release.publish(&registry.namespace()).output().unwrap());
        let digest = release.manifest().images[0].digest.clone();
        let image = format!("{}/product/{IMAGE}@{digest}", registry.address);
        for (verb, arguments) in [
            ("verify", vec![image.as_str()]),
            ("verify", vec!["--new-bundle-format=false", &image]),
            ("verify-attestation", vec!["--type", "slsaprovenance1", &image]),
            ("verify-attestation", vec!["--type", "cyclonedx", &image]),
        ] {
            expect_success(&cosign.verify(verb, &file.public(), &arguments));
            let refused = cosign.verify(verb, &stranger.public(), &arguments);
            assert!(!refused.status.success(), "{verb} {arguments:?}");
        }
    }
}

/// With the key as text in the environment, as in CI systems, and as a file.
#[test]
fn cosign_as_the_engine_makes_what_our_own_does() {
    let Some(cosign) = Cosign::find() else { return };
    expect_success(&cosign.command().arg("generate-key-pair").output().unwrap());
    let read = |name: &str| fs::read_to_string(cosign.home.path().join(name)).unwrap();
    let public = signing::PublicKey::from_pem(&read("cosign.pub")).unwrap();
    let path = std::env::join_paths([cosign.program.parent().unwrap()]).unwrap();
    let release = Release::create_unsigned(release::Channel::Stable, "");
    let call = |verb: &str| {
        let mut command = notary();
        command.args([verb, "--engine", "cosign", "--release"]).arg(release.root());
        command.env("PATH", &path).env("COSIGN_PASSWORD", "correct horse");
        command.env("HOME", cosign.home.path()).env("HTTPS_PROXY", "http://127.0.0.1:1");
        command
    };
    expect_success(&call("sign").env("XTASK_SIGNING_KEY", read("cosign.key")).output().unwrap());
    let key = cosign.home.path().join("cosign.key");
    expect_success(&call("attest").arg("--key").arg(&key).output().unwrap());
    let report = release.verify(&public);
    assert!(report.is_verified(), "{report}");

    let pin = call("sign").args(["--key", "pkcs11:token=t;pin-value=1"]).output().unwrap();
    assert!(expect_failure(&pin).contains("COSIGN_PKCS11_PIN"));
    let unknown = call("sign").args(["--key", "awskms://nowhere"]).output().unwrap();
    assert!(expect_failure(&unknown).contains("public-key"), "{unknown:?}");
    let none = call("sign").env("PATH", "").arg("--key").arg(&key).output().unwrap();
    assert!(expect_failure(&none).contains("cargo xtask setup"), "{none:?}");
}

#[test]
fn sha256sum_accepts_the_checksums() {
    let release = Release::create_signed(&PrivateKey::generate(), "");
    let check = Command::new("sha256sum")
        .args(["--check", "--strict", layout::CHECKSUMS])
        .current_dir(release.root())
        .output()
        .unwrap();
    expect_success(&check);
}
