// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Keyless signing with the real cosign, against a mock CA and a mock log.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use mock_sigstore::{ISSUER, SUBJECT, Service, Sigstore};
use release::{Architecture, Channel, layout};
use serde_json::Value;
use signing::PrivateKey;
use tempfile::TempDir;
use test_support::assert_contains;
use verify::Policy;

use crate::mock_registry::Registry;
use crate::support::{BINARY, IMAGE, KeyFile, Release, expect_failure, expect_success, notary};

/// cosign, the mock services, and their configuration files.
struct Site {
    cosign: PathBuf,
    sigstore: Arc<Sigstore>,
    service: Service,
    folder: TempDir,
}

impl Site {
    fn start() -> Option<Self> {
        let cosign = test_support::find("cosign")?;
        let sigstore = Arc::new(Sigstore::new());
        let service = Service::start(&sigstore);
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        put("signing.json", service.signing_config().to_string());
        put("root.json", sigstore.root().to_string());
        Some(Self { cosign, sigstore, service, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sets up `command` with an environment of this site only.
    fn isolate(&self, command: &mut Command) {
        command.env("PATH", self.cosign.parent().unwrap()).env("HOME", self.folder.path());
        command.env("HTTPS_PROXY", "http://127.0.0.1:1").env("NO_PROXY", "127.0.0.1");
        for name in
            ["SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"]
        {
            command.env_remove(name);
        }
    }

    /// `notary VERB` without a token.
    fn notary(&self, verb: &str, release: &Release) -> Command {
        let mut command = notary();
        self.isolate(&mut command);
        command.args([verb, "--engine", "cosign:keyless", "--release"]).arg(release.root());
        command.arg("--signing-config").arg(self.path("signing.json"));
        command.arg("--trusted-root").arg(self.path("root.json"));
        command
    }

    /// Signs and attests, with a workflow's token.
    fn sign_and_attest(&self, release: &Release) {
        for verb in ["sign", "attest"] {
            let mut command = self.notary(verb, release);
            expect_success(&command.envs(self.service.ambient_variables()).output().unwrap());
        }
    }

    /// `cosign VERB …` that expects `subject`.
    fn cosign(&self, verb: &str, subject: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.cosign);
        self.isolate(&mut command);
        command.args([verb, "--certificate-identity", subject]);
        command.args(["--certificate-oidc-issuer", ISSUER, "--trusted-root"]);
        command.arg(self.path("root.json")).args(arguments).output().unwrap()
    }

    /// `cosign verify` of the signature tag, without referrers and trusted roots.
    fn older_cosign(&self, subject: &str, image: &str) -> Output {
        let mut command = Command::new(&self.cosign);
        self.isolate(&mut command);
        for (name, text) in self.sigstore.older_root() {
            fs::write(self.path(name), text).unwrap();
            command.env(name, self.path(name));
        }
        command.args(["verify", "--new-bundle-format=false", "--certificate-identity", subject]);
        command.args(["--certificate-oidc-issuer", ISSUER, image]).output().unwrap()
    }

    /// Creates the trusted root with cosign.
    fn create_root(&self) {
        let [authority, certificates, signatures] =
            self.sigstore.older_root().map(|(name, text)| {
                fs::write(self.path(name), text).unwrap();
                self.path(name).display().to_string()
            });
        let since = "start-time=2025-01-01T00:00:00Z";
        let mut command = Command::new(&self.cosign);
        self.isolate(&mut command);
        command.args(["trusted-root", "create"]);
        command.arg(format!("--fulcio=url=https://a.example,certificate-chain={authority}"));
        command.arg(format!("--ctfe=url=https://b.example,public-key={certificates},{since}"));
        command.arg(format!("--rekor=url=https://c.example,public-key={signatures},{since}"));
        expect_success(&command.arg("--out").arg(self.path("root.json")).output().unwrap());
    }

    /// `notary verify` of a release, expecting the signer `subject`.
    fn verify(&self, subject: &str, from: &str, place: &str) -> Output {
        let mut command = notary();
        command.args(["verify", "--certificate-identity", subject]);
        command.args(["--certificate-oidc-issuer", ISSUER, "--trusted-root"]);
        command.arg(self.path("root.json")).args([from, place]).output().unwrap()
    }
}

#[test]
fn a_release_is_signed_without_a_key_and_cosign_accepts_each_bundle() {
    let Some(site) = Site::start() else { return };
    let release = Release::create_unsigned(Channel::Stable, "");
    site.sign_and_attest(&release);
    let report =
        verify::folder(release.root(), &site.sigstore.identity(), &Policy::default()).unwrap();
    assert!(report.is_verified(), "{report}");
    release.compare_with_oracle(|bundle, digest| site.sigstore.oracle(bundle, digest));
    let signer = release.manifest().signer.unwrap();
    assert_eq!((signer.identity.as_str(), signer.issuer.as_str()), (SUBJECT, ISSUER));
    assert!(!release.path(layout::PUBLIC_KEY).exists());
    // As with a key: the manifest; for each file a signature and its provenance; for each image two
    // signatures, its provenance and two SBOMs.
    let manifest = release.manifest();
    let expected = 1 + 2 * manifest.artifacts.len() + 5 * manifest.images.len();
    assert_eq!(site.service.certificates.load(Ordering::Relaxed), expected);
    assert_eq!(site.service.entries.load(Ordering::Relaxed), expected);

    let path = |path: &str| release.path(path).to_string_lossy().into_owned();
    for (verb, arguments) in [
        ("verify-blob", vec!["--bundle", &path(&layout::signature(BINARY)), &path(BINARY)]),
        (
            "verify-blob",
            vec!["--bundle", &path(&layout::signature(layout::MANIFEST)), &path(layout::MANIFEST)],
        ),
        (
            "verify-blob-attestation",
            vec![
                "--type",
                "slsaprovenance1",
                "--bundle",
                &path(&layout::provenance(BINARY)),
                &path(BINARY),
            ],
        ),
    ] {
        expect_success(&site.cosign(verb, SUBJECT, &arguments));
        let refused = site.cosign(verb, "somebody@else.example", &arguments);
        assert!(!refused.status.success(), "{verb} {arguments:?}");
    }
    // cosign checks the SCT when it verifies.
    for part in ["certificateAuthorities", "ctlogs", "tlogs"] {
        let mut root = site.sigstore.root();
        root[part] = Sigstore::new().root()[part].clone();
        fs::write(site.path("root.json"), root.to_string()).unwrap();
        let arguments = ["--bundle", &path(&layout::signature(BINARY)), &path(BINARY)];
        assert!(!site.cosign("verify-blob", SUBJECT, &arguments).status.success(), "{part}");
    }
    fs::write(site.path("root.json"), site.sigstore.root().to_string()).unwrap();
    let folder = release.root().to_str().unwrap();
    expect_success(&site.verify(SUBJECT, "--release", folder));
    // A trusted root created by cosign works too.
    site.create_root();
    expect_success(&site.verify(SUBJECT, "--release", folder));
    let refused = site.verify("somebody@else.example", "--release", folder);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
}

#[test]
fn a_published_release_is_verified_by_who_signed_it_and_by_cosign() {
    let Some(site) = Site::start() else { return };
    let both = [Architecture::Amd64, Architecture::Arm64];
    let release = Release::create_unsigned_for(&both, Channel::Stable, "");
    site.sign_and_attest(&release);
    for referrers in [true, false] {
        let registry = Registry::start(referrers);
        expect_success(&release.publish(&registry.namespace()).output().unwrap());
        let place = format!("{}/product:0.1.0", registry.address);
        let verified = expect_success(&site.verify(SUBJECT, "--registry", &place));
        assert!(verified.contains(&format!("signed by {SUBJECT} of {ISSUER}")), "{verified}");
        let refused = site.verify("somebody@else.example", "--registry", &place);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");

        let digest = release.manifest().images[0].digest.clone();
        let image = format!("{}/product/{IMAGE}@{digest}", registry.address);
        for (verb, arguments) in [
            ("verify", vec![image.as_str()]),
            ("verify-attestation", vec!["--type", "slsaprovenance1", &image]),
            ("verify-attestation", vec!["--type", "cyclonedx", &image]),
        ] {
            expect_success(&site.cosign(verb, SUBJECT, &arguments));
            let refused = site.cosign(verb, "somebody@else.example", &arguments);
            assert!(!refused.status.success(), "{verb} {arguments:?}");
        }
        for (subject, accepted) in [(SUBJECT, true), ("somebody@else.example", false)] {
            let output = site.older_cosign(subject, &image);
            assert_eq!(output.status.success(), accepted, "{output:?}");
        }
        // Without one of its annotations, the older format does not verify.
        for annotation in ["dev.sigstore.cosign/bundle", "dev.sigstore.cosign/certificate"] {
            let tag = (format!("product/{IMAGE}"), format!("{}.sig", digest.replace(':', "-")));
            let before = registry.state().edit(&tag.0, &tag.1, |manifest| {
                let annotations = manifest["layers"][0]["annotations"].as_object_mut().unwrap();
                annotations.remove(annotation).unwrap();
            });
            let output = site.verify(SUBJECT, "--registry", &place);
            let output_text = String::from_utf8_lossy(&output.stdout);
            assert!(
                output_text.contains(".sig: it is not the signature"),
                "{annotation}: {output_text}"
            );
            registry.state().tags.insert(tag, before);
        }
    }
}

#[test]
fn a_token_of_another_or_none_and_services_that_nobody_trusts_sign_nothing() {
    let Some(site) = Site::start() else { return };
    let release = Release::create_unsigned(Channel::Snapshot, "");
    let refused = |token: Option<&str>, root: &Value| {
        fs::write(site.path("root.json"), root.to_string()).unwrap();
        let mut command = site.notary("sign", &release);
        if let Some(token) = token {
            command.env("SIGSTORE_ID_TOKEN", token);
        }
        expect_failure(&command.output().unwrap())
    };
    let (good, other) = (site.sigstore.root(), Sigstore::new().root());
    assert_contains(refused(None, &good), "set SIGSTORE_ID_TOKEN");
    assert_contains(refused(Some(&Service::token("somebody@else.example")), &good), "refused");
    // cosign's own checks are active, and its gaps are covered here.
    let token = Service::token(SUBJECT);
    for (part, expected) in [
        ("certificateAuthorities", "failed to verify leaf certificate"),
        ("tlogs", "failed to verify log inclusion"),
        ("ctlogs", "no trusted CT log issued an SCT for the certificate"),
    ] {
        let mut root = good.clone();
        root[part] = other[part].clone();
        let error = refused(Some(&token), &root);
        assert!(error.contains(expected), "{part}: {error}");
        assert!(!error.contains(&token), "{error}");
    }
    assert!(!release.path(layout::SIGNATURES).exists());
    let key = site.notary("sign", &release).args(["--key", "x"]).output().unwrap();
    assert!(expect_failure(&key).contains("takes no --key"), "{key:?}");
}

#[test]
fn a_release_has_one_signer() {
    let Some(site) = Site::start() else { return };
    let release = Release::create_unsigned(Channel::Snapshot, "");
    let attest = |release: &Release| {
        let mut command = site.notary("attest", release);
        command.envs(site.service.ambient_variables()).output().unwrap()
    };
    assert!(expect_failure(&attest(&release)).contains("run `notary sign`"));
    let key = PrivateKey::generate();
    let file = KeyFile::new(&key);
    release.sign_with(&file);
    assert!(expect_failure(&attest(&release)).contains("with the same engine first"));
    // Signing again removes all files of the other kind of signer, and the reverse.
    site.sign_and_attest(&release);
    let identity = site.sigstore.identity();
    let report = verify::folder(release.root(), &identity, &Policy::default()).unwrap();
    assert!(report.is_verified(), "{report}");
    assert!(expect_failure(&release.notary("attest", Some(&file))).contains("signed keyless"));
    release.sign_with(&file);
    let report = release.verify(&key.public());
    assert!(report.is_verified(), "{report}");
}
