// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Fulcio certificates: short-lived code-signing certificates that bind an identity to a key.
//!
//! Profile: Fulcio, `docs/certificate-specification.md`. A certificate is valid when a trusted CA
//! issued it for code signing, it was valid at the signing time, and a CT log issued an SCT for it
//! (RFC 6962, section 3.3), so that no certificate is issued in secret.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring};
use x509_cert::Certificate as Parsed;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{ObjectIdentifier, OctetString, Utf8StringRef};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::key::{PublicKey, sha256};
use crate::trust::Identity;
use crate::trusted_root::{Authority, Log};

const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
/// X.509 extension with the list of SCTs (RFC 6962, section 3.3).
const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");
/// Fulcio's OIDC issuer extension, as a `UTF8String`.
const ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
/// Fulcio's deprecated OIDC issuer extension, as raw bytes.
const OLD_ISSUER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
/// Content of the object identifier 1.3.6.1.5.5.7.3.3, code signing (RFC 5280, 4.2.1.12).
const CODE_SIGNING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 3];
/// Signature algorithms accepted from CAs.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P256_SHA384,
    ring::ECDSA_P384_SHA256,
    ring::ECDSA_P384_SHA384,
];

/// Reason why a certificate was rejected.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not a certificate, or not of Fulcio's profile.
    #[error("the certificate is malformed: {0}")]
    Malformed(String),
    /// No CA of the trusted root that was valid at the signing time issued it.
    #[error("no trusted CA issued the certificate, or it was not valid at the signing time: {0}")]
    Untrusted(String),
    /// Another subject.
    #[error("it was signed by {found}, expected {expected}")]
    OtherIdentity {
        /// Subject in the certificate.
        found: String,
        /// Expected subject.
        expected: String,
    },
    /// The expected subject, but from another OIDC issuer.
    #[error("the identity's issuer is {found}, expected {expected}")]
    OtherIssuer {
        /// Issuer in the certificate.
        found: String,
        /// Expected issuer.
        expected: String,
    },
    /// No SCT of a trusted CT log.
    #[error("no trusted CT log issued an SCT for the certificate")]
    Unlisted,
}

/// Verifies that the certificate `der` was valid at `time` (seconds since 1970) and is of
/// `identity`; returns its public key.
pub(crate) fn verify(
    der: &[u8],
    time: u64,
    identity: &Identity,
) -> Result<PublicKey, CertificateError> {
    let certificate = parse(der)?;
    let authorities = identity.root.authorities.iter().filter(|it| it.valid.contains(time));
    let mut refused = "the trusted root has no CA valid at that time".to_owned();
    let mut issuer = None;
    for authority in authorities {
        match verify_chain(der, authority, time) {
            Ok(()) => issuer = authority.chain.first(),
            Err(reason) => refused = reason,
        }
    }
    let issuer = issuer.ok_or(CertificateError::Untrusted(refused))?;
    let subject = subject(&certificate)?;
    if subject != identity.subject {
        let expected = identity.subject.clone();
        return Err(CertificateError::OtherIdentity { found: subject, expected });
    }
    let found = oidc_issuer(&certificate)?;
    if found != identity.issuer {
        let expected = identity.issuer.clone();
        return Err(CertificateError::OtherIssuer { found, expected });
    }
    verify_sct(&certificate, &parse(issuer)?, &identity.root.certificate_logs)?;
    PublicKey::from_der(&encode_der(&certificate.tbs_certificate.subject_public_key_info)?)
        .map_err(|e| CertificateError::Malformed(e.to_string()))
}

/// Returns subject and OIDC issuer of the certificate `der`, unverified.
pub(crate) fn claimed_identity(der: &[u8]) -> Result<(String, String), CertificateError> {
    let certificate = parse(der)?;
    Ok((subject(&certificate)?, oidc_issuer(&certificate)?))
}

/// Encodes the certificate `der` as PEM.
pub(crate) fn pem(der: &[u8]) -> Option<String> {
    pem_rfc7468::encode_string("CERTIFICATE", pem_rfc7468::LineEnding::LF, der).ok()
}

#[expect(clippy::needless_pass_by_value, reason = "it is the argument of map_err")]
fn malformed_error(error: impl ToString) -> CertificateError {
    CertificateError::Malformed(error.to_string())
}

fn parse(der: &[u8]) -> Result<Parsed, CertificateError> {
    Parsed::from_der(der).map_err(malformed_error)
}

fn encode_der(value: &impl x509_cert::der::Encode) -> Result<Vec<u8>, CertificateError> {
    value.to_der().map_err(malformed_error)
}

/// Verifies that `authority` issued the certificate for code signing, and that it was valid at
/// `time`.
fn verify_chain(der: &[u8], authority: &Authority, time: u64) -> Result<(), String> {
    let text = |error: webpki::Error| error.to_string();
    let leaf = CertificateDer::from(der);
    let leaf = EndEntityCert::try_from(&leaf).map_err(text)?;
    let chain: Vec<_> =
        authority.chain.iter().map(|it| CertificateDer::from(it.as_slice())).collect();
    let (root, between) = chain.split_last().ok_or("its chain is empty")?;
    let anchors: [TrustAnchor<'_>; 1] = [anchor_from_trusted_cert(root).map_err(text)?];
    let time = UnixTime::since_unix_epoch(Duration::from_secs(time));
    let usage = KeyUsage::required(CODE_SIGNING);
    leaf.verify_for_usage(ALGORITHMS, &anchors, between, time, usage, None, None)
        .map(drop)
        .map_err(text)
}

/// The only subject alternative name.
fn subject(certificate: &Parsed) -> Result<String, CertificateError> {
    let value = extension(certificate, SUBJECT_ALT_NAME)
        .ok_or_else(|| malformed_error("it has no subject alternative name"))?;
    let names = SubjectAltName::from_der(value).map_err(malformed_error)?;
    match names.0.as_slice() {
        [GeneralName::Rfc822Name(name) | GeneralName::UniformResourceIdentifier(name)] => {
            Ok(name.to_string())
        }
        _ => Err(malformed_error(
            "its subject alternative name is not a single e-mail address or URI",
        )),
    }
}

fn oidc_issuer(certificate: &Parsed) -> Result<String, CertificateError> {
    if let Some(value) = extension(certificate, ISSUER) {
        return Utf8StringRef::from_der(value)
            .map(|text| text.to_string())
            .map_err(malformed_error);
    }
    let value = extension(certificate, OLD_ISSUER)
        .ok_or_else(|| malformed_error("it has no OIDC issuer extension"))?;
    String::from_utf8(value.to_vec()).map_err(malformed_error)
}

fn extension(certificate: &Parsed, id: ObjectIdentifier) -> Option<&[u8]> {
    let mut extensions = certificate.tbs_certificate.extensions.iter().flatten();
    extensions.find(|it| it.extn_id == id).map(|it| it.extn_value.as_bytes())
}

/// Verifies that one of `logs` issued an SCT for the certificate, which `issuer` signed.
fn verify_sct(certificate: &Parsed, issuer: &Parsed, logs: &[Log]) -> Result<(), CertificateError> {
    let value = extension(certificate, SCT_LIST).ok_or(CertificateError::Unlisted)?;
    let list = OctetString::from_der(value).map_err(malformed_error)?;
    let issuer_key = sha256(&encode_der(&issuer.tbs_certificate.subject_public_key_info)?);
    // The log signed the certificate without the SCT extension.
    let mut seen = certificate.tbs_certificate.clone();
    seen.extensions.iter_mut().for_each(|all| all.retain(|it| it.extn_id != SCT_LIST));
    let seen = encode_der(&seen)?;
    let scts = Sct::list(list.as_bytes()).ok_or_else(|| malformed_error("its list of SCTs"))?;
    let is_listed = scts.iter().any(|sct| {
        Log::find(logs, sct.log, sct.milliseconds / 1000).is_some_and(|log| {
            let signed = sct.encode_signed(&issuer_key, &seen);
            signed.is_some_and(|it| log.key.verify(&sha256(&it), sct.signature).is_ok())
        })
    });
    if is_listed { Ok(()) } else { Err(CertificateError::Unlisted) }
}

/// An SCT: `SignedCertificateTimestamp` version 1 (RFC 6962, section 3.2).
struct Sct<'a> {
    log: &'a [u8],
    milliseconds: u64,
    extensions: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Sct<'a> {
    /// Parses a `SignedCertificateTimestampList`, skipping SCTs of other versions and algorithms.
    fn list(bytes: &'a [u8]) -> Option<Vec<Self>> {
        let (mut rest, []) = vector(bytes)? else { return None };
        let mut scts = Vec::new();
        while !rest.is_empty() {
            let (one, after) = vector(rest)?;
            scts.extend(Self::parse(one));
            rest = after;
        }
        Some(scts)
    }

    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[0])?;
        let (log, rest) = rest.split_at_checked(32)?;
        let (time, rest) = rest.split_first_chunk()?;
        let (extensions, rest) = vector(rest)?;
        // SHA-256 with ECDSA (RFC 5246, section 7.4.1.4.1).
        let (signature, []) = vector(rest.strip_prefix(&[4, 3])?)? else { return None };
        Some(Self { log, milliseconds: u64::from_be_bytes(*time), extensions, signature })
    }

    /// The bytes that the log signed: a `precert_entry`.
    fn encode_signed(&self, issuer_key: &[u8; 32], certificate: &[u8]) -> Option<Vec<u8>> {
        let length = u32::try_from(certificate.len()).ok().filter(|it| *it < 1 << 24)?;
        let mut out = vec![0, 0];
        out.extend(self.milliseconds.to_be_bytes());
        out.extend([0, 1]);
        out.extend(issuer_key);
        out.extend(length.to_be_bytes().get(1..)?);
        out.extend(certificate);
        out.extend(u16::try_from(self.extensions.len()).ok()?.to_be_bytes());
        out.extend(self.extensions);
        Some(out)
    }
}

/// Splits off a vector with a two-byte length (RFC 5246, section 4.3); returns it and the rest.
fn vector(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}
