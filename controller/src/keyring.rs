// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Encryption of secrets in the database: XChaCha20-Poly1305 with a key from a file.
//!
//! The facts of its row are the associated data of each ciphertext, so moving it to another row or
//! changing its row needs the key. The key's id is stored beside the ciphertext; key rotation
//! selects rows by it.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use crate::secret::Secret;

/// Minimum size of a key file, in bytes: the cipher's key size.
const SHORTEST: usize = 32;
/// Nonce size in bytes, large enough for random nonces (draft-irtf-cfrg-xchacha-03, section 1).
const NONCE: usize = 24;
/// Size of a key id in bytes.
const ID: usize = 8;

/// Why a secret cannot be encrypted or decrypted.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyError {
    /// The key file is too short.
    #[error(
        "expected a key of at least {SHORTEST} bytes, for example from `openssl rand -base64 48`"
    )]
    Short,
    /// The secret was encrypted with a key that is not configured.
    #[error("it is encrypted with key {id}, and {}", describe_configured(.known))]
    Unknown {
        /// Id of that key.
        id: String,
        /// Ids of the configured keys.
        known: Vec<String>,
    },
    /// Authentication failed: the ciphertext or its row was changed.
    #[error("key {0} does not decrypt it: the row was changed without the key")]
    Damaged(String),
    /// The operating system provides no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(getrandom::Error),
}

fn describe_configured(ids: &[String]) -> String {
    if ids.is_empty() {
        "no storage.key is configured".to_owned()
    } else {
        format!("the configured keys are {}", ids.join(", "))
    }
}

/// A key with its id.
pub struct Key {
    id: String,
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.id).finish()
    }
}

impl Key {
    /// Derives a key from the content of a file. Surrounding white space is ignored.
    ///
    /// # Errors
    /// If the content is too short.
    pub fn new(content: &[u8]) -> Result<Self, KeyError> {
        let content = content.trim_ascii();
        if content.len() < SHORTEST {
            return Err(KeyError::Short);
        }
        let derive = |purpose: &str| {
            // HMAC accepts keys of any length.
            let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(content);
            let mac = mac.map_err(|_| KeyError::Short)?;
            Ok(mac.chain_update(purpose).finalize().into_bytes())
        };
        let id = derive("provisioner storage key id 1")?;
        let id: [u8; ID] = std::array::from_fn(|at| id.get(at).copied().unwrap_or_default());
        let id = format!("{:016x}", u64::from_be_bytes(id));
        let cipher = XChaCha20Poly1305::new(&derive("provisioner storage encryption 1")?);
        Ok(Self { id, cipher })
    }
}

/// A secret as stored in the database.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Id of the key; None: plain text.
    pub key: Option<String>,
    /// Nonce and ciphertext in base64, or plain text.
    pub text: String,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The configured keys.
#[derive(Debug, Default)]
pub struct Keyring {
    current: Option<Key>,
    old: Vec<Key>,
}

impl Keyring {
    /// `current` encrypts and decrypts; `old` keys only decrypt. Without `current`, secrets are
    /// stored as plain text.
    pub fn new(current: Option<Key>, old: Vec<Key>) -> Self {
        Self { current, old }
    }

    /// Returns the id of the encryption key. None: secrets are stored as plain text.
    pub fn current_id(&self) -> Option<&str> {
        self.current.as_ref().map(|key| key.id.as_str())
    }

    /// Encrypts a secret with `facts` as associated data.
    ///
    /// # Errors
    /// If the operating system provides no random bytes.
    pub fn seal(&self, secret: &Secret, facts: &[&str]) -> Result<Sealed, KeyError> {
        let Some(key) = &self.current else {
            return Ok(Sealed { key: None, text: secret.expose().to_owned() });
        };
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(KeyError::Random)?;
        let facts = encode_associated(facts);
        let payload = Payload { msg: secret.expose().as_bytes(), aad: &facts };
        let sealed = key.cipher.encrypt(XNonce::from_slice(&nonce), payload);
        let sealed = sealed.map_err(|_| KeyError::Damaged(key.id.clone()))?;
        let text = BASE64_STANDARD_NO_PAD.encode([&nonce[..], &sealed].concat());
        Ok(Sealed { key: Some(key.id.clone()), text })
    }

    /// Decrypts a secret that was encrypted with the same `facts`.
    ///
    /// # Errors
    /// If the key is not configured, or the ciphertext or the facts were changed.
    pub fn open(&self, sealed: &Sealed, facts: &[&str]) -> Result<Secret, KeyError> {
        let Some(id) = &sealed.key else { return Ok(Secret::new(sealed.text.clone())) };
        let mut keys = self.current.iter().chain(&self.old);
        let key = keys.find(|key| key.id == *id).ok_or_else(|| KeyError::Unknown {
            id: id.clone(),
            known: self.current.iter().chain(&self.old).map(|key| key.id.clone()).collect(),
        })?;
        let damaged = || KeyError::Damaged(id.clone());
        let bytes = BASE64_STANDARD_NO_PAD.decode(&sealed.text).map_err(|_| damaged())?;
        let (nonce, text) = bytes.split_at_checked(NONCE).ok_or_else(damaged)?;
        let facts = encode_associated(facts);
        let payload = Payload { msg: text, aad: &facts };
        let secret = key.cipher.decrypt(XNonce::from_slice(nonce), payload);
        let secret = String::from_utf8(secret.map_err(|_| damaged())?);
        secret.map(Secret::new).map_err(|_| damaged())
    }
}

/// Prefixes each fact with its length, so that different lists have different bytes.
fn encode_associated(facts: &[&str]) -> Vec<u8> {
    let mut bytes = b"provisioner sealed 1".to_vec();
    for fact in facts {
        bytes.extend((fact.len() as u64).to_le_bytes());
        bytes.extend(fact.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(letter: &str) -> Key {
        Key::new(letter.repeat(SHORTEST).as_bytes()).unwrap()
    }

    #[test]
    fn a_secret_is_bound_to_its_key_and_its_facts() {
        let keys = Keyring::new(Some(key("a")), Vec::new());
        let secret = Secret::new("of the BMC");
        let sealed = keys.seal(&secret, &["S1", "x"]).unwrap();
        assert!(!sealed.text.contains("BMC") && !format!("{keys:?}{sealed:?}").contains("BMC"));
        assert_ne!(sealed, keys.seal(&secret, &["S1", "x"]).unwrap());
        assert_eq!(keys.open(&sealed, &["S1", "x"]).unwrap(), secret);
        for other in [&["S2", "x"][..], &["S1x", ""], &["S1"], &["S1", "x", ""]] {
            let refused = keys.open(&sealed, other);
            assert!(matches!(refused, Err(KeyError::Damaged(_))), "{other:?}");
        }
        let mut cut = sealed.clone();
        cut.text.truncate(20);
        assert!(matches!(keys.open(&cut, &["S1", "x"]), Err(KeyError::Damaged(_))));
        let none = Keyring::default().open(&sealed, &["S1", "x"]).unwrap_err().to_string();
        assert!(none.contains("no storage.key is configured"), "{none}");
        let wrong = Keyring::new(Some(key("b")), Vec::new());
        let error = wrong.open(&sealed, &["S1", "x"]).unwrap_err().to_string();
        assert!(error.contains(keys.current_id().unwrap()), "{error}");
        assert!(error.contains(wrong.current_id().unwrap()), "{error}");
        let both = Keyring::new(Some(key("b")), vec![key("a")]);
        assert_eq!(both.open(&sealed, &["S1", "x"]).unwrap(), secret);
    }

    #[test]
    fn short_keys_are_refused_and_line_ends_ignored() {
        assert!(Key::new(&[7; SHORTEST - 1]).is_err());
        let line = format!("{}\n", "a".repeat(SHORTEST));
        assert_eq!(Key::new(line.as_bytes()).unwrap().id, key("a").id);
        assert_eq!(key("a").id.len(), 2 * ID);
    }

    #[test]
    fn without_a_key_secrets_stay_plain_text() {
        let keys = Keyring::default();
        let sealed = keys.seal(&Secret::new("plain"), &["S1"]).unwrap();
        assert_eq!(sealed, Sealed { key: None, text: "plain".to_owned() });
        let with_key = Keyring::new(Some(key("a")), Vec::new());
        assert_eq!(with_key.open(&sealed, &["S1"]).unwrap().expose(), "plain");
    }
}
