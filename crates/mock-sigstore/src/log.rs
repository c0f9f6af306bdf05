// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The signature log (Rekor), and bundles with its entries.

use base16ct::lower::encode_string as hex;
use serde_json::{Value, json};
use signing::{Statement, sha256};

use crate::authority::{Signer, Sigstore, TIME};
use crate::text::{base64, pem, spki};

impl Sigstore {
    /// A log entry for `body`, at index 2 of a tree of 5.
    pub(crate) fn entry(&self, kind: &str, body: &Value, time: u64) -> Value {
        let body = body.to_string();
        let id = sha256(&spki(&self.log.public()));
        let payload = format!(
            r#"{{"body":"{}","integratedTime":{time},"logID":"{}","logIndex":1002}}"#,
            base64(&body),
            hex(&id)
        );
        let promise = self.log.sign(&sha256(payload.as_bytes())).unwrap();
        let parent = |left: [u8; 32], right: [u8; 32]| sha256(&[&[1], &left[..], &right].concat());
        let other = |n: u8| sha256(&[0, n]);
        let leaf = sha256(&[&[0], body.as_bytes()].concat());
        let first = parent(other(0), other(1));
        let root = parent(parent(first, parent(leaf, other(3))), other(4));
        // Clients recognise Rekor v1 by the tree number in the checkpoint origin.
        let text = format!("log.example - 1\n5\n{}\n", base64(root));
        let signature = self.log.sign(&sha256(text.as_bytes())).unwrap();
        let note = base64([&id[..4], &signature].concat());
        json!({
            "logIndex": "1002",
            "logId": {"keyId": base64(id)},
            "kindVersion": {"kind": kind, "version": "0.0.1"},
            "integratedTime": time.to_string(),
            "inclusionPromise": {"signedEntryTimestamp": base64(promise)},
            "inclusionProof": {
                "logIndex": "2", "rootHash": base64(root), "treeSize": "5",
                "hashes": [base64(other(3)), base64(first), base64(other(4))],
                "checkpoint": {"envelope": format!("{text}\n\u{2014} log.example {note}\n")},
            },
            "canonicalizedBody": base64(&body),
        })
    }

    /// A bundle with the signature of a file, integrated by the log at `time`.
    pub fn sign_file(&self, signer: &Signer, digest: &[u8; 32], time: u64) -> Value {
        let signature = base64(signer.key.sign(digest).unwrap());
        let verifier = base64(pem(&signer.certificate));
        let body = json!({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": hex(digest)}},
            "signature": {"content": signature, "publicKey": {"content": verifier}},
        }});
        let message = json!({
            "messageDigest": {"algorithm": "SHA2_256", "digest": base64(digest)},
            "signature": signature,
        });
        let entry = self.entry("hashedrekord", &body, time);
        bundle(signer, &entry, "messageSignature", message)
    }

    /// A bundle with a signed statement.
    pub fn sign_statement(&self, signer: &Signer, statement: &Statement) -> Value {
        let payload = statement.to_json().unwrap();
        let kind = "application/vnd.in-toto+json";
        let header = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
        let signed = sha256(&[header.as_bytes(), &payload].concat());
        let signature = base64(signer.key.sign(&signed).unwrap());
        let verifier = base64(pem(&signer.certificate));
        let signed = json!([{"signature": signature, "verifier": verifier}]);
        let body = envelope_body(b"whatever its white space was", &payload, &signed);
        let envelope = json!({
            "payload": base64(&payload), "payloadType": kind, "signatures": [{"sig": signature}],
        });
        bundle(signer, &self.entry("dsse", &body, TIME), "dsseEnvelope", envelope)
    }
}

/// Body of the log entry of a DSSE envelope (Rekor, `dsse_v0_0_1_schema.json`).
pub(crate) fn envelope_body(envelope: &[u8], payload: &[u8], signatures: &Value) -> Value {
    let digest = |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex(&sha256(bytes))});
    json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "envelopeHash": digest(envelope),
        "payloadHash": digest(payload),
        "signatures": signatures,
    }})
}

fn bundle(signer: &Signer, entry: &Value, kind: &str, content: Value) -> Value {
    let mut bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": base64(&signer.certificate)},
            "tlogEntries": [entry],
            "timestampVerificationData": {},
        },
    });
    bundle[kind] = content;
    bundle
}
