// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! cosign's signature format before bundles: a JSON payload that names an image by its digest.
//!
//! Payload: containers/image, `docs/containers-signature.5.md`. Storage: cosign,
//! `specs/SIGNATURE_SPEC.md`; the payload is the layer of an artifact with the tag
//! `sha256-HEX.sig`, and the signature is the annotation [`SIGNATURE_ANNOTATION`] of that layer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::certificate;
use crate::encoding;
use crate::key::{KeyError, PrivateKey, PublicKey, Sha256, sha256};

/// Media type of the payload in a registry.
pub const MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// Layer annotation with the signature in base64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// Layer annotation with the certificate in PEM, when an identity signed.
const CERTIFICATE_ANNOTATION: &str = "dev.sigstore.cosign/certificate";
/// Layer annotation with the signed entry timestamp, when an identity signed.
const LOG_ANNOTATION: &str = "dev.sigstore.cosign/bundle";
/// The only payload type of cosign.
const KIND: &str = "cosign container image signature";

/// Reason why a payload or its signature was rejected.
#[derive(Debug, thiserror::Error)]
pub enum SimpleSigningError {
    /// Not JSON, or an unexpected structure.
    #[error("the payload is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another payload type.
    #[error("the payload's type is {0:?}, expected {KIND:?}")]
    Kind(String),
    /// The payload names another image.
    #[error("it signs another image: {found}, expected {expected}")]
    OtherImage {
        /// Image in the payload.
        found: String,
        /// Expected image.
        expected: String,
    },
    /// The signature is not base64.
    #[error("the signature is not base64: {0}")]
    Base64(String),
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] KeyError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    critical: Critical,
    optional: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Identity {
    docker_reference: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

/// Creates the payload for the image `repository` with the manifest digest `sha256:HEX`.
///
/// # Errors
/// When serialisation fails, which these types do not allow.
pub fn payload(repository: &str, digest: &Sha256) -> Result<Vec<u8>, SimpleSigningError> {
    let payload = Payload {
        critical: Critical {
            identity: Identity { docker_reference: repository.to_owned() },
            image: Image { docker_manifest_digest: image_digest(digest) },
            kind: KIND.to_owned(),
        },
        optional: None,
    };
    Ok(serde_json::to_vec(&payload)?)
}

/// Signs a payload; returns the value of [`SIGNATURE_ANNOTATION`].
pub fn sign(key: &PrivateKey, payload: &[u8]) -> Result<String, KeyError> {
    Ok(encoding::base64(&key.sign(&sha256(payload))?))
}

/// Layer annotations for a payload that an identity signed in `bundle`; `None` for any other
/// bundle.
pub fn annotations(bundle: &Bundle) -> Option<BTreeMap<String, String>> {
    let (certificate, entry) = bundle.certificate_and_entry()?;
    let annotations = [
        (SIGNATURE_ANNOTATION, bundle.file_signature()?),
        (CERTIFICATE_ANNOTATION, certificate::pem(certificate)?),
        (LOG_ANNOTATION, entry.older_form()?),
    ];
    Some(annotations.map(|(name, text)| (name.to_owned(), text)).into())
}

/// Verifies that `key` signed `payload`, and that it names the image with the digest `sha256:HEX`.
///
/// # Errors
/// When the signature does not verify, or the payload is malformed or names another image.
pub fn verify(
    key: &PublicKey,
    payload: &[u8],
    signature: &str,
    digest: &Sha256,
) -> Result<(), SimpleSigningError> {
    use base64::Engine as _;

    let signature = base64::prelude::BASE64_STANDARD
        .decode(signature)
        .map_err(|e| SimpleSigningError::Base64(e.to_string()))?;
    key.verify(&sha256(payload), &signature)?;
    let Critical { image, kind, .. } = serde_json::from_slice::<Payload>(payload)?.critical;
    if kind != KIND {
        return Err(SimpleSigningError::Kind(kind));
    }
    let (found, expected) = (image.docker_manifest_digest, image_digest(digest));
    if found != expected {
        return Err(SimpleSigningError::OtherImage { found, expected });
    }
    Ok(())
}

fn image_digest(digest: &Sha256) -> String {
    format!("sha256:{}", base16ct::lower::encode_string(digest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_text_is_the_specifications() {
        let text = String::from_utf8(payload("tools/x", &sha256(b"")).unwrap()).unwrap();
        assert_eq!(
            text,
            concat!(
                r#"{"critical":{"identity":{"docker-reference":"tools/x"},"image":{"docker-manifest-digest":"#,
                r#""sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"#,
                r#""type":"cosign container image signature"},"optional":null}"#,
            )
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_changed_payload_signature_or_image_is_refused(
            place in any::<prop::sample::Index>(),
            change in 1_u8..128,
        ) {
            let key = PrivateKey::generate();
            let public = key.public();
            let digest = sha256(b"image");
            let payload = payload("a", &digest).unwrap();
            let signature = sign(&key, &payload).unwrap();
            verify(&public, &payload, &signature, &digest).unwrap();
            prop_assert!(verify(&public, &payload, &signature, &sha256(b"other")).is_err());
            let mut broken = payload.clone();
            broken[place.index(payload.len())] ^= change;
            prop_assert!(verify(&public, &broken, &signature, &digest).is_err());
            let mut text = signature.clone().into_bytes();
            text[place.index(signature.len())] ^= change;
            let text = String::from_utf8(text).unwrap();
            prop_assert!(verify(&public, &payload, &text, &digest).is_err());
        }
    }
}
