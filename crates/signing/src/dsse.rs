// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Signed envelopes around a typed payload (Dead Simple Signing Envelope 1.0, "protocol.md").

use serde::{Deserialize, Serialize};

use crate::encoding::base64_bytes;
use crate::key::{KeyError, PrivateKey, PublicKey, Sha256, sha256};

/// A payload with its type and its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// What was signed.
    #[serde(with = "base64_bytes")]
    pub payload: Vec<u8>,
    /// How to read it; signed with it.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    signatures: [Signature; 1],
}

/// The format allows several, the bundle allows one. `keyid` is not authenticated, so nobody gets to
/// write one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    #[serde(with = "base64_bytes")]
    sig: Vec<u8>,
}

impl Envelope {
    /// Signs `payload` as a content of the type `payload_type`.
    ///
    /// # Errors
    /// As [`PrivateKey::sign`].
    pub fn sign(key: &PrivateKey, payload_type: &str, payload: Vec<u8>) -> Result<Self, KeyError> {
        let sig = key.sign(&digest(payload_type, &payload))?;
        let payload_type = payload_type.to_owned();
        Ok(Self { payload, payload_type, signatures: [Signature { sig }] })
    }

    /// The signature over payload and type, DER.
    pub(crate) fn signature(&self) -> &[u8] {
        let [signature] = &self.signatures;
        &signature.sig
    }

    /// Checks the signature over payload and type.
    ///
    /// # Errors
    /// [`KeyError::Mismatch`] when `key` did not sign exactly these.
    pub fn verify(&self, key: &PublicKey) -> Result<(), KeyError> {
        key.verify(&digest(&self.payload_type, &self.payload), self.signature())
    }
}

/// The SHA-256 of the pre-authentication encoding.
fn digest(payload_type: &str, payload: &[u8]) -> Sha256 {
    sha256(&pre_authentication_encoding(payload_type, payload))
}

/// What is signed: type and payload, each with its length, so that neither can grow into the other.
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
