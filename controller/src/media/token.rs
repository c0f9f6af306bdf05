// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Signatures of media URLs: HMAC-SHA256, in base64url.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use oci::Digest;
use sha2::Sha256;

use super::content::Content;
use super::image::Image;
use crate::durable::{self, FileError, WithPath as _, absent_is_none};

/// Key size in bytes: the output size of the hash, as RFC 2104, section 3 advises.
const KEY: usize = 32;

/// Converts to seconds since 1970; earlier times have expired anyway.
pub(super) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The signing key.
pub(super) struct Key(Hmac<Sha256>);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// Loads or creates the key in `path`, so that URLs are valid across restarts.
    pub(super) fn load_or_create(path: &Path) -> Result<Self, FileError> {
        let found = absent_is_none(fs::read(path)).at("read", path)?;
        let bytes = found.map_or_else(|| create_key(path), Ok)?;
        if bytes.len() < KEY {
            let message = format!("{} bytes, expected {KEY}: remove it for a new one", bytes.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message)).at("read", path);
        }
        Self::new(&bytes).map_err(io::Error::other).at("read", path)
    }

    fn new(bytes: &[u8]) -> Result<Self, hmac::digest::InvalidLength> {
        Hmac::new_from_slice(bytes).map(Self)
    }

    /// Returns the token of a URL. `expires` is in seconds since 1970.
    pub(super) fn sign(&self, content: &Content, expires: u64, digest: &Digest) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.mac(content, expires, digest).finalize().into_bytes())
    }

    /// Verifies a token in constant time.
    pub(super) fn verify(
        &self,
        token: &str,
        content: &Content,
        expires: u64,
        digest: &Digest,
    ) -> bool {
        let Ok(token) = BASE64_URL_SAFE_NO_PAD.decode(token) else { return false };
        self.mac(content, expires, digest).verify_slice(&token).is_ok()
    }

    /// Names contain no line feed, so different URLs have different inputs.
    fn mac(&self, content: &Content, expires: u64, digest: &Digest) -> Hmac<Sha256> {
        let name = |image: &Image| match image {
            Image::Task(job) => format!("task\n{job}"),
            Image::Static(name) => format!("static\n{name}"),
            Image::Firmware(name) => format!("firmware\n{name}"),
        };
        let name = match content {
            Content::One(image) => name(image),
            Content::Combined { boot, task } => {
                format!("combined\n{}\n{}", name(boot), name(task))
            }
        };
        let facts = format!("provisioner media 1\n{name}\n{expires}\n{digest}\n");
        self.0.clone().chain_update(facts)
    }
}

fn create_key(path: &Path) -> Result<Vec<u8>, FileError> {
    let mut bytes = vec![0; KEY];
    getrandom::fill(&mut bytes).map_err(io::Error::other).at("make", path)?;
    durable::write_private(path, &bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_valid_for_one_url_only() {
        let key = Key::new(&[7; KEY]).unwrap();
        let task = |job| Content::One(Image::task(job).unwrap());
        let image = task("job-1");
        let one = Digest::sha256(b"1");
        let token = key.sign(&image, 1000, &one);
        assert_eq!(token.len(), 43);
        assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')));
        assert!(key.verify(&token, &image, 1000, &one));
        assert!(!key.verify(&token, &image, 1001, &one));
        assert!(!key.verify(&token, &image, 1000, &Digest::sha256(b"2")));
        assert!(!key.verify(&token, &task("job-2"), 1000, &one));
        let fixed = Image::from_name("job-1.iso").unwrap();
        assert!(!key.verify(&token, &Content::One(fixed.clone()), 1000, &one));
        let both = Content::Combined { boot: fixed, task: Image::task("job-1").unwrap() };
        assert!(!key.verify(&token, &both, 1000, &one));
        assert!(!Key::new(&[8; KEY]).unwrap().verify(&token, &image, 1000, &one));
        let cut = token.get(..42).unwrap();
        for wrong in ["", "x", cut, "ä", "!", &format!("{token}=")] {
            assert!(!key.verify(wrong, &image, 1000, &one), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_created_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let image = Content::One(Image::task("a").unwrap());
        let content = Digest::sha256(b"");
        let token = Key::load_or_create(&path).unwrap().sign(&image, 1, &content);
        assert!(Key::load_or_create(&path).unwrap().verify(&token, &image, 1, &content));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "short").unwrap();
        let error = Key::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("5 bytes, expected 32"), "{error}");
    }
}
