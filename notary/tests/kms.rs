// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A release signed with a key that never leaves its keeper: cosign asks a key management service,
//! here one that speaks as that of AWS does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use sigstore::PrivateKey;
use support::{Release, failed, notary, succeeded};

/// The name of a caller who may sign.
const CALLER: &str = "CALLEROFTHISTEST";
/// How cosign names the key.
const KEY: &str = "awskms:///alias/release";

/// The calls of AWS KMS (API 2014-11-01) that signing needs, for one key on P-256.
struct Service {
    address: String,
    key: Arc<PrivateKey>,
    signatures: Arc<AtomicUsize>,
}

impl Service {
    /// Serves until the process ends.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let key = Arc::new(PrivateKey::generate());
        let signatures = Arc::<AtomicUsize>::default();
        let (ours, count) = (Arc::clone(&key), Arc::clone(&signatures));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (key, count) = (Arc::clone(&ours), Arc::clone(&count));
                thread::spawn(move || serve(stream, &key, &count));
            }
        });
        Self { address, key, signatures }
    }
}

/// Answers the calls of one connection, one after the other.
fn serve(stream: TcpStream, key: &PrivateKey, count: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let (mut length, mut allowed, mut target) = (0, false, String::new());
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok()?,
                "authorization" => allowed = value.contains(&format!("Credential={CALLER}/")),
                "x-amz-target" => value.clone_into(&mut target),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let answer = allowed.then(|| answer(&target, &body, key, count)).flatten();
        let (status, body) =
            answer.map_or((400, json!({"__type": "AccessDeniedException"})), |it| (200, it));
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status} Answer\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
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
    let release = Release::unsigned(release::Channel::Stable, "");
    let call = |verb: &str, caller: &str| {
        let mut command = notary();
        command.args([verb, "--engine", "cosign", "--release"]).arg(release.root());
        command.env("PATH", &path).env("HOME", home.path()).env("XTASK_SIGNING_KEY", KEY);
        command.env("AWS_ENDPOINT_URL_KMS", &service.address).env("AWS_REGION", "nowhere-1");
        command.env("AWS_ACCESS_KEY_ID", caller).env("AWS_SECRET_ACCESS_KEY", "of this test");
        command.env("HTTPS_PROXY", "http://127.0.0.1:1").env("NO_PROXY", "127.0.0.1");
        command.output().unwrap()
    };
    let refused = failed(&call("sign", "ANOTHERCALLER"));
    assert!(refused.contains("AccessDenied"), "{refused}");
    for verb in ["sign", "attest"] {
        succeeded(&call(verb, CALLER));
    }
    let report = release.verify(&service.key.public());
    assert!(report.is_verified(), "{report}");
    let manifest = release.manifest();
    let (files, images) = (manifest.artifacts.len(), manifest.images.len());
    // The manifest; of each file a signature and its provenance; of each image two signatures, its
    // provenance and two bills of materials.
    assert_eq!(service.signatures.load(Ordering::Relaxed), 1 + 2 * files + 5 * images);
}
