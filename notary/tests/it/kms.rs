// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A release signed with a key in a KMS: cosign uses a mock of the AWS KMS.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use signing::PrivateKey;
use test_support::http::{self, Server};

use crate::support::{Release, expect_failure, expect_success, notary};

/// Access key id of an authorized caller.
const CALLER: &str = "CALLEROFTHISTEST";
/// URI of the key for cosign.
const KEY: &str = "awskms:///alias/release";

/// The AWS KMS requests (API 2014-11-01) for signing, with one key on P-256.
struct Service {
    address: String,
    key: Arc<PrivateKey>,
    signatures: Arc<AtomicUsize>,
}

impl Service {
    /// Serves until the process ends.
    fn start() -> Self {
        let key = Arc::new(PrivateKey::generate());
        let signatures = Arc::<AtomicUsize>::default();
        let (ours, count) = (Arc::clone(&key), Arc::clone(&signatures));
        let server = Server::start(move |request| {
            let target = request.header("x-amz-target").unwrap_or_default().to_owned();
            let caller = format!("Credential={CALLER}/");
            let allowed = request.header("authorization").is_some_and(|it| it.contains(&caller));
            let body = request.body();
            let result = allowed.then(|| answer(&target, &body, &ours, &count)).flatten();
            let (status, body) =
                result.map_or((400, json!({"__type": "AccessDeniedException"})), |it| (200, it));
            http::answer(status)
                .header("Content-Type", "application/x-amz-json-1.1")
                .body(body.to_string())
        });
        Self { address: server.url(), key, signatures }
    }
}

fn answer(target: &str, body: &[u8], key: &PrivateKey, count: &AtomicUsize) -> Option<Value> {
    let request: Value = serde_json::from_slice(body).ok()?;
    assert_eq!(request["KeyId"], "alias/release");
    match target.strip_prefix("TrentService.")? {
        "DescribeKey" => Some(json!({"KeyMetadata": {
            "KeyId": "1",
            "KeySpec": "ECC_NIST_P256",
            "CustomerMasterKeySpec": "ECC_NIST_P256",
            "SigningAlgorithms": ["ECDSA_SHA_256"],
        }})),
        "GetPublicKey" => {
            let pem = key.public().to_pem().ok()?;
            let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            Some(json!({"KeyId": "1", "PublicKey": der, "KeySpec": "ECC_NIST_P256"}))
        }
        "Sign" => {
            assert_eq!(request["MessageType"], "DIGEST");
            assert_eq!(request["SigningAlgorithm"], "ECDSA_SHA_256");
            let digest = BASE64_STANDARD.decode(request["Message"].as_str()?).ok()?;
            count.fetch_add(1, Ordering::Relaxed);
            let signature = key.sign(&digest.try_into().ok()?).ok()?;
            Some(json!({
                "KeyId": "1",
                "Signature": BASE64_STANDARD.encode(signature),
                "SigningAlgorithm": "ECDSA_SHA_256",
            }))
        }
        _ => None,
    }
}

#[test]
fn a_key_in_a_key_management_service_signs_a_whole_release() {
    let Some(cosign) = test_support::find("cosign") else { return };
    let service = Service::start();
    let home = tempfile::tempdir().unwrap();
    let path = std::env::join_paths([cosign.parent().unwrap()]).unwrap();
    let release = Release::create_unsigned(release::Channel::Stable, "");
    let call = |verb: &str, caller: &str| {
        let mut command = notary();
        command.args([verb, "--engine", "cosign", "--release"]).arg(release.root());
        command.env("PATH", &path).env("HOME", home.path()).env("XTASK_SIGNING_KEY", KEY);
        command.env("AWS_ENDPOINT_URL_KMS", &service.address).env("AWS_REGION", "nowhere-1");
        command.env("AWS_ACCESS_KEY_ID", caller).env("AWS_SECRET_ACCESS_KEY", "of this test");
        command.env("HTTPS_PROXY", "http://127.0.0.1:1").env("NO_PROXY", "127.0.0.1");
        command.output().unwrap()
    };
    test_support::assert_contains(expect_failure(&call("sign", "ANOTHERCALLER")), "AccessDenied");
    for verb in ["sign", "attest"] {
        expect_success(&call(verb, CALLER));
    }
    let report = release.verify(&service.key.public());
    assert!(report.is_verified(), "{report}");
    let manifest = release.manifest();
    let (files, images) = (manifest.artifacts.len(), manifest.images.len());
    // The manifest; for each file a signature and its provenance; for each image two signatures,
    // its provenance and two SBOMs.
    assert_eq!(service.signatures.load(Ordering::Relaxed), 1 + 2 * files + 5 * images);
}
