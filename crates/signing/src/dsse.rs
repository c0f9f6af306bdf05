// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! DSSE envelopes (Dead Simple Signing Envelope 1.0, `protocol.md`).

use serde::{Deserialize, Serialize};

use crate::encoding::base64_bytes;
use crate::key::{KeyError, PrivateKey, PublicKey, Sha256, sha256};

/// A DSSE envelope with one signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// The signed payload.
    #[serde(with = "base64_bytes")]
    pub payload: Vec<u8>,
    /// Media type of the payload, which is signed too.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    signatures: [Signature; 1],
}

/// DSSE allows several signatures, Sigstore bundles allow one. `keyid` is not authenticated, so it
/// is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    #[serde(with = "base64_bytes")]
    sig: Vec<u8>,
}

impl Envelope {
    /// Signs `payload` of type `payload_type`.
    pub fn sign(key: &PrivateKey, payload_type: &str, payload: Vec<u8>) -> Result<Self, KeyError> {
        let sig = key.sign(&digest(payload_type, &payload))?;
        let payload_type = payload_type.to_owned();
        Ok(Self { payload, payload_type, signatures: [Signature { sig }] })
    }

    /// The signature over type and payload, DER.
    pub(crate) fn signature(&self) -> &[u8] {
        let [signature] = &self.signatures;
        &signature.sig
    }

    /// Verifies the signature over type and payload.
    ///
    /// # Errors
    /// [`KeyError::Mismatch`] when `key` did not sign this type and payload.
    pub fn verify(&self, key: &PublicKey) -> Result<(), KeyError> {
        key.verify(&digest(&self.payload_type, &self.payload), self.signature())
    }
}

/// The SHA-256 of the pre-authentication encoding.
fn digest(payload_type: &str, payload: &[u8]) -> Sha256 {
    sha256(&pre_authentication_encoding(payload_type, payload))
}

/// The pre-authentication encoding. It contains both lengths, so that bytes cannot move between
/// type and payload.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let header = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [header.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_encoding_is_the_specifications_example() {
        assert_eq!(
            pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn the_type_is_signed_too() {
        let key = PrivateKey::generate();
        let mut envelope = Envelope::sign(&key, "a", b"b".to_vec()).unwrap();
        envelope.verify(&key.public()).unwrap();
        envelope.payload_type = "c".to_owned();
        assert_eq!(envelope.verify(&key.public()), Err(KeyError::Mismatch));
    }
}
