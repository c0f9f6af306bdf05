// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Parts of a recipe that may not be logged: the files for the installed system, and the metadata.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::text::FormError;

/// A file of at most `MAX_BYTES` bytes of UTF-8. `Debug` and `Display` show size and digest alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Contents<const MAX_BYTES: usize>(String);

/// cloud-init's user data: up to 1 MiB.
pub type UserData = Contents<{ 1024 * 1024 }>;
/// The answer file of Windows Setup: up to 1 MiB.
pub type UnattendXml = Contents<{ 1024 * 1024 }>;
/// The kickstart file of `ESXi`: up to 256 KiB.
pub type KsCfg = Contents<{ 256 * 1024 }>;

impl<const MAX_BYTES: usize> Contents<MAX_BYTES> {
    /// Its limit in bytes.
    pub const MAX_BYTES: usize = MAX_BYTES;

    /// Accepts `text` up to the limit.
    pub fn new(text: impl Into<String>) -> Result<Self, FormError> {
        let text = text.into();
        if text.len() <= MAX_BYTES { Ok(Self(text)) } else { Err(FormError("small enough")) }
    }

    /// The contents, for the file that they are written to.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Size and digest, which may be logged.
    pub fn summary(&self) -> ContentSummary {
        ContentSummary::new(self.0.as_bytes())
    }
}

impl<const MAX_BYTES: usize> TryFrom<String> for Contents<MAX_BYTES> {
    type Error = FormError;
    fn try_from(text: String) -> Result<Self, FormError> {
        Self::new(text)
    }
}

impl<const MAX_BYTES: usize> From<Contents<MAX_BYTES>> for String {
    fn from(contents: Contents<MAX_BYTES>) -> String {
        contents.0
    }
}

impl<const MAX_BYTES: usize> fmt::Debug for Contents<MAX_BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.summary(), f)
    }
}

/// Site data that the provisioner passes on and never interprets. `Debug` shows the number of
/// members.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(pub Map<String, Value>);

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} members", self.0.len())
    }
}

/// Size and digest of a file whose contents are not shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ContentSummary {
    /// Size in bytes.
    pub size: usize,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

impl ContentSummary {
    /// The summary of `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Self { size: bytes.len(), sha256: sha256_hex(bytes) }
    }
}

impl fmt::Display for ContentSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, sha256 {}", self.size, self.sha256)
    }
}

/// SHA-256 of `bytes` in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}
