// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Private key files of cosign, encrypted with a password.
//!
//! PEM around a JSON document: scrypt (RFC 7914) derives a key from the password, and `NaCl`
//! `secretbox` (XSalsa20-Poly1305) encrypts the PKCS #8 DER with it. Sources:
//! `go-securesystemslib/encrypted` for the format, `cosign/pkg/cosign/keys.go` for the PEM labels.

use crypto_secretbox::aead::{Aead as _, KeyInit as _};
use crypto_secretbox::{Nonce, XSalsa20Poly1305};
use p256::pkcs8::LineEnding;
use rand_core::{OsRng, RngCore as _};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::encoding::base64_bytes;
use crate::key::{KeyError, PrivateKey};

/// PEM label that cosign writes since 2.0.
const LABEL: &str = "ENCRYPTED SIGSTORE PRIVATE KEY";
/// PEM label of older cosign versions, still read.
const OLD_LABEL: &str = "ENCRYPTED COSIGN PRIVATE KEY";

/// scrypt cost used for new files, as in cosign: 2^16 rounds, 64 MiB of memory.
const COST: Cost = Cost { n: 1 << 16, r: 8, p: 1 };
/// scrypt costs accepted from a file: at most 256 MiB of memory, and not so cheap that the password
/// can be guessed.
const ACCEPTED_N: std::ops::RangeInclusive<u32> = 1 << 14..=1 << 18;

/// Bytes of salt, as in cosign.
const SALT: usize = 32;
/// Bytes of a secretbox nonce.
const NONCE: usize = 24;

/// Reason why a key file could not be read or written. No message contains the password or the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Not PEM, or another PEM label.
    #[error("not a cosign key file: expected PEM with `BEGIN {LABEL}`: {0}")]
    Pem(String),
    /// The JSON document is malformed.
    #[error("the key file's content is malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// Unsupported key derivation, cipher or cost.
    #[error(
        "the key file uses {0}; expected scrypt with N from 2^14 to 2^18, r=8, p=1, and nacl/secretbox"
    )]
    Unsupported(String),
    /// Wrong password, or a modified file. Authenticated encryption can't distinguish the two.
    #[error("wrong password for the key file, or the file is damaged")]
    Password,
    /// The decrypted content is not a key of the expected algorithm.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Encryption or the operating system's random numbers failed.
    #[error("the key could not be encrypted")]
    Encrypt,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    kdf: Kdf,
    cipher: Cipher,
    #[serde(with = "base64_bytes")]
    ciphertext: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf {
    name: String,
    params: Cost,
    #[serde(with = "base64_bytes")]
    salt: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cost {
    #[serde(rename = "N")]
    n: u32,
    r: u32,
    p: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Cipher {
    name: String,
    #[serde(with = "base64_bytes")]
    nonce: Vec<u8>,
}

/// Encrypts `key` with `password`, which may be empty; returns the text of a `cosign.key`.
///
/// # Errors
/// When the operating system provides no random numbers.
pub fn encrypt(key: &PrivateKey, password: &[u8]) -> Result<String, KeyFileError> {
    let mut salt = vec![0; SALT];
    let mut nonce = vec![0; NONCE];
    OsRng.try_fill_bytes(&mut salt).map_err(|_| KeyFileError::Encrypt)?;
    OsRng.try_fill_bytes(&mut nonce).map_err(|_| KeyFileError::Encrypt)?;
    let ciphertext = secretbox(password, &salt, &COST)?
        .encrypt(Nonce::from_slice(&nonce), key.to_pkcs8()?.as_slice())
        .map_err(|_| KeyFileError::Encrypt)?;
    let document = Document {
        kdf: Kdf { name: "scrypt".to_owned(), params: COST, salt },
        cipher: Cipher { name: "nacl/secretbox".to_owned(), nonce },
        ciphertext,
    };
    let json = serde_json::to_vec(&document)?;
    pem_rfc7468::encode_string(LABEL, LineEnding::LF, &json)
        .map_err(|e| KeyFileError::Pem(e.to_string()))
}

/// Decrypts the text of a `cosign.key`.
///
/// # Errors
/// When the text is not a key file, or the password is wrong.
pub fn decrypt(text: &str, password: &[u8]) -> Result<PrivateKey, KeyFileError> {
    let (label, json) =
        pem_rfc7468::decode_vec(text.as_bytes()).map_err(|e| KeyFileError::Pem(e.to_string()))?;
    if label != LABEL && label != OLD_LABEL {
        return Err(KeyFileError::Pem(format!("found `{label}`")));
    }
    let Document { kdf, cipher, ciphertext } = serde_json::from_slice(&json)?;
    if kdf.name != "scrypt" || cipher.name != "nacl/secretbox" {
        return Err(KeyFileError::Unsupported(format!("{:?} and {:?}", kdf.name, cipher.name)));
    }
    if cipher.nonce.len() != NONCE {
        return Err(KeyFileError::Unsupported(format!("a nonce of {} bytes", cipher.nonce.len())));
    }
    let der = secretbox(password, &kdf.salt, &kdf.params)?
        .decrypt(Nonce::from_slice(&cipher.nonce), ciphertext.as_slice())
        .map_err(|_| KeyFileError::Password)?;
    Ok(PrivateKey::from_pkcs8(&Zeroizing::new(der))?)
}

/// Creates the cipher with the key that scrypt derives from the password.
fn secretbox(password: &[u8], salt: &[u8], cost: &Cost) -> Result<XSalsa20Poly1305, KeyFileError> {
    let unsupported =
        || KeyFileError::Unsupported(format!("N={}, r={}, p={}", cost.n, cost.r, cost.p));
    if !cost.n.is_power_of_two() || !ACCEPTED_N.contains(&cost.n) || (cost.r, cost.p) != (8, 1) {
        return Err(unsupported());
    }
    // At most 18, so the conversion succeeds.
    let log_n = u8::try_from(cost.n.ilog2()).map_err(|_| unsupported())?;
    let mut key = Zeroizing::new([0; 32]);
    let params =
        scrypt::Params::new(log_n, cost.r, cost.p, key.len()).map_err(|_| unsupported())?;
    scrypt::scrypt(password, salt, &params, key.as_mut()).map_err(|_| KeyFileError::Encrypt)?;
    Ok(XSalsa20Poly1305::new((&*key).into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(text: &str) -> serde_json::Value {
        serde_json::from_slice(&pem_rfc7468::decode_vec(text.as_bytes()).unwrap().1).unwrap()
    }

    fn file(label: &str, content: &serde_json::Value) -> String {
        pem_rfc7468::encode_string(label, LineEnding::LF, content.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_key_opens_with_its_password_alone_whatever_the_label() {
        let key = PrivateKey::generate();
        for password in ["", "correct horse"] {
            let text = encrypt(&key, password.as_bytes()).unwrap();
            assert_eq!(decrypt(&text, password.as_bytes()).unwrap().public(), key.public());
            let old = file(OLD_LABEL, &content(&text));
            assert_eq!(decrypt(&old, password.as_bytes()).unwrap().public(), key.public());
            assert!(matches!(decrypt(&text, b"wrong"), Err(KeyFileError::Password)));
        }
    }

    #[test]
    fn the_form_is_cosigns() {
        let text = encrypt(&PrivateKey::generate(), b"").unwrap();
        assert!(text.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n"), "{text}");
        let content = content(&text);
        assert_eq!(content["kdf"]["name"], "scrypt");
        assert_eq!(content["kdf"]["params"], serde_json::json!({"N": 65536, "r": 8, "p": 1}));
        assert_eq!(content["cipher"]["name"], "nacl/secretbox");
    }

    #[test]
    fn other_algorithms_and_costs_are_refused_before_any_work() {
        let good = content(&encrypt(&PrivateKey::generate(), b"").unwrap());
        let changes: [(&str, serde_json::Value); 7] = [
            ("/kdf/name", "argon2".into()),
            ("/kdf/params/N", (1_u32 << 30).into()),
            ("/kdf/params/N", 65_537.into()),
            ("/kdf/params/r", 1024.into()),
            ("/kdf/params/p", 1000.into()),
            ("/cipher/name", "none".into()),
            ("/cipher/nonce", "AAAA".into()),
        ];
        for (place, value) in changes {
            let mut bad = good.clone();
            *bad.pointer_mut(place).unwrap() = value;
            let error = decrypt(&file(LABEL, &bad), b"").unwrap_err();
            assert!(matches!(error, KeyFileError::Unsupported(_)), "{place}: {error}");
        }
    }

    #[test]
    fn every_part_of_the_ciphertext_counts() {
        let text = encrypt(&PrivateKey::generate(), b"").unwrap();
        for place in ["/kdf/salt", "/cipher/nonce", "/ciphertext"] {
            let mut bad = content(&text);
            let value = bad.pointer_mut(place).unwrap();
            let flipped: String = value
                .as_str()
                .unwrap()
                .char_indices()
                .map(|(n, c)| if n == 5 { if c == 'A' { 'B' } else { 'A' } } else { c })
                .collect();
            *value = flipped.into();
            let error = decrypt(&file(LABEL, &bad), b"").unwrap_err();
            assert!(matches!(error, KeyFileError::Password), "{place}: {error}");
        }
    }

    #[test]
    fn a_plain_private_key_is_not_taken_for_a_key_file() {
        let der = PrivateKey::generate().to_pkcs8().unwrap();
        let plain = pem_rfc7468::encode_string("PRIVATE KEY", LineEnding::LF, &der).unwrap();
        let error = decrypt(&plain, b"").unwrap_err();
        assert!(error.to_string().contains("`PRIVATE KEY`"), "{error}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(json in ".{0,300}", text in ".{0,300}") {
            drop(decrypt(&text, b""));
            let pem = pem_rfc7468::encode_string(LABEL, LineEnding::LF, json.as_bytes()).unwrap();
            drop(decrypt(&pem, b""));
        }
    }
}
