// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! HTTP services on loopback: the OIDC token endpoint of a workflow, Fulcio's `/api/v2/signingCert`
//! and Rekor's `/api/v1/log/entries`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base16ct::lower::encode_string as hex;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde_json::{Value, json};
use signing::{PublicKey, sha256};
use test_support::http::{self, Answer, Request, Server};
use time::OffsetDateTime;

use crate::authority::{ISSUER, SUBJECT, Sigstore};
use crate::log::envelope_body;
use crate::text::{base64, from_base64, pem};

/// Bearer token that a workflow presents to request an OIDC token.
const TICKET: &str = "of-this-test";

/// Serves a [`Sigstore`] on a loopback port until the process ends.
pub struct Service {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Number of certificates issued.
    pub certificates: Arc<AtomicUsize>,
    /// Number of log entries created.
    pub entries: Arc<AtomicUsize>,
}

struct State {
    sigstore: Arc<Sigstore>,
    certificates: Arc<AtomicUsize>,
    entries: Arc<AtomicUsize>,
}

impl Service {
    /// Starts serving `sigstore`.
    pub fn start(sigstore: &Arc<Sigstore>) -> Self {
        let (certificates, entries) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let state = State {
            sigstore: Arc::clone(sigstore),
            certificates: Arc::clone(&certificates),
            entries: Arc::clone(&entries),
        };
        let server = Server::start(move |request| state.serve(request));
        Self { url: server.url(), certificates, entries }
    }

    /// Signing configuration, version 0.2, with the URLs of this service.
    pub fn signing_config(&self) -> Value {
        let service = json!([{
            "url": self.url, "majorApiVersion": 1, "operator": "example",
            "validFor": {"start": "2025-01-01T00:00:00Z"},
        }]);
        json!({
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": service, "oidcUrls": service, "rekorTlogUrls": service,
            "rekorTlogConfig": {"selector": "ANY"}, "tsaConfig": {},
        })
    }

    /// Environment variables that point a workflow to the OIDC token endpoint.
    pub fn ambient_variables(&self) -> [(&'static str, String); 2] {
        [
            ("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/token?version=1", self.url)),
            ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", TICKET.to_owned()),
        ]
    }

    /// An OIDC token for `subject`. Only [`SUBJECT`] gets a certificate.
    pub fn token(subject: &str) -> String {
        let text = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let header = text(&json!({"alg": "ES256", "typ": "JWT"}));
        let claims = text(&json!({
            "aud": "sigstore", "exp": now + 600, "iat": now, "iss": ISSUER, "sub": subject,
        }));
        // Clients pass the token on without verifying its signature.
        format!("{header}.{claims}.{}", text(&json!("signature")))
    }
}

impl State {
    fn serve(&self, request: &mut Request<'_>) -> Answer {
        let (status, body) =
            self.answer(request).unwrap_or_else(|| (400, json!({"message": "refused"})));
        // Rekor clients locate their entry by this header.
        let tag = body.as_object().and_then(|it| it.keys().next().cloned()).unwrap_or_default();
        http::json(status, &body).header("ETag", tag)
    }

    fn answer(&self, request: &mut Request<'_>) -> Option<(u16, Value)> {
        let bytes = request.body();
        let body = || serde_json::from_slice::<Value>(&bytes).ok();
        let authorization = request.header("authorization").and_then(|it| it.split_once(' '));
        let bearer = authorization.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let bearer = bearer.map(|(_, token)| token);
        match request.path() {
            "/token" => {
                let asked = request.target.ends_with("&audience=sigstore");
                let allowed = bearer == Some(TICKET);
                (asked && allowed).then(|| (200, json!({"value": Service::token(SUBJECT)})))
            }
            "/api/v2/signingCert" => self.certificate(bearer, &body()?),
            "/api/v1/log/entries" => self.entry(&body()?),
            _ => None,
        }
    }

    /// Fulcio: issues a certificate for a key that signed the subject of the token.
    fn certificate(&self, bearer: Option<&str>, body: &Value) -> Option<(u16, Value)> {
        let token = bearer.or_else(|| body["credentials"]["oidcIdentityToken"].as_str())?;
        let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        let claims: Value = serde_json::from_slice(&claims).ok()?;
        if claims["sub"] != SUBJECT || claims["iss"] != ISSUER || claims["aud"] != "sigstore" {
            return None;
        }
        let asked = &body["publicKeyRequest"];
        let key = PublicKey::from_pem(asked["publicKey"]["content"].as_str()?).ok()?;
        let proof = from_base64(asked["proofOfPossession"].as_str()?)?;
        key.verify(&sha256(SUBJECT.as_bytes()), &proof).ok()?;
        self.certificates.fetch_add(1, Ordering::Relaxed);
        let chain = [self.sigstore.certify_now(&key), self.sigstore.certificate.clone()];
        let chain = chain.map(|der| pem(&der));
        Some((200, json!({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})))
    }

    /// Rekor: creates an entry from a proposed one, in canonical form.
    fn entry(&self, proposed: &Value) -> Option<(u16, Value)> {
        let kind = proposed["kind"].as_str()?;
        let body = match kind {
            "hashedrekord" => proposed.clone(),
            "dsse" => {
                let content = &proposed["spec"]["proposedContent"];
                let text = content["envelope"].as_str()?;
                let envelope: Value = serde_json::from_str(text).ok()?;
                let signed = json!([{
                    "signature": envelope["signatures"][0]["sig"],
                    "verifier": content["verifiers"][0],
                }]);
                let payload = from_base64(envelope["payload"].as_str()?)?;
                envelope_body(text.as_bytes(), &payload, &signed)
            }
            _ => return None,
        };
        self.entries.fetch_add(1, Ordering::Relaxed);
        let now = OffsetDateTime::now_utc().unix_timestamp().unsigned_abs();
        let entry = self.sigstore.entry(kind, &body, now);
        let proof = &entry["inclusionProof"];
        let as_hex = |value: &Value| Some(hex(&from_base64(value.as_str()?)?));
        let hashes: Option<Vec<_>> = proof["hashes"].as_array()?.iter().map(as_hex).collect();
        let number = |value: &Value| value.as_str()?.parse::<u64>().ok();
        Some((
            201,
            json!({
                hex(&sha256(body.to_string().as_bytes())): {
                    "body": base64(body.to_string()),
                    "integratedTime": now,
                    "logID": as_hex(&entry["logId"]["keyId"])?,
                    "logIndex": number(&entry["logIndex"])?,
                    "verification": {
                        "inclusionProof": {
                            "checkpoint": proof["checkpoint"]["envelope"],
                            "hashes": hashes?,
                            "logIndex": number(&proof["logIndex"])?,
                            "rootHash": as_hex(&proof["rootHash"])?,
                            "treeSize": number(&proof["treeSize"])?,
                        },
                        "signedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
                    },
                },
            }),
        ))
    }
}
