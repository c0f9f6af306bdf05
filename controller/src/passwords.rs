// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Hashes of passwords: Argon2id (RFC 9106) in the form of the Password Hashing Competition, as
//! `controller api hash-password` writes it, and bcrypt, as `htpasswd -B` does.

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};

/// Bytes of salt: what the PHC string format recommends.
const SALT: usize = 16;

/// A password could not be hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    /// No random numbers to be had.
    #[error("the system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    /// It is too long, or there is no memory.
    #[error("{0}")]
    Hash(argon2::password_hash::Error),
}

/// Whether a text is a hash that [`verify()`] knows.
pub(crate) fn is_hash(text: &str) -> bool {
    argon2(text).is_some() || text.parse::<bcrypt::HashParts>().is_ok()
}

/// Whether the password is the one of the hash.
pub(crate) fn verify(password: &str, hash: &str) -> bool {
    match argon2(hash) {
        Some(hash) => Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
        None => bcrypt::verify(password, hash).unwrap_or(false),
    }
}

/// Hashes a password with the parameters that OWASP recommends (19 MiB, two passes).
pub(crate) fn hash(password: &str) -> Result<String, HashError> {
    let mut salt = [0; SALT];
    getrandom::fill(&mut salt)?;
    let salt = SaltString::encode_b64(&salt).map_err(HashError::Hash)?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(HashError::Hash)?.to_string())
}

fn argon2(text: &str) -> Option<PasswordHash<'_>> {
    let hash = PasswordHash::new(text).ok()?;
    let whole = hash.algorithm.as_str().starts_with("argon2") && hash.hash.is_some();
    whole.then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_verified() {
        for hash in [hash("right").unwrap(), bcrypt::hash("right", 4).unwrap()] {
            assert!(is_hash(&hash) && verify("right", &hash) && !verify("wrong", &hash), "{hash}");
        }
        assert_ne!(hash("right").unwrap(), hash("right").unwrap());
        for bad in ["", "right", "$argon2id$v=19$m=19456,t=2,p=1", "$1$salt$hash"] {
            assert!(!is_hash(bad) && !verify("", bad), "{bad}");
        }
    }
}
