// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Sigstore bundles 0.3: a file with a signature and its verification material.
//!
//! JSON form of `sigstore_bundle.proto` (Sigstore protobuf specifications). A bundle signed with a
//! key contains only the signature: a log entry would add no trust. A bundle signed by an identity
//! contains its certificate and the log entry that proves the signing time. Unknown fields are
//! rejected.

use base16ct::lower::encode_string as hex;
use serde::{Deserialize, Serialize};

use crate::certificate::{self, CertificateError};
use crate::dsse::Envelope;
use crate::encoding::base64_bytes;
use crate::key::{KeyError, PrivateKey, PublicKey, Sha256, sha256};
use crate::log::{Content, Entry, LogError, Signed};
use crate::statement::{PAYLOAD_TYPE, Statement, StatementError};
use crate::trust::Trust;

/// Media type of a bundle, in its JSON and in registries.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The only supported digest algorithm.
const SHA2_256: &str = "SHA2_256";

/// Reason why a bundle was rejected.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Not JSON, or an unexpected structure; the message has line, column and field.
    #[error("not a Sigstore bundle 0.3: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another version of the format.
    #[error("its media type is {0:?}, expected {MEDIA_TYPE:?}")]
    MediaType(String),
    /// Signed with another key.
    #[error("it was signed with another key: key hint {found}, expected {expected}")]
    OtherKey {
        /// Hint in the bundle.
        found: String,
        /// Hint of the expected key.
        expected: String,
    },
    /// An attestation instead of a signature, or the reverse.
    #[error("it contains {found}, expected {expected}")]
    Content {
        /// Content found.
        found: &'static str,
        /// Content expected.
        expected: &'static str,
    },
    /// The signature is for another content.
    #[error("its signature is for sha256:{found}, expected sha256:{expected}")]
    OtherContent {
        /// Hex of the digest in the bundle.
        found: String,
        /// Hex of the expected digest.
        expected: String,
    },
    /// Signed by an identity where a key was expected, or the reverse.
    #[error("it was signed with {found}, expected {expected}")]
    Signer {
        /// Kind of signer found.
        found: &'static str,
        /// Kind of signer expected.
        expected: &'static str,
    },
    /// The certificate is untrusted, or is for another identity.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// No trusted log proves the signing time.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The payload is signed, but is not a statement.
    #[error("its payload type is {0:?}, expected {PAYLOAD_TYPE:?}")]
    PayloadType(String),
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] KeyError),
    /// The statement is signed, but is not the expected one.
    #[error(transparent)]
    Statement(#[from] StatementError),
}

/// A Sigstore bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Bundle {
    media_type: String,
    verification_material: VerificationMaterial,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_signature: Option<MessageSignature>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<Envelope>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct VerificationMaterial {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    public_key: Option<PublicKeyIdentifier>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<RawCertificate>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tlog_entries: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp_verification_data: Option<TimeStamps>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct RawCertificate {
    #[serde(with = "base64_bytes")]
    raw_bytes: Vec<u8>,
}

/// RFC 3161 time stamps. They are preserved but not verified: the log entry proves the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TimeStamps {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rfc3161_timestamps: Vec<TimeStamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TimeStamp {
    #[serde(with = "base64_bytes")]
    signed_timestamp: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicKeyIdentifier {
    hint: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MessageSignature {
    message_digest: MessageDigest,
    #[serde(with = "base64_bytes")]
    signature: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageDigest {
    algorithm: String,
    #[serde(with = "base64_bytes")]
    digest: Vec<u8>,
}

impl Bundle {
    /// Signs a file by its SHA-256 digest.
    pub fn sign_file(key: &PrivateKey, digest: &Sha256) -> Result<Self, BundleError> {
        let message_digest = MessageDigest { algorithm: SHA2_256.into(), digest: digest.to_vec() };
        let signature = MessageSignature { message_digest, signature: key.sign(digest)? };
        Ok(Self { message_signature: Some(signature), ..Self::empty(key) })
    }

    /// Signs a statement.
    pub fn sign_statement(key: &PrivateKey, statement: &Statement) -> Result<Self, BundleError> {
        let envelope = Envelope::sign(key, PAYLOAD_TYPE, statement.to_json()?)?;
        Ok(Self { dsse_envelope: Some(envelope), ..Self::empty(key) })
    }

    fn empty(key: &PrivateKey) -> Self {
        let public_key = PublicKeyIdentifier { hint: key.public().hint() };
        Self {
            media_type: MEDIA_TYPE.to_owned(),
            verification_material: VerificationMaterial {
                public_key: Some(public_key),
                certificate: None,
                tlog_entries: Vec::new(),
                timestamp_verification_data: None,
            },
            message_signature: None,
            dsse_envelope: None,
        }
    }

    /// Parses a bundle. Its content is untrusted until one of the `verify` functions succeeds.
    ///
    /// # Errors
    /// When the bytes are not a bundle of this version.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        let bundle: Self = serde_json::from_slice(bytes)?;
        if bundle.media_type != MEDIA_TYPE {
            return Err(BundleError::MediaType(bundle.media_type));
        }
        Ok(bundle)
    }

    /// Serialises the bundle as compact JSON.
    ///
    /// # Errors
    /// When serialisation fails, which these types do not allow.
    pub fn to_json(&self) -> Result<Vec<u8>, BundleError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Verifies that `trust` signed the file with the SHA-256 `digest`.
    ///
    /// # Errors
    /// When the signer or the file is another one, or the bundle has no file signature.
    pub fn verify_file<'a>(
        &self,
        trust: impl Into<Trust<'a>>,
        digest: &Sha256,
    ) -> Result<(), BundleError> {
        let (Some(message), None) = (&self.message_signature, &self.dsse_envelope) else {
            return Err(self.wrong_content("a file signature"));
        };
        let MessageDigest { algorithm, digest: named } = &message.message_digest;
        if algorithm != SHA2_256 || named != digest {
            let found = format!("{} ({algorithm})", hex(named));
            return Err(BundleError::OtherContent { found, expected: hex(digest) });
        }
        let key = self.signer(trust.into(), &message.signature, Content::File(*digest))?;
        Ok(key.verify(digest, &message.signature)?)
    }

    /// Verifies that `trust` signed a statement of type `predicate_type` whose only subject is the
    /// SHA-256 `digest`, and returns the statement.
    ///
    /// # Errors
    /// When the signer, the subject or the type is another one, or the bundle has no statement.
    pub fn verify_statement<'a>(
        &self,
        trust: impl Into<Trust<'a>>,
        predicate_type: &str,
        digest: &Sha256,
    ) -> Result<Statement, BundleError> {
        let statement = self.verify_any_statement(trust)?;
        statement.expect(predicate_type, digest)?;
        Ok(statement)
    }

    /// Verifies that `trust` signed a statement, and returns it, of any type and subject.
    ///
    /// An image in a registry can have several statements. It counts as signed only when one of
    /// them is of type [`COSIGN_SIGN`](crate::statement::COSIGN_SIGN).
    ///
    /// # Errors
    /// When the signer is another one, or the bundle has no statement.
    pub fn verify_any_statement<'a>(
        &self,
        trust: impl Into<Trust<'a>>,
    ) -> Result<Statement, BundleError> {
        let (Some(envelope), None) = (&self.dsse_envelope, &self.message_signature) else {
            return Err(self.wrong_content("a signed statement"));
        };
        let content = Content::Payload(sha256(&envelope.payload));
        envelope.verify(&self.signer(trust.into(), envelope.signature(), content)?)?;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(BundleError::PayloadType(envelope.payload_type.clone()));
        }
        Ok(Statement::parse(&envelope.payload)?)
    }

    /// Returns subject and issuer from the certificate, **unverified**. For a signer that verifies
    /// the new bundle next.
    ///
    /// # Errors
    /// When there is no certificate, or it names no identity.
    pub fn claimed_identity(&self) -> Result<(String, String), BundleError> {
        let certificate = self.verification_material.certificate.as_ref();
        let Some(certificate) = certificate else {
            let expected = "a certificate of an identity";
            return Err(BundleError::Signer { found: "a key", expected });
        };
        Ok(certificate::claimed_identity(&certificate.raw_bytes)?)
    }

    /// Removes the RFC 3161 time stamps, which are never verified.
    #[must_use]
    pub fn without_time_stamps(mut self) -> Self {
        self.verification_material.timestamp_verification_data = None;
        self
    }

    /// Certificate and log entry, when an identity signed.
    pub(crate) fn certificate_and_entry(&self) -> Option<(&[u8], &Entry)> {
        let certificate = self.verification_material.certificate.as_ref()?;
        Some((&certificate.raw_bytes, self.verification_material.tlog_entries.first()?))
    }

    /// The signature of a file in base64, for older formats; `None` for a statement.
    pub fn file_signature(&self) -> Option<String> {
        let message = self.message_signature.as_ref()?;
        Some(crate::encoding::base64(&message.signature))
    }

    /// Returns the key that must have made `signature`, after checking that it belongs to `trust`.
    /// For an identity, its certificate must have been valid when the log integrated this
    /// signature.
    fn signer(
        &self,
        trust: Trust<'_>,
        signature: &[u8],
        content: Content,
    ) -> Result<PublicKey, BundleError> {
        let VerificationMaterial {
            public_key,
            certificate,
            tlog_entries,
            timestamp_verification_data: stamps,
        } = &self.verification_material;
        let bare = certificate.is_none() && tlog_entries.is_empty() && stamps.is_none();
        let found = match (public_key, certificate) {
            (Some(_), None) if bare => "a key",
            (None, Some(_)) => "a certificate of an identity",
            _ => "an invalid combination of key, certificate and log entries",
        };
        match (trust, public_key, certificate) {
            (Trust::Key(key), Some(public_key), None) if bare => {
                let (found, expected) = (&public_key.hint, key.hint());
                if *found != expected {
                    return Err(BundleError::OtherKey { found: found.clone(), expected });
                }
                Ok(key.clone())
            }
            (Trust::Identity(identity), None, Some(certificate)) => {
                let certificate = certificate.raw_bytes.as_slice();
                let [entry] = tlog_entries.as_slice() else {
                    let found = "a certificate without exactly one log entry";
                    let expected = "a certificate with one log entry";
                    return Err(BundleError::Signer { found, expected });
                };
                let time = entry.time(&identity.root)?;
                entry.expect(&Signed { certificate, signature, content })?;
                Ok(certificate::verify(certificate, time, identity)?)
            }
            (Trust::Key(_), ..) => Err(BundleError::Signer { found, expected: "a key" }),
            (Trust::Identity(_), ..) => {
                let expected = "a certificate of an identity";
                Err(BundleError::Signer { found, expected })
            }
        }
    }

    fn wrong_content(&self, expected: &'static str) -> BundleError {
        let found = match (&self.message_signature, &self.dsse_envelope) {
            (Some(_), Some(_)) => "both a file signature and a statement",
            (Some(_), None) => "a file signature",
            (None, Some(_)) => "a signed statement",
            (None, None) => "no signature",
        };
        BundleError::Content { found, expected }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::statement::{COSIGN_SIGN, CYCLONEDX};

    fn statement(predicate_type: &str, content: &[u8]) -> Statement {
        Statement::new("image", &sha256(content), predicate_type, json!({}))
    }

    /// Returns true if the bundle `bytes` is valid for `content`, as a file or as a signed image.
    fn is_accepted(bytes: &[u8], key: &PublicKey, content: &[u8]) -> bool {
        Bundle::parse(bytes).is_ok_and(|bundle| {
            let digest = sha256(content);
            bundle.verify_file(key, &digest).is_ok()
                || bundle.verify_statement(key, COSIGN_SIGN, &digest).is_ok()
        })
    }

    #[test]
    fn the_text_is_what_cosign_writes() {
        let key = PrivateKey::generate();
        let digest = sha256(b"x");
        let text = Bundle::sign_file(&key, &digest).unwrap().to_json().unwrap();
        let signature = crate::encoding::base64(&key.sign(&digest).unwrap());
        let (hint, digest) = (key.public().hint(), crate::encoding::base64(&digest));
        assert_eq!(
            String::from_utf8(text).unwrap(),
            format!(
                concat!(
                    r#"{{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","#,
                    r#""verificationMaterial":{{"publicKey":{{"hint":"{}"}}}},"#,
                    r#""messageSignature":{{"messageDigest":{{"algorithm":"SHA2_256","digest":"{}"}},"signature":"{}"}}}}"#,
                ),
                hint, digest, signature
            )
        );
    }

    #[test]
    fn an_attestation_is_no_signature() {
        let key = PrivateKey::generate();
        let public = key.public();
        let digest = sha256(b"x");
        let attestation = Bundle::sign_statement(&key, &statement(CYCLONEDX, b"x")).unwrap();
        attestation.verify_statement(&public, CYCLONEDX, &digest).unwrap();
        assert!(matches!(
            attestation.verify_statement(&public, COSIGN_SIGN, &digest),
            Err(BundleError::Statement(StatementError::PredicateType { .. }))
        ));
        assert!(matches!(
            attestation.verify_file(&public, &digest),
            Err(BundleError::Content { .. })
        ));
        let file = Bundle::sign_file(&key, &digest).unwrap();
        assert!(matches!(
            file.verify_statement(&public, COSIGN_SIGN, &digest),
            Err(BundleError::Content { .. })
        ));
    }

    #[test]
    fn a_signed_payload_that_is_no_statement_is_refused() {
        let key = PrivateKey::generate();
        let payload = statement(COSIGN_SIGN, b"x").to_json().unwrap();
        let envelope = Envelope::sign(&key, "text/plain", payload).unwrap();
        let bundle = Bundle { dsse_envelope: Some(envelope), ..Bundle::empty(&key) };
        assert!(matches!(
            bundle.verify_any_statement(&key.public()),
            Err(BundleError::PayloadType(_))
        ));
    }

    #[test]
    fn what_vouches_for_nothing_is_refused() {
        let key = PrivateKey::generate();
        let bundle = Bundle::sign_file(&key, &sha256(b"x")).unwrap();
        let good = serde_json::to_value(&bundle).unwrap();
        let changes = [
            ("/verificationMaterial", json!({"certificate": {"rawBytes": "AAAA"}})),
            ("/verificationMaterial", json!({"publicKey": {"hint": "x"}, "tlogEntries": [{}]})),
            (
                "/verificationMaterial/timestampVerificationData",
                json!({"rfc3161Timestamps": [{"signedTimestamp": "AAAA"}]}),
            ),
            ("/verificationMaterial/certificate", json!({"rawBytes": "AAAA"})),
            ("/mediaType", json!("application/vnd.dev.sigstore.bundle+json;version=0.2")),
        ];
        for (place, value) in changes {
            let mut bad = good.clone();
            let (parent, name) = place.rsplit_once('/').unwrap();
            bad.pointer_mut(parent).unwrap()[name] = value;
            let parsed = Bundle::parse(bad.to_string().as_bytes());
            let accepted =
                parsed.is_ok_and(|it| it.verify_file(&key.public(), &sha256(b"x")).is_ok());
            assert!(!accepted, "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_bundle_with_any_byte_changed_vouches_for_nothing(
            content in prop::collection::vec(any::<u8>(), 0..100),
            place in any::<prop::sample::Index>(),
            change in 1_u8..=255,
            file in any::<bool>(),
        ) {
            let key = PrivateKey::generate();
            let bundle = if file {
                Bundle::sign_file(&key, &sha256(&content))
            } else {
                Bundle::sign_statement(&key, &statement(COSIGN_SIGN, &content))
            };
            let mut bytes = bundle.unwrap().to_json().unwrap();
            prop_assert!(is_accepted(&bytes, &key.public(), &content));
            prop_assert!(!is_accepted(&bytes, &PrivateKey::generate().public(), &content));
            prop_assert!(!is_accepted(&bytes, &key.public(), b"another content, longer than any of the above, which end at a hundred bytes or so"));
            let index = place.index(bytes.len());
            bytes[index] ^= change;
            prop_assert!(!is_accepted(&bytes, &key.public(), &content));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(Bundle::parse(&bytes));
        }
    }
}
