// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What cosign signed before bundles: a small document that names an image by its digest.
//!
//! containers/image, `docs/containers-signature.5.md`; cosign's `specs/SIGNATURE_SPEC.md` says where it lies:
//! the payload is the layer of an artifact with the tag `sha256-HEX.sig`, and the signature is the
//! annotation [`SIGNATURE_ANNOTATION`] of that layer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::certificate;
use crate::encoding;
use crate::key::{KeyError, PrivateKey, PublicKey, Sha256, sha256};

/// The media type of the payload in a registry.
pub const MEDIA_TYPE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of the layer that holds the signature in base64.
pub const SIGNATURE_ANNOTATION: &str = "dev.cosignproject.cosign/signature";
/// The annotation with the certificate in PEM, where an identity signed.
const CERTIFICATE_ANNOTATION: &str = "dev.sigstore.cosign/certificate";
/// The annotation with the promise of the log, where an identity signed.
const LOG_ANNOTATION: &str = "dev.sigstore.cosign/bundle";
/// The only kind of payload that cosign knows.
const KIND: &str = "cosign container image signature";

/// Why a payload or its signature was refused.
#[derive(Debug, thiserror::Error)]
pub enum SimpleSigningError {
    /// Not JSON, or not of the expected shape.
    #[error("the payload is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A payload of another kind.
    #[error("the payload's type is {0:?}, expected {KIND:?}")]
    Kind(String),
    /// It names another image.
    #[error("it signs another image: {found}, expected {expected}")]
    OtherImage {
        /// What it names.
        found: String,
        /// What was asked for.
        expected: String,
    },
    /// The signature is no base64.
    #[error("the signature is not base64: {0}")]
    Base64(String),
    /// The signature does not fit.
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

/// The payload for the image with the manifest digest `sha256:HEX`, known as `repository`.
///
/// # Errors
/// When serialisation fails, which the types here do not allow.
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

/// Signs a payload; the result is what stands in the annotation.
///
/// # Errors
/// As [`PrivateKey::sign`].
pub fn sign(key: &PrivateKey, payload: &[u8]) -> Result<String, KeyError> {
    Ok(encoding::base64(&key.sign(&sha256(payload))?))
}

/// What stands in the annotations of the layer that holds the payload which an identity signed in `bundle`;
/// `None` for any other bundle.
pub fn annotations(bundle: &Bundle) -> Option<BTreeMap<String, String>> {
    let (certificate, entry) = bundle.witnesses()?;
    let annotations = [
        (SIGNATURE_ANNOTATION, bundle.file_signature()?),
        (CERTIFICATE_ANNOTATION, certificate::pem(certificate)?),
        (LOG_ANNOTATION, entry.older_form()?),
    ];
    Some(annotations.map(|(name, text)| (name.to_owned(), text)).into())
}

/// Checks that `key` signed `payload`, and that it names the image with the digest `sha256:HEX`.
///
/// # Errors
/// When either is not so.
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
