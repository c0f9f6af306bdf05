// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Content digests: parsing, computing, and verifying streams.
//!
//! OCI image specification 1.1, section "Digests": `sha256` is required and `sha512` optional.
//! Other algorithms can't be verified, so parsing rejects them.

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use base16ct::lower::encode_string as hex;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A registered digest algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256, the common one.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// A content digest, `ALGORITHM:HEX`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    algorithm: Algorithm,
    hex: String,
}

/// Reason why a text is not a [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// No colon.
    #[error("{0:?} is not a digest: expected ALGORITHM:HEX")]
    Form(String),
    /// Neither `sha256` nor `sha512`.
    #[error("digest algorithm {0:?} is not supported: expected sha256 or sha512")]
    Algorithm(String),
    /// Wrong length, or not lower-case hex.
    #[error("digest {digest:?}: expected {length} lower-case hex digits after the colon")]
    Hex {
        /// The invalid digest.
        digest: String,
        /// Expected number of hex digits.
        length: usize,
    },
}

/// The content does not match its descriptor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Wrong digest.
    #[error("content has the digest {found}, expected {expected}")]
    Digest {
        /// Expected digest.
        expected: Digest,
        /// Digest of the content.
        found: Digest,
    },
    /// Wrong size. For longer content, `found` is the size at which reading stopped.
    #[error("content of {digest} has {found} bytes, expected {expected}")]
    Size {
        /// Expected digest.
        digest: Digest,
        /// Expected size in bytes.
        expected: u64,
        /// Size of the content in bytes.
        found: u64,
    },
}

impl Algorithm {
    /// The algorithm's name in a digest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Number of hex digits of a digest.
    pub fn hex_length(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }
}

impl Digest {
    /// Computes the SHA-256 digest of `bytes`.
    pub fn sha256(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Computes the SHA-256 digest and size of the content of `reader`.
    pub fn sha256_of(mut reader: impl Read) -> io::Result<(Self, u64)> {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut buffer = vec![0; BUFFER];
        let mut size = 0;
        loop {
            let n = match reader.read(&mut buffer) {
                Ok(0) => return Ok((hasher.finish(), size)),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            hasher.update(buffer.get(..n).unwrap_or_default());
            size += n as u64;
        }
    }

    /// The digest algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hex digits after the colon.
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

/// Read buffer size in bytes, large enough to make system call overhead negligible.
const BUFFER: usize = 128 * 1024;

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let (name, hex) = text.split_once(':').ok_or_else(|| DigestError::Form(text.to_owned()))?;
        let algorithm = match name {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(DigestError::Algorithm(name.to_owned())),
        };
        let length = algorithm.hex_length();
        if hex.len() != length || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestError::Hex { digest: text.to_owned(), length });
        }
        Ok(Self { algorithm, hex: hex.to_owned() })
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl From<&Digest> for oci_spec::image::Digest {
    #[expect(
        clippy::expect_used,
        reason = "a Digest is valid by construction, and theirs are a superset"
    )]
    fn from(digest: &Digest) -> Self {
        Self::try_from(digest.to_string()).expect("a digest by a known algorithm")
    }
}

impl TryFrom<&oci_spec::image::Digest> for Digest {
    type Error = DigestError;

    fn try_from(digest: &oci_spec::image::Digest) -> Result<Self, DigestError> {
        digest.as_ref().parse()
    }
}

/// Computes a digest incrementally.
#[derive(Debug, Clone)]
pub struct Hasher(State);

#[derive(Debug, Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// Creates an empty hasher.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(hasher) => hasher.update(bytes),
            State::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// Returns the digest of all appended bytes.
    pub fn finish(self) -> Digest {
        let (algorithm, hex) = match self.0 {
            State::Sha256(hasher) => (Algorithm::Sha256, hex(&hasher.finalize())),
            State::Sha512(hasher) => (Algorithm::Sha512, hex(&hasher.finalize())),
        };
        Digest { algorithm, hex }
    }
}

/// Verifies digest and size of a stream while it is read.
///
/// A mismatch is an error of kind `InvalidData` that contains a [`Mismatch`], reported at the
/// latest at the end of the stream. Until then, content is unverified and its use must be
/// reversible.
#[derive(Debug)]
pub struct VerifyingReader<R> {
    inner: R,
    hasher: Option<Hasher>,
    expected: Digest,
    size: Option<u64>,
    seen: u64,
}

impl<R: Read> VerifyingReader<R> {
    /// Verifies `inner` against a digest and, if known, a size in bytes.
    pub fn new(inner: R, expected: Digest, size: Option<u64>) -> Self {
        let hasher = Some(Hasher::new(expected.algorithm));
        Self { inner, hasher, expected, size, seen: 0 }
    }

    fn check_size(&self, wrong: impl Fn(u64, u64) -> bool) -> io::Result<()> {
        match self.size {
            Some(expected) if wrong(self.seen, expected) => Err(invalid(Mismatch::Size {
                digest: self.expected.clone(),
                expected,
                found: self.seen,
            })),
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let Some(hasher) = &mut self.hasher else { return Ok(0) };
        let n = self.inner.read(buffer)?;
        if n > 0 {
            hasher.update(buffer.get(..n).unwrap_or_default());
            self.seen += n as u64;
            // Checked early, so that an endless stream is cut off.
            self.check_size(|seen, expected| seen > expected)?;
            return Ok(n);
        }
        self.check_size(|seen, expected| seen != expected)?;
        let found = self.hasher.take().map(Hasher::finish);
        match found {
            Some(found) if found != self.expected => {
                Err(invalid(Mismatch::Digest { expected: self.expected.clone(), found }))
            }
            _ => Ok(0),
        }
    }
}

fn invalid(mismatch: Mismatch) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, mismatch)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of the empty message (FIPS 180-4).
    const EMPTY_SHA256: &str =
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const EMPTY_SHA512: &str = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";

    #[test]
    fn known_digests_are_computed_and_parsed() {
        assert_eq!(Digest::sha256(b"").to_string(), EMPTY_SHA256);
        assert_eq!(Hasher::new(Algorithm::Sha512).finish().to_string(), EMPTY_SHA512);
        for text in [EMPTY_SHA256, EMPTY_SHA512] {
            assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_digest_is_refused_with_the_expected_form() {
        let upper = EMPTY_SHA256.to_uppercase().replace("SHA256", "sha256");
        for (text, expected) in [
            ("", "expected ALGORITHM:HEX"),
            ("e3b0", "expected ALGORITHM:HEX"),
            ("md5:d41d8cd98f00b204e9800998ecf8427e", "expected sha256 or sha512"),
            ("sha256:e3b0", "expected 64 lower-case hex digits"),
            ("sha256:../../etc/passwd", "expected 64 lower-case hex digits"),
            (upper.as_str(), "expected 64 lower-case hex digits"),
        ] {
            let message = text.parse::<Digest>().unwrap_err().to_string();
            assert!(message.contains(expected), "{text:?}: {message}");
        }
    }

    fn mismatch(content: &[u8], digest: Digest, size: Option<u64>) -> Option<Mismatch> {
        let mut reader = VerifyingReader::new(content, digest, size);
        let error = io::copy(&mut reader, &mut io::sink()).err()?;
        Some(error.into_inner().unwrap().downcast_ref::<Mismatch>().unwrap().clone())
    }

    #[test]
    fn a_stream_ends_only_if_it_is_the_right_one() {
        let digest = Digest::sha256(b"content");
        assert_eq!(mismatch(b"content", digest.clone(), Some(7)), None);
        assert_eq!(mismatch(b"content", digest.clone(), None), None);
        assert!(matches!(
            mismatch(b"c0ntent", digest.clone(), Some(7)),
            Some(Mismatch::Digest { .. })
        ));
        assert!(matches!(
            mismatch(b"conten", digest.clone(), Some(7)),
            Some(Mismatch::Size { found: 6, .. })
        ));
        assert!(matches!(
            mismatch(b"content and more", digest, Some(7)),
            Some(Mismatch::Size { .. })
        ));
    }

    #[test]
    fn the_end_stays_the_end() {
        let mut reader = VerifyingReader::new(&b"x"[..], Digest::sha256(b"x"), Some(1));
        let mut sink = Vec::new();
        reader.read_to_end(&mut sink).unwrap();
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(reader.seen, 1);
    }
}
