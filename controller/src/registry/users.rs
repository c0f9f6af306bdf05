// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Users and their passwords: an htpasswd file with bcrypt (`htpasswd -B`) or Argon2 hashes.
//!
//! These hashes are slow by design, and clients send the password with every request. So a password
//! that was right is cached for some minutes, as a keyed hash.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use crate::passwords;

/// How long a verified password is cached.
const REMEMBERED: Duration = Duration::from_mins(5);
/// Maximum length of a user name, in bytes.
const LONGEST_NAME: usize = 255;
/// Maximum number of cached passwords.
const MOST_REMEMBERED: usize = 1024;
/// Compared with the password of an unknown user if no user exists, so that response times do not
/// reveal which users exist. bcrypt, cost 10, of a random text.
const NOBODY: &str = "$2b$10$abcdefghijklmnopqrstuuXTLVkOGCDVDqt0rCk4rDBuyQPoBYmRu";

/// Why an htpasswd file is invalid.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The file cannot be read.
    #[error("{0}")]
    Read(#[from] io::Error),
    /// A line has no colon, or no name before it.
    #[error("line {0}: expected NAME:HASH, as `htpasswd -B` writes it")]
    Form(usize),
    /// Unsupported kind of hash.
    #[error(
        "line {0}: the hash is neither bcrypt nor Argon2: create it with `htpasswd -B` or `controller api hash-password`"
    )]
    Hash(usize),
    /// A user name occurs twice.
    #[error("line {0}: duplicate user {1:?}")]
    Twice(usize, String),
    /// The operating system provides no random bytes.
    #[error("no random bytes from the operating system: {0}")]
    Random(getrandom::Error),
}

/// Users of the registry.
pub struct Users {
    hashes: HashMap<String, String>,
    key: [u8; 32],
    remembered: Mutex<HashMap<[u8; 32], Instant>>,
}

/// Credentials in an `Authorization` header.
#[derive(PartialEq, Eq)]
pub enum Credentials {
    /// No header, or an empty name and password, which some clients send instead.
    None,
    /// User name and password.
    Basic {
        /// User name.
        user: String,
        /// Password.
        password: String,
    },
    /// Unsupported or malformed.
    Malformed,
}

impl Credentials {
    /// Parses `Authorization` (RFC 7617).
    pub fn parse(header: Option<&[u8]>) -> Self {
        let Some(header) = header else { return Self::None };
        let decoded = std::str::from_utf8(header)
            .ok()
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
            .and_then(|(_, token)| BASE64_STANDARD.decode(token.trim()).ok())
            .and_then(|bytes| String::from_utf8(bytes).ok());
        match decoded.as_deref().and_then(|text| text.split_once(':')) {
            Some(("", "")) => Self::None,
            Some((user, password)) => {
                Self::Basic { user: user.to_owned(), password: password.to_owned() }
            }
            None => Self::Malformed,
        }
    }
}

impl Users {
    /// Reads an htpasswd file.
    ///
    /// # Errors
    /// If the file cannot be read, or a line is malformed.
    pub fn read(path: &Path) -> Result<Self, UsersError> {
        Self::parse(&fs::read_to_string(path)?)
    }

    /// Parses the text of an htpasswd file.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        let mut hashes = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, hash) = line.split_once(':').ok_or(UsersError::Form(number))?;
            if !(1..=LONGEST_NAME).contains(&name.len()) {
                return Err(UsersError::Form(number));
            }
            if !passwords::is_hash(hash) {
                return Err(UsersError::Hash(number));
            }
            if hashes.insert(name.to_owned(), hash.to_owned()).is_some() {
                return Err(UsersError::Twice(number, name.to_owned()));
            }
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(UsersError::Random)?;
        Ok(Self { hashes, key, remembered: Mutex::default() })
    }

    /// Returns whether the user exists.
    pub fn contains(&self, user: &str) -> bool {
        self.hashes.contains_key(user)
    }

    /// Returns whether the password is cached as right. Fast, so async code may call it.
    pub fn has_cached(&self, user: &str, password: &str) -> bool {
        let entry = self.entry(user, password);
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(&entry).is_some_and(|since| since.elapsed() < REMEMBERED)
    }

    /// Verifies a password. Takes about 100 ms of CPU time.
    pub fn verify(&self, user: &str, password: &str) -> bool {
        // For an unknown user, any user's hash: it takes equally long.
        let hash = self.hashes.get(user).or_else(|| self.hashes.values().next());
        let hash = hash.map_or(NOBODY, String::as_str);
        let right = passwords::verify(password, hash) && self.contains(user);
        if right {
            let entry = self.entry(user, password);
            let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            if remembered.len() >= MOST_REMEMBERED {
                remembered.clear();
            }
            remembered.insert(entry, Instant::now());
        }
        right
    }

    /// Cache key. Each part has a fixed length or is hashed with its length, so that different
    /// pairs differ.
    fn entry(&self, user: &str, password: &str) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        hasher.update((user.len() as u64).to_le_bytes());
        hasher.update(user);
        hasher.update(password);
        hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(user: &str, password: &str) -> String {
        format!("{user}:{}\n", bcrypt::hash(password, 4).unwrap())
    }

    #[test]
    fn the_right_password_is_right_and_remembered() {
        let users = Users::parse(&format!("# comment\n\n{}", line("ci", "correct"))).unwrap();
        assert!(!users.has_cached("ci", "correct"));
        assert!(users.verify("ci", "correct"));
        assert!(users.has_cached("ci", "correct"));
        assert!(!users.verify("ci", "wrong"));
        assert!(!users.has_cached("ci", "wrong"));
        assert!(!users.verify("nobody", "correct"));
    }

    #[test]
    fn the_hash_for_unknown_users_is_valid() {
        // A hash that cannot be parsed would fail at once, which reveals that the user does not
        // exist.
        assert_eq!(bcrypt::verify("anything", NOBODY).ok(), Some(false));
    }

    #[test]
    fn a_bad_line_is_reported_by_its_number() {
        let twice = line("a", "1") + &line("a", "2");
        for (text, expected) in [
            ("\nnocolon\n", "line 2: expected NAME"),
            (":x\n", "line 1: expected NAME"),
            (
                "a:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n",
                "line 1: the hash is neither bcrypt nor Argon2",
            ),
            (twice.as_str(), "line 2: duplicate user \"a\""),
        ] {
            let message = Users::parse(text).err().unwrap().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }

    #[test]
    fn headers_are_read() {
        let parse = |text: &str| Credentials::parse(Some(text.as_bytes()));
        let basic = |text: &str| parse(&format!("Basic {}", BASE64_STANDARD.encode(text)));
        assert!(Credentials::parse(None) == Credentials::None);
        assert!(basic(":") == Credentials::None);
        let expected = Credentials::Basic { user: "u".to_owned(), password: "p:q".to_owned() };
        assert!(basic("u:p:q") == expected);
        for bad in ["Bearer x", "Basic", "Basic !", "", "basic \u{7f}"] {
            assert!(parse(bad) == Credentials::Malformed, "{bad}");
        }
    }
}
