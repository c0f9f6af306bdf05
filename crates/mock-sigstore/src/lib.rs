// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A Sigstore that is made up: an authority for identities, a log of certificates and one of signatures.
//!
//! Only tests depend on this crate, so it fails as tests do: with a panic that says why.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test fails by panicking")]

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, SanType, date_time_ymd,
};
use serde_json::{Value, json};
use sigstore::{Identity, PrivateKey, PublicKey, Statement, TrustedRoot, sha256};
use x509_cert::der::{Decode as _, Encode as _};

/// Who signs.
pub const SUBJECT: &str = "https://forge.example/people/project/release.yml@refs/tags/v1";
/// The service that knows them.
pub const ISSUER: &str = "https://token.forge.example";
/// 2026-01-02 00:00:00 UTC, within the certificate's validity.
pub const TIME: u64 = 1_767_312_000;
/// What certificates are for.
pub const USAGE: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::CodeSigning;

/// Base64 of `bytes`.
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn spki(key: &PublicKey) -> Vec<u8> {
    let pem = key.to_pem().unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    BASE64_STANDARD.decode(body).unwrap()
}

fn pem(der: &[u8]) -> String {
    let body = base64(der);
    let lines = body.as_bytes().chunks(64).map(|it| std::str::from_utf8(it).unwrap());
    let lines: Vec<_> = lines.collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

pub use rcgen::ExtendedKeyUsagePurpose as Usage;

/// An authority and its two logs.
pub struct Sigstore {
    authority: Issuer<'static, KeyPair>,
    certificate: Vec<u8>,
    promises: PrivateKey,
    log: PrivateKey,
}

/// Who signs: a key for one signature, and its certificate.
pub struct Signer {
    /// The private half.
    pub key: PrivateKey,
    certificate: Vec<u8>,
}

impl Default for Sigstore {
    fn default() -> Self {
        Self::new()
    }
}

impl Sigstore {
    /// Everything new.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2040, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        let authority = Issuer::new(params, key);
        let (promises, log) = (PrivateKey::generate(), PrivateKey::generate());
        Self { authority, certificate, promises, log }
    }

    /// A certificate that is good in the first days of 2026, and that a log has promised to list or not.
    pub fn certify(&self, usage: ExtendedKeyUsagePurpose, listed: bool) -> Signer {
        let pair = KeyPair::generate().unwrap();
        let key = PrivateKey::from_pkcs8(&pair.serialize_der()).unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 1, 3);
        params.serial_number = Some(7_u64.into());
        params.subject_alt_names = vec![SanType::URI(SUBJECT.try_into().unwrap())];
        params.extended_key_usages = vec![usage];
        let issuer = [&[0x0c, u8::try_from(ISSUER.len()).unwrap()], ISSUER.as_bytes()].concat();
        let extension = |id: &[u64], content| CustomExtension::from_oid_content(id, content);
        params.custom_extensions = vec![extension(&[1, 3, 6, 1, 4, 1, 57264, 1, 8], issuer)];
        if listed {
            // What the log sees, and then the same with its promise.
            let seen = params.signed_by(&pair, &self.authority).unwrap();
            let seen = x509_cert::Certificate::from_der(seen.der()).unwrap();
            let list = self.promise(&seen.tbs_certificate.to_der().unwrap());
            params.custom_extensions.push(extension(&[1, 3, 6, 1, 4, 1, 11129, 2, 4, 2], list));
        }
        let certificate = params.signed_by(&pair, &self.authority).unwrap().der().to_vec();
        Signer { key, certificate }
    }

    /// A list of one `SignedCertificateTimestamp` (RFC 6962, section 3.2), as an extension holds it.
    fn promise(&self, seen: &[u8]) -> Vec<u8> {
        let issuer = x509_cert::Certificate::from_der(&self.certificate).unwrap();
        let issuer = issuer.tbs_certificate.subject_public_key_info.to_der().unwrap();
        let time = (TIME * 1000).to_be_bytes();
        let length = u32::try_from(seen.len()).unwrap().to_be_bytes();
        let signed =
            [&[0, 0], &time[..], &[0, 1], &sha256(&issuer), &length[1..], seen, &[0, 0]].concat();
        let signature = self.promises.sign(&sha256(&signed)).unwrap();
        let vector =
            |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        let id = sha256(&spki(&self.promises.public()));
        let one = [&[0], &id[..], &time, &[0, 0, 4, 3], &vector(&signature)].concat();
        let list = vector(&vector(&one));
        [&[0x04, u8::try_from(list.len()).unwrap()], &list[..]].concat()
    }

    /// Its trusted root.
    pub fn root(&self) -> Value {
        let log = |key: &PrivateKey| {
            let der = spki(&key.public());
            json!([{
                "baseUrl": "https://log.example", "hashAlgorithm": "SHA2_256",
                "publicKey": {"rawBytes": base64(&der), "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                              "validFor": {"start": "2025-01-01T00:00:00Z"}},
                "logId": {"keyId": base64(sha256(&der))},
            }])
        };
        json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": log(&self.log),
            "ctlogs": log(&self.promises),
            "certificateAuthorities": [{
                "subject": {"organization": "example", "commonName": "example"},
                "uri": "https://authority.example",
                "certChain": {"certificates": [{"rawBytes": base64(&self.certificate)}]},
                "validFor": {"start": "2025-01-01T00:00:00Z"},
            }],
        })
    }

    /// Who signs, by this Sigstore's word.
    pub fn identity(&self) -> Identity {
        let root = TrustedRoot::parse(self.root().to_string().as_bytes()).unwrap();
        Identity { subject: SUBJECT.to_owned(), issuer: ISSUER.to_owned(), root }
    }

    /// The log's entry for `body`, the third of five.
    fn entry(&self, kind: &str, body: &Value, time: u64) -> Value {
        let body = body.to_string();
        let id = sha256(&spki(&self.log.public()));
        let said = format!(
            r#"{{"body":"{}","integratedTime":{time},"logID":"{}","logIndex":1002}}"#,
            base64(&body),
            hex(&id)
        );
        let promise = self.log.sign(&sha256(said.as_bytes())).unwrap();
        let parent = |left: [u8; 32], right: [u8; 32]| sha256(&[&[1], &left[..], &right].concat());
        let other = |n: u8| sha256(&[0, n]);
        let leaf = sha256(&[&[0], body.as_bytes()].concat());
        let first = parent(other(0), other(1));
        let root = parent(parent(first, parent(leaf, other(3))), other(4));
        let text = format!("log.example\n5\n{}\n", base64(root));
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

    /// The signature of a file, taken by the log at `time`.
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

    /// A signed statement.
    pub fn sign_statement(&self, signer: &Signer, statement: &Statement) -> Value {
        let payload = statement.to_json().unwrap();
        let kind = "application/vnd.in-toto+json";
        let header = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len());
        let signed = sha256(&[header.as_bytes(), &payload].concat());
        let signature = base64(signer.key.sign(&signed).unwrap());
        let digest = |bytes: &[u8]| json!({"algorithm": "sha256", "value": hex(&sha256(bytes))});
        let verifier = base64(pem(&signer.certificate));
        let body = json!({"apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "envelopeHash": digest(b"whatever its white space was"),
            "payloadHash": digest(&payload),
            "signatures": [{"signature": signature, "verifier": verifier}],
        }});
        let envelope = json!({
            "payload": base64(&payload), "payloadType": kind, "signatures": [{"sig": signature}],
        });
        bundle(signer, &self.entry("dsse", &body, TIME), "dsseEnvelope", envelope)
    }
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
