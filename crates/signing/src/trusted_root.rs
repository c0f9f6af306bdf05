// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Trusted CAs and logs: the file `trusted_root.json`.
//!
//! JSON form of `sigstore_trustroot.proto` (Sigstore protobuf specifications). Unknown fields are
//! ignored, for newer versions of the format. Logs are skipped when their key is not ECDSA on
//! P-256, or when their validity has no start, as in Sigstore's own clients; their signatures fail
//! as of an unknown log.

use serde::Deserialize;

use crate::encoding::{base64_bytes, time};
use crate::key::PublicKey;

/// Media type without the version.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot";

/// The trusted CAs and logs of one Sigstore instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedRoot {
    pub(crate) authorities: Vec<Authority>,
    /// Signature logs (Rekor).
    pub(crate) signature_logs: Vec<Log>,
    /// CT logs (RFC 6962).
    pub(crate) certificate_logs: Vec<Log>,
}

/// A CA for identities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Authority {
    /// Certificate chain, DER, from the issuing CA to the root.
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) valid: Period,
}

/// A transparency log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    /// SHA-256 of the public key's DER.
    pub(crate) id: Vec<u8>,
    pub(crate) key: PublicKey,
    pub(crate) valid: Period,
}

/// A validity period, in seconds since 1970, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    start: u64,
    end: Option<u64>,
}

/// Reason why a file is not a trusted root.
#[derive(Debug, thiserror::Error)]
pub enum TrustedRootError {
    /// Not JSON, or an unexpected structure; the message has line, column and field.
    #[error("not a trusted root: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another media type.
    #[error("its media type is {0:?}, expected {MEDIA_TYPE:?} with a version")]
    MediaType(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    media_type: String,
    #[serde(default)]
    tlogs: Vec<LogEntry>,
    #[serde(default)]
    ctlogs: Vec<LogEntry>,
    #[serde(default)]
    certificate_authorities: Vec<AuthorityEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    public_key: KeyEntry,
    log_id: LogId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyEntry {
    #[serde(with = "base64_bytes")]
    raw_bytes: Vec<u8>,
    #[serde(default)]
    valid_for: Validity,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogId {
    #[serde(with = "base64_bytes")]
    key_id: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorityEntry {
    cert_chain: Chain,
    #[serde(default)]
    valid_for: Validity,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<RawCertificate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawCertificate {
    #[serde(with = "base64_bytes")]
    raw_bytes: Vec<u8>,
}

#[derive(Default, Deserialize)]
struct Validity {
    #[serde(default, deserialize_with = "time")]
    start: Option<u64>,
    #[serde(default, deserialize_with = "time")]
    end: Option<u64>,
}

impl TrustedRoot {
    /// The trusted root of the public Sigstore instance, embedded at build time. `data/README.md`
    /// states its source.
    ///
    /// # Errors
    /// When the embedded file is malformed, which a test excludes.
    pub fn public_good() -> Result<Self, TrustedRootError> {
        Self::parse(include_bytes!("../data/trusted_root.json"))
    }

    /// Parses a trusted root.
    ///
    /// # Errors
    /// When the bytes are not a trusted root.
    pub fn parse(bytes: &[u8]) -> Result<Self, TrustedRootError> {
        let document: Document = serde_json::from_slice(bytes)?;
        if !document.media_type.starts_with(MEDIA_TYPE) {
            return Err(TrustedRootError::MediaType(document.media_type));
        }
        let logs = |entries: Vec<LogEntry>| entries.into_iter().filter_map(Log::new).collect();
        let authorities = document.certificate_authorities.into_iter().map(|it| Authority {
            chain: it.cert_chain.certificates.into_iter().map(|it| it.raw_bytes).collect(),
            valid: Period::new(&it.valid_for),
        });
        Ok(Self {
            authorities: authorities.collect(),
            signature_logs: logs(document.tlogs),
            certificate_logs: logs(document.ctlogs),
        })
    }
}

impl Log {
    /// Returns `None` for an unsupported key, or a validity period without a start.
    fn new(entry: LogEntry) -> Option<Self> {
        entry.public_key.valid_for.start?;
        let valid = Period::new(&entry.public_key.valid_for);
        let key = PublicKey::from_der(&entry.public_key.raw_bytes).ok()?;
        Some(Self { id: entry.log_id.key_id, key, valid })
    }

    /// Finds the log with the id `id` that is valid at `time`.
    pub(crate) fn find<'a>(logs: &'a [Self], id: &[u8], time: u64) -> Option<&'a Self> {
        logs.iter().find(|log| log.id == id && log.valid.contains(time))
    }
}

impl Period {
    fn new(validity: &Validity) -> Self {
        Self { start: validity.start.unwrap_or_default(), end: validity.end }
    }

    pub(crate) fn contains(self, time: u64) -> bool {
        self.start <= time && self.end.is_none_or(|end| time <= end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_that_is_built_in_can_be_read() {
        let root = TrustedRoot::public_good().unwrap();
        assert!(!root.authorities.is_empty() && !root.signature_logs.is_empty());
        assert!(!root.certificate_logs.is_empty());
        assert!(root.authorities.iter().all(|authority| !authority.chain.is_empty()));
    }

    #[test]
    fn another_kind_of_file_is_refused() {
        for other in
            ["{}", "[]", r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#]
        {
            assert!(TrustedRoot::parse(other.as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn a_period_has_both_its_ends() {
        let text = r#"{"start": "1970-01-01T00:01:40Z", "end": "1970-01-01T00:03:20.500Z"}"#;
        let period = Period::new(&serde_json::from_str(text).unwrap());
        let inside = [99, 100, 200, 201].map(|time| period.contains(time));
        assert_eq!(inside, [false, true, true, false]);
        assert!(serde_json::from_str::<Validity>(r#"{"start": "yesterday"}"#).is_err());
    }
}
