// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Verifies bundles of identities with the crate `sigstore-verify`, as a reference. It rejects
//! bundles signed with a bare key, which have neither a log entry nor a time stamp.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::Value;
use signing::Sha256;
use sigstore_verify::trust_root::TrustedRoot;
use sigstore_verify::types::{Bundle, Sha256Hash};
use sigstore_verify::{VerificationPolicy, Verifier};

use crate::authority::{ISSUER, SUBJECT, Sigstore};

impl Sigstore {
    /// Verifies that [`SUBJECT`] signed the content with the digest `digest`.
    ///
    /// # Errors
    /// When `sigstore-verify` rejects the bundle, with its reason.
    pub fn oracle(&self, bundle: &[u8], digest: &Sha256) -> Result<(), String> {
        let root = TrustedRoot::from_json(&self.root().to_string()).unwrap();
        let text = std::str::from_utf8(bundle).map_err(|error| error.to_string())?;
        let bundle = Bundle::from_json(text).map_err(|error| error.to_string())?;
        let policy = VerificationPolicy::new(SUBJECT, ISSUER);
        let verified =
            Verifier::new(&root).unwrap().verify(Sha256Hash::new(*digest), &bundle, &policy);
        verified.map(drop).map_err(|error| error.to_string())
    }
}

/// The digest that a bundle itself names: of a file, or of the first subject of a statement.
pub fn digest_in(bundle: &[u8]) -> Sha256 {
    let bundle: Value = serde_json::from_slice(bundle).unwrap();
    let bytes = |value: &Value| BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap();
    if let Some(digest) = bundle.pointer("/messageSignature/messageDigest/digest") {
        return bytes(digest).try_into().unwrap();
    }
    let statement = bytes(&bundle["dsseEnvelope"]["payload"]);
    let statement: Value = serde_json::from_slice(&statement).unwrap();
    let digest = statement["subject"][0]["digest"]["sha256"].as_str().unwrap();
    signing::sha256_from_hex(digest).unwrap()
}
