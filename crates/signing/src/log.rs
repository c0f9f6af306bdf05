// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Rekor log entries: offline proof that a signature existed at a time.
//!
//! An entry is accepted when a trusted log signed its time (signed entry timestamp), an inclusion
//! proof leads to a signed checkpoint (RFC 9162, section 2.1.3), and the entry is of this
//! signature. Certificate validity is checked at that time, so entries without a signed entry
//! timestamp are rejected. Rekor v2 writes such entries, for use with a time stamp authority.

use base16ct::lower::encode_string as hex;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::encoding::{base64, base64_bytes, decimal};
use crate::key::{PublicKey, Sha256, sha256};
use crate::trusted_root::{Log, TrustedRoot};

/// Reason why an entry was rejected.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The trusted root has no such log for that time.
    #[error("the trusted root has no log {0} valid at the time of the entry")]
    Unknown(String),
    /// The signed entry timestamp is missing.
    #[error("the log entry has no signed entry timestamp, which proves the signing time")]
    NoPromise,
    /// The signed entry timestamp does not verify.
    #[error("the signed entry timestamp does not verify")]
    Promise,
    /// The inclusion proof is missing.
    #[error("the log entry has no inclusion proof")]
    NoProof,
    /// The inclusion proof does not verify.
    #[error("the inclusion proof does not verify: {0}")]
    Proof(&'static str),
    /// The entry is of another signature.
    #[error("the log entry is for another signature: {0}")]
    OtherEntry(String),
}

/// `TransparencyLogEntry` of `sigstore_rekor.proto`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Entry {
    #[serde(with = "decimal", default)]
    log_index: u64,
    log_id: LogId,
    kind_version: KindVersion,
    #[serde(with = "decimal", default)]
    integrated_time: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inclusion_promise: Option<Promise>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inclusion_proof: Option<Proof>,
    #[serde(with = "base64_bytes")]
    canonicalized_body: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LogId {
    #[serde(with = "base64_bytes")]
    key_id: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindVersion {
    kind: String,
    version: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Promise {
    #[serde(with = "base64_bytes")]
    signed_entry_timestamp: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Proof {
    #[serde(with = "decimal", default)]
    log_index: u64,
    #[serde(with = "base64_bytes")]
    root_hash: Vec<u8>,
    #[serde(with = "decimal")]
    tree_size: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash>,
    checkpoint: Checkpoint,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Hash(#[serde(with = "base64_bytes")] Vec<u8>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Checkpoint {
    envelope: String,
}

/// The signature that an entry must be of.
pub(crate) struct Signed<'a> {
    /// The certificate, DER.
    pub(crate) certificate: &'a [u8],
    /// The signature, DER.
    pub(crate) signature: &'a [u8],
    /// What was signed.
    pub(crate) content: Content,
}

/// The signed content.
pub(crate) enum Content {
    /// A file with this digest.
    File(Sha256),
    /// A DSSE envelope whose payload has this digest.
    Payload(Sha256),
}

impl Entry {
    /// Verifies that a log of `root` contains this entry; returns its integration time, in seconds
    /// since 1970.
    pub(crate) fn time(&self, root: &TrustedRoot) -> Result<u64, LogError> {
        let (id, time) = (&self.log_id.key_id, self.integrated_time);
        let log = Log::find(&root.signature_logs, id, time);
        let log = log.ok_or_else(|| LogError::Unknown(hex(id)))?;
        let promise = self.inclusion_promise.as_ref().ok_or(LogError::NoPromise)?;
        // Rekor, "SignedEntryTimestamp": canonical JSON (RFC 8785) of these four fields.
        let payload = format!(
            r#"{{"body":"{}","integratedTime":{time},"logID":"{}","logIndex":{}}}"#,
            base64(&self.canonicalized_body),
            hex(id),
            self.log_index
        );
        let signature = &promise.signed_entry_timestamp;
        log.key.verify(&sha256(payload.as_bytes()), signature).map_err(|_| LogError::Promise)?;
        let proof = self.inclusion_proof.as_ref().ok_or(LogError::NoProof)?;
        proof.verify(&self.canonicalized_body, log)?;
        Ok(time)
    }

    /// The entry in cosign's format before bundles (`RekorBundle`), which has no inclusion proof.
    pub(crate) fn older_form(&self) -> Option<String> {
        let promise = self.inclusion_promise.as_ref()?;
        let form = json!({
            "Payload": {
                "body": base64(&self.canonicalized_body),
                "integratedTime": self.integrated_time,
                "logID": hex(&self.log_id.key_id),
                "logIndex": self.log_index,
            },
            "SignedEntryTimestamp": base64(&promise.signed_entry_timestamp),
        });
        Some(form.to_string())
    }

    /// Checks that the entry is of `signed`.
    pub(crate) fn expect(&self, signed: &Signed<'_>) -> Result<(), LogError> {
        let KindVersion { kind, version } = &self.kind_version;
        let malformed =
            |e: serde_json::Error| LogError::OtherEntry(format!("it is not a {kind}: {e}"));
        let other = |what: &str| Err(LogError::OtherEntry(what.to_owned()));
        let body = self.canonicalized_body.as_slice();
        let ((digest, signature, certificate), expected) =
            match (kind.as_str(), version.as_str(), &signed.content) {
                ("hashedrekord", "0.0.1", Content::File(expected)) => {
                    let body: Body<HashedRekord> =
                        serde_json::from_slice(body).map_err(malformed)?;
                    (body.require_kind(kind, version)?.parts(), expected)
                }
                ("dsse", "0.0.1", Content::Payload(expected)) => {
                    let body: Body<Dsse> = serde_json::from_slice(body).map_err(malformed)?;
                    (body.require_kind(kind, version)?.parts(), expected)
                }
                _ => return other(&format!("its kind is {kind} {version}")),
            };
        if digest.algorithm != "sha256" || digest.value != hex(expected) {
            return other("its digest differs");
        }
        if signature != signed.signature {
            return other("its signature differs");
        }
        match pem_rfc7468::decode_vec(&certificate) {
            Ok(("CERTIFICATE", der)) if der == signed.certificate => Ok(()),
            _ => other("its certificate differs"),
        }
    }
}

/// Body of an entry; `kind` and `api_version` select the type of `spec`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<T> {
    kind: String,
    api_version: String,
    spec: T,
}

impl<T> Body<T> {
    /// Returns `spec` if kind and version match those of the entry.
    fn require_kind(self, kind: &str, version: &str) -> Result<T, LogError> {
        if (self.kind.as_str(), self.api_version.as_str()) == (kind, version) {
            Ok(self.spec)
        } else {
            Err(LogError::OtherEntry(format!("its body is {} {}", self.kind, self.api_version)))
        }
    }
}

#[derive(Deserialize)]
struct Digest {
    algorithm: String,
    value: String,
}

/// Digest, signature and certificate (PEM).
type Parts = (Digest, Vec<u8>, Vec<u8>);

/// Rekor, `hashedrekord_v0_0_1_schema.json`.
#[derive(Deserialize)]
struct HashedRekord {
    data: Data,
    signature: FileSignature,
}

#[derive(Deserialize)]
struct Data {
    hash: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileSignature {
    #[serde(with = "base64_bytes")]
    content: Vec<u8>,
    public_key: Verifier,
}

#[derive(Deserialize)]
struct Verifier {
    #[serde(with = "base64_bytes")]
    content: Vec<u8>,
}

impl HashedRekord {
    fn parts(self) -> Parts {
        (self.data.hash, self.signature.content, self.signature.public_key.content)
    }
}

/// Rekor, `dsse_v0_0_1_schema.json`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Dsse {
    payload_hash: Digest,
    signatures: [EnvelopeSignature; 1],
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    #[serde(with = "base64_bytes")]
    signature: Vec<u8>,
    #[serde(with = "base64_bytes")]
    verifier: Vec<u8>,
}

impl Dsse {
    fn parts(self) -> Parts {
        let [EnvelopeSignature { signature, verifier }] = self.signatures;
        (self.payload_hash, signature, verifier)
    }
}

impl Proof {
    fn verify(&self, body: &[u8], log: &Log) -> Result<(), LogError> {
        let leaf = sha256(&[&[0], body].concat());
        let hashes = self.hashes.iter().map(|it| it.0.as_slice());
        let root = root(leaf, self.log_index, self.tree_size, hashes)
            .ok_or(LogError::Proof("wrong number of hashes for the tree size"))?;
        if self.root_hash != root {
            return Err(LogError::Proof("it leads to another root hash"));
        }
        let text = self.checkpoint.verified_text(&log.id, &log.key);
        let text =
            text.ok_or(LogError::Proof("the signature of the checkpoint does not verify"))?;
        // Origin, size, root hash; more lines may follow.
        let mut lines = text.lines().skip(1);
        let size = lines.next().and_then(|line| line.parse().ok());
        if size == Some(self.tree_size) && lines.next() == Some(&base64(&root)) {
            Ok(())
        } else {
            Err(LogError::Proof("the checkpoint is for another tree"))
        }
    }
}

/// Computes the root of a tree of `size` leaves from the leaf at `index` and its inclusion path
/// (RFC 9162, section 2.1.3.2).
fn root<'a>(
    leaf: Sha256,
    index: u64,
    size: u64,
    hashes: impl Iterator<Item = &'a [u8]>,
) -> Option<Sha256> {
    let (mut at, mut last) = (index, size.checked_sub(1)?);
    if at > last {
        return None;
    }
    let parent = |left: &[u8], right: &[u8]| sha256(&[&[1], left, right].concat());
    let mut root = leaf;
    for hash in hashes {
        if last == 0 {
            return None;
        }
        if at % 2 == 1 || at == last {
            root = parent(hash, &root);
            while at % 2 == 0 && at != 0 {
                (at, last) = (at / 2, last / 2);
            }
        } else {
            root = parent(&root, hash);
        }
        (at, last) = (at / 2, last / 2);
    }
    (last == 0).then_some(root)
}

impl Checkpoint {
    /// Returns the checkpoint text if the log signed it. Format: signed note (C2SP, `signed-note`),
    /// where a line has the name of the signer, and base64 of a four byte key id and the signature.
    fn verified_text(&self, id: &[u8], key: &PublicKey) -> Option<&str> {
        let end = self.envelope.rfind("\n\n")? + 1;
        let (text, signatures) = self.envelope.split_at_checked(end)?;
        // The signer's name must be that of the signed origin, without Rekor's tree number.
        let origin = text.split([' ', '\n']).next();
        let signed = signatures.lines().any(|line| {
            let last = line.strip_prefix("\u{2014} ").and_then(|line| line.split_once(' '));
            let last = last.filter(|(name, _)| Some(*name) == origin);
            let bytes = last.and_then(|(_, text)| crate::encoding::from_base64(text));
            bytes.is_some_and(|bytes| {
                let (hint, signature) = bytes.split_at(bytes.len().min(4));
                let named = hint.len() == 4 && id.starts_with(hint);
                named && key.verify(&sha256(text.as_bytes()), signature).is_ok()
            })
        });
        signed.then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The root of `leaves` and the inclusion path of `index` (RFC 9162, sections 2.1.1 and
    /// 2.1.3.1).
    fn tree(leaves: &[Sha256], index: usize) -> (Sha256, Vec<Sha256>) {
        if let [only] = leaves {
            return (*only, Vec::new());
        }
        let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
        let (a, b) =
            (tree(left, index.min(left.len() - 1)), tree(right, index.saturating_sub(left.len())));
        let root = sha256(&[&[1], &a.0[..], &b.0[..]].concat());
        let mut path = if index < left.len() { a.1 } else { b.1.clone() };
        path.push(if index < left.len() { b.0 } else { a.0 });
        (root, path)
    }

    proptest! {
        #[test]
        fn a_leaf_leads_to_the_root_by_its_path_alone(size in 1_usize..70, at in any::<prop::sample::Index>()) {
            let leaves: Vec<_> = (0..size).map(|n| sha256(&n.to_be_bytes())).collect();
            let index = at.index(size);
            let (expected, path) = tree(&leaves, index);
            let computed = |leaf, at: usize, size: usize, path: &[Sha256]| {
                root(leaf, at as u64, size as u64, path.iter().map(<[u8; 32]>::as_slice))
            };
            prop_assert_eq!(computed(leaves[index], index, size, &path), Some(expected));
            prop_assert_ne!(computed(sha256(b"other"), index, size, &path), Some(expected));
            let longer = [&path[..], &[sha256(b"more")]].concat();
            prop_assert_ne!(computed(leaves[index], index, size, &longer), Some(expected));
            if let Some((_, shorter)) = path.split_last() {
                prop_assert_ne!(computed(leaves[index], index, size, shorter), Some(expected));
            }
            prop_assert_eq!(computed(leaves[index], size, size, &path), None);
        }
    }
}
