// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! ECDSA key pairs on P-256 with SHA-256, cosign's default.
//!
//! Keys sign and verify a SHA-256 digest, so that a caller hashes an image or ISO once, as a
//! stream, for both checksum and signature. Signatures are deterministic (RFC 6979): signing the
//! same content twice gives the same bytes and needs no random numbers.

use std::fmt;

use p256::ecdsa::signature::hazmat::{PrehashSigner as _, PrehashVerifier as _};
use p256::ecdsa::{DerSignature, Signature, SigningKey, VerifyingKey};
use p256::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    LineEnding,
};
use rand_core::OsRng;
use sha2::Digest as _;
use zeroize::Zeroizing;

/// A SHA-256 digest.
pub type Sha256 = [u8; 32];

/// The SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Sha256 {
    sha2::Sha256::digest(bytes).into()
}

/// Reads 64 lower-case hex digits; `None` for anything else.
pub fn sha256_from_hex(text: &str) -> Option<Sha256> {
    base16ct::lower::decode_vec(text).ok()?.try_into().ok()
}

/// Reason why a key or a signature was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a public key in PEM, or of another algorithm.
    #[error("not a public key: expected PEM with `BEGIN PUBLIC KEY`, ECDSA on P-256 ({0})")]
    Public(String),
    /// Not a private key in PKCS #8, or of another algorithm. The message never contains the
    /// content.
    #[error("not a private key: expected PKCS #8, ECDSA on P-256")]
    Private,
    /// Signing or encoding failed; not possible for a 32 byte digest.
    #[error("the signing operation failed")]
    Sign,
    /// The signature is not one of this key over this content.
    #[error("the signature does not match content and key")]
    Mismatch,
}

/// A private key. Its memory is overwritten on drop.
#[derive(Clone)]
pub struct PrivateKey(SigningKey);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.public().hint())
    }
}

impl PrivateKey {
    /// Generates a key from the operating system's random numbers.
    pub fn generate() -> Self {
        Self(SigningKey::random(&mut OsRng))
    }

    /// Parses unencrypted PKCS #8 DER (RFC 5958).
    ///
    /// # Errors
    /// [`KeyError::Private`] for anything else.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        SigningKey::from_pkcs8_der(der).map(Self).map_err(|_| KeyError::Private)
    }

    /// PKCS #8 DER that includes the public key, as Go writes it.
    ///
    /// # Errors
    /// When encoding fails, which a valid key does not allow.
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let document = self.0.to_pkcs8_der().map_err(|_| KeyError::Sign)?;
        Ok(Zeroizing::new(document.as_bytes().to_vec()))
    }

    /// The public key.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }

    /// Signs a digest; returns a DER sequence of r and s (RFC 3279, section 2.2.3).
    ///
    /// # Errors
    /// Never for a 32 byte digest; the signature crate's API is fallible.
    pub fn sign(&self, digest: &Sha256) -> Result<Vec<u8>, KeyError> {
        let signature: Signature = self.0.sign_prehash(digest).map_err(|_| KeyError::Sign)?;
        Ok(DerSignature::from(signature).as_bytes().to_vec())
    }
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Parses PEM with a `SubjectPublicKeyInfo` (RFC 5280, section 4.1), as in `cosign.pub`.
    ///
    /// # Errors
    /// [`KeyError::Public`] for anything else.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        VerifyingKey::from_public_key_pem(text)
            .map(Self)
            .map_err(|e| KeyError::Public(e.to_string()))
    }

    /// Parses the DER of a `SubjectPublicKeyInfo`.
    ///
    /// # Errors
    /// [`KeyError::Public`] for anything else.
    pub(crate) fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        VerifyingKey::from_public_key_der(der)
            .map(Self)
            .map_err(|e| KeyError::Public(e.to_string()))
    }

    /// Encodes the key as PEM, as cosign does.
    ///
    /// # Errors
    /// When encoding fails, which a valid key does not allow.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        self.0.to_public_key_pem(LineEnding::LF).map_err(|e| KeyError::Public(e.to_string()))
    }

    /// Key hint in a bundle: base64 of the SHA-256 of the key's DER.
    pub fn hint(&self) -> String {
        // Encoding a valid key does not fail; an empty hint would match no bundle.
        let der = self.0.to_public_key_der();
        der.map_or_else(|_| String::new(), |der| crate::encoding::base64(&sha256(der.as_bytes())))
    }

    /// Verifies a signature made by [`PrivateKey::sign`] or cosign.
    ///
    /// # Errors
    /// [`KeyError::Mismatch`] when it is not a signature of this key over this digest.
    pub fn verify(&self, digest: &Sha256, signature: &[u8]) -> Result<(), KeyError> {
        let signature = Signature::from_der(signature).map_err(|_| KeyError::Mismatch)?;
        self.0.verify_prehash(digest, &signature).map_err(|_| KeyError::Mismatch)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn debug_output_holds_no_secret() {
        let key = PrivateKey::generate();
        let debug = format!("{key:?}");
        assert_eq!(debug, format!("PrivateKey({})", key.public().hint()));
    }

    #[test]
    fn a_public_key_survives_pem_and_a_wrong_one_is_refused() {
        let key = PrivateKey::generate().public();
        let pem = key.to_pem().unwrap();
        assert_eq!(PublicKey::from_pem(&pem).unwrap(), key);
        for bad in ["", "nonsense", &pem.replace("PUBLIC", "PRIVATE"), &pem[..pem.len() / 2]] {
            assert!(matches!(PublicKey::from_pem(bad), Err(KeyError::Public(_))), "{bad:?}");
        }
    }

    #[test]
    fn hex_is_read_in_one_spelling() {
        let digest = sha256(b"x");
        let hex = base16ct::lower::encode_string(&digest);
        assert_eq!(sha256_from_hex(&hex), Some(digest));
        for bad in ["", &hex[1..], &hex.to_uppercase(), &format!("+{}", &hex[1..])] {
            assert_eq!(sha256_from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn equal_content_and_key_give_equal_signatures() {
        let key = PrivateKey::generate();
        assert_eq!(key.sign(&sha256(b"x")).unwrap(), key.sign(&sha256(b"x")).unwrap());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_signed_verifies_and_a_flipped_bit_does_not(
            content in prop::collection::vec(any::<u8>(), 0..200),
            place in any::<prop::sample::Index>(),
            bit in 0_u8..8,
        ) {
            let key = PrivateKey::generate();
            let digest = sha256(&content);
            let signature = key.sign(&digest).unwrap();
            prop_assert_eq!(key.public().verify(&digest, &signature), Ok(()));

            let mut other = digest;
            other[place.index(32)] ^= 1 << bit;
            prop_assert_eq!(key.public().verify(&other, &signature), Err(KeyError::Mismatch));

            let mut broken = signature.clone();
            let index = place.index(broken.len());
            broken[index] ^= 1 << bit;
            prop_assert_eq!(key.public().verify(&digest, &broken), Err(KeyError::Mismatch));

            let stranger = PrivateKey::generate().public();
            prop_assert_eq!(stranger.verify(&digest, &signature), Err(KeyError::Mismatch));
        }

        #[test]
        fn no_bytes_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(PrivateKey::from_pkcs8(&bytes));
            drop(PublicKey::from_pem(&String::from_utf8_lossy(&bytes)));
        }
    }
}
