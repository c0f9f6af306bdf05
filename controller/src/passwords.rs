// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Password hashes: Argon2id (RFC 9106) in PHC string format, as written by `controller api
//! hash-password`, and bcrypt, as written by `htpasswd -B`.

use std::sync::{Mutex, PoisonError};

use argon2::password_hash::{Output, PasswordHash, PasswordHasher as _, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};

/// Salt size in bytes, as recommended for the PHC string format.
const SALT: usize = 16;

/// A password could not be hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    /// The operating system provides no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(#[from] getrandom::Error),
    /// The password is too long, or memory is exhausted.
    #[error("{0}")]
    Hash(argon2::password_hash::Error),
}

/// Returns whether [`verify()`] supports this hash.
pub(crate) fn is_hash(text: &str) -> bool {
    argon2(text).is_some() || text.parse::<bcrypt::HashParts>().is_ok()
}

/// Checks a password against a hash.
pub(crate) fn verify(password: &str, hash: &str) -> bool {
    match argon2(hash) {
        Some(hash) => verify_argon2(password, &hash).unwrap_or(false),
        None => bcrypt::verify(password, hash).unwrap_or(false),
    }
}

/// Memory of finished checks, for reuse. A check takes 19 MiB. If each check allocated it on its
/// own thread, the allocator would keep it in that thread's arena, and guesses would grow the
/// process by hundreds of MiB.
static MEMORY: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

/// Checks a password against an Argon2 hash; None if its parameters are invalid.
fn verify_argon2(password: &str, hash: &PasswordHash<'_>) -> Option<bool> {
    let (expected, salt) = (hash.hash?, hash.salt?);
    let algorithm = Algorithm::try_from(hash.algorithm).ok()?;
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
    let argon2 = Argon2::new(algorithm, version, Params::try_from(hash).ok()?);
    let mut bytes = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut bytes).ok()?;
    let mut found = vec![0; expected.len()];
    let pool = || MEMORY.lock().unwrap_or_else(PoisonError::into_inner);
    let mut memory = pool().pop().unwrap_or_default();
    memory.resize(argon2.params().block_count(), Block::default());
    let password = password.as_bytes();
    let hashed = argon2.hash_password_into_with_memory(password, salt, &mut found, &mut memory);
    pool().push(memory);
    hashed.ok()?;
    // `Output` compares in constant time.
    Some(Output::new(&found).ok()? == expected)
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
    fn the_memory_of_a_check_is_used_again() {
        let hash = hash("right").unwrap();
        // Different parameters with the same, dirty memory.
        let small = Params::new(64, 1, 1, None).unwrap();
        let small = Argon2::new(Algorithm::Argon2id, Version::V0x13, small);
        let salt = SaltString::encode_b64(&[7; SALT]).unwrap();
        let small = small.hash_password(b"right", &salt).unwrap().to_string();
        for _ in 0..2 {
            for hash in [&hash, &small] {
                assert!(verify("right", hash) && !verify("wrong", hash), "{hash}");
            }
        }
        assert!(!MEMORY.lock().unwrap().is_empty());
    }

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
