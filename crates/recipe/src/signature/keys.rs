// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Ed25519 keys as `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` write them (PEM
//! of RFC 7468 around the structures of RFC 8410). Their encoding has one form, so it is compared,
//! not parsed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{SigningKey, VerifyingKey};

/// `SubjectPublicKeyInfo` up to the 32 bytes of the key (RFC 8410, section 4).
const PUBLIC_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// `PrivateKeyInfo` version 1 up to the 32 bytes of the seed (RFC 8410, section 7).
const PRIVATE_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A file without a usable key. The error never repeats its contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No public key, or an invalid one.
    #[error("expected Ed25519 public keys in PEM, as `openssl pkey -pubout` writes them")]
    Public,
    /// No private key.
    #[error(
        "expected one Ed25519 private key in PEM, as `openssl genpkey -algorithm ed25519` writes it"
    )]
    Private,
}

/// The controller keys that an image trusts: more than one during a rotation.
#[derive(Clone, Debug)]
pub struct PublicKeys(Vec<VerifyingKey>);

impl PublicKeys {
    /// Reads one or more public keys. Text outside PEM blocks is ignored.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let keys: Option<Vec<_>> = blocks(pem, "PUBLIC KEY").map(|der| public_key(&der?)).collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self(keys)),
            _ => Err(KeyError::Public),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.iter()
    }
}

/// Reads the controller's private key.
pub fn signing_key_from_pem(pem: &str) -> Result<SigningKey, KeyError> {
    let mut keys = blocks(pem, "PRIVATE KEY");
    let (Some(Some(der)), None) = (keys.next(), keys.next()) else {
        return Err(KeyError::Private);
    };
    let seed = der.strip_prefix(&PRIVATE_PREFIX).and_then(|seed| seed.try_into().ok());
    seed.map(SigningKey::from_bytes).ok_or(KeyError::Private)
}

/// The public key of `key`, for the maintenance image.
pub fn public_key_pem(key: &SigningKey) -> String {
    let der = [&PUBLIC_PREFIX[..], key.verifying_key().as_bytes()].concat();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
}

fn public_key(der: &[u8]) -> Option<VerifyingKey> {
    let key: &[u8; 32] = der.strip_prefix(&PUBLIC_PREFIX)?.try_into().ok()?;
    VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak())
}

/// The contents of each PEM block with this label; `None` for one that is not base64 or has no end.
fn blocks<'a>(pem: &'a str, label: &str) -> impl Iterator<Item = Option<Vec<u8>>> + 'a {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut rest = pem;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&begin)?;
        let Some((body, after)) = after.split_once(&end) else {
            rest = "";
            return Some(None);
        };
        rest = after;
        let body: String = body.split_ascii_whitespace().collect();
        Some(STANDARD.decode(body).ok())
    })
}
