// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks that the trusted signer signed the manifest, each file and each image, each in the form
//! for its type.

use std::path::Path;

use oci::Digest;
use release::{Image, Manifest, layout};
use signing::statement::COSIGN_SIGN;
use signing::{
    Bundle, BundleError, PublicKey, Sha256, Statement, Trust, sha256, sha256_from_hex,
    simple_signing,
};

use crate::Policy;
use crate::attested::{AttestedDocument, list_attestations, list_attested};
use crate::files::{self, Folder};
use crate::images::Parts;
use crate::report::{Check, Findings, Problem};
use crate::required::Requirements;

/// Largest `release.json` that is read before its signature is checked.
pub(crate) const MANIFEST_LIMIT: u64 = 16 * 1024 * 1024;
/// Largest bundle that is read before its signature is checked.
pub(crate) const BUNDLE_LIMIT: u64 = 1024 * 1024;

/// `release.json` and its signature: all that is read before the signature is checked.
pub(crate) struct UnverifiedManifest {
    pub(crate) manifest: Result<Vec<u8>, Problem>,
    pub(crate) bundle: Result<Vec<u8>, Problem>,
}

/// A manifest with a trusted signature that satisfies the policy.
pub(crate) struct VerifiedManifest<'a> {
    pub(crate) manifest: Manifest,
    /// The digest of its text.
    pub(crate) digest: Digest,
    /// Signer and policy of its version, for all other checks.
    pub(crate) required: Requirements<'a>,
}

impl UnverifiedManifest {
    /// Reads both from the release folder `root`.
    pub(crate) fn read(root: &Path) -> Self {
        Self {
            manifest: files::read(&root.join(layout::MANIFEST), MANIFEST_LIMIT),
            bundle: files::read(&root.join(layout::signature(layout::MANIFEST)), BUNDLE_LIMIT),
        }
    }

    /// Checks the signature, then that the manifest satisfies `policy` and names the signer. Any
    /// fault ends the verification: nothing that an unsigned manifest names is read. Where any version
    /// will do, its own decides which identity has to have signed it.
    pub(crate) fn authenticate<'a>(
        self,
        trust: Trust<'a>,
        policy: &Policy,
        findings: &mut Findings,
    ) -> Option<VerifiedManifest<'a>> {
        findings.subject(layout::MANIFEST, "manifest", &[Check::Content, Check::Signature]);
        let authentic = self.parse(trust, policy, findings);
        if authentic.is_none() {
            findings.stop(layout::MANIFEST);
        }
        authentic
    }

    fn parse<'a>(
        self,
        trust: Trust<'a>,
        policy: &Policy,
        findings: &mut Findings,
    ) -> Option<VerifiedManifest<'a>> {
        let required = self.manifest.and_then(|bytes| {
            let required = Requirements::new(trust, policy, &bytes)?;
            Ok((bytes, required))
        });
        let (bytes, required) = match required {
            Ok(found) => found,
            Err(problem) => {
                findings.fault(layout::MANIFEST, Check::Content, layout::MANIFEST, problem);
                return None;
            }
        };
        let trust = required.trust();
        findings.signer(trust);
        let signed = self.bundle.and_then(|bundle| {
            parse_bundle(&bundle)?.verify_file(trust, &sha256(&bytes)).map_err(Problem::from)
        });
        if let Err(problem) = signed {
            let place = layout::signature(layout::MANIFEST);
            findings.fault(layout::MANIFEST, Check::Signature, &place, problem);
            return None;
        }
        let manifest = match Manifest::parse(&bytes) {
            Ok(manifest) => manifest,
            Err(e) => {
                let problem = Problem::Manifest(e.to_string());
                findings.fault(layout::MANIFEST, Check::Content, layout::MANIFEST, problem);
                return None;
            }
        };
        findings.release(&manifest);
        let mut good = true;
        let mut fault = |check, problem| {
            good = false;
            findings.fault(layout::MANIFEST, check, layout::MANIFEST, problem);
        };
        if let Err(problem) = signer(&manifest, trust) {
            fault(Check::Signature, problem);
        }
        for problem in required.policy.deviations(&manifest) {
            fault(Check::Content, problem);
        }
        good.then(|| VerifiedManifest { manifest, digest: Digest::sha256(&bytes), required })
    }
}

/// Checks the published public key, if the release must have one.
pub(crate) fn key(folder: &Folder, trust: Trust<'_>, findings: &mut Findings) {
    let Trust::Key(key) = trust else { return };
    findings.subject(layout::PUBLIC_KEY, "key", &[Check::Content]);
    if let Err(problem) = check_published_key(folder, key) {
        findings.fault(layout::PUBLIC_KEY, Check::Content, layout::PUBLIC_KEY, problem);
    }
}

/// Whether the manifest names the trusted signer.
fn signer(manifest: &Manifest, trust: Trust<'_>) -> Result<(), Problem> {
    let expected = match trust {
        Trust::Key(_) => None,
        Trust::Identity(it) => Some((it.subject.as_str(), it.issuer.as_str())),
    };
    let found = manifest.signer.as_ref().map(|it| (it.identity.as_str(), it.issuer.as_str()));
    if found == expected {
        return Ok(());
    }
    let text = |who: Option<(&str, &str)>| {
        who.map_or_else(|| "a key".to_owned(), |(name, issuer)| format!("{name} of {issuer}"))
    };
    Err(Problem::Signer { expected: text(expected), found: text(found) })
}

/// Checks the signatures of all files and images, and the attested SBOMs of images.
pub(crate) fn check(
    folder: &Folder,
    manifest: &Manifest,
    trust: Trust<'_>,
    findings: &mut Findings,
) {
    for artifact in &manifest.artifacts {
        file(folder, &artifact.path, trust, findings);
    }
    for image in &manifest.images {
        let name = image.repository.as_str();
        let checks = [Check::Content, Check::Signature, Check::Provenance, Check::Sbom];
        findings.subject(name, "image", &checks);
        let Some(digest) = image_digest(image) else {
            let text = format!("the digest {:?} is not sha256:HEX", image.digest);
            findings.fault(name, Check::Content, layout::MANIFEST, Problem::Image(text));
            continue;
        };
        let place = layout::signature(name);
        let signed = bundle(folder, &place)
            .and_then(|b| Ok(b.verify_statement(trust, COSIGN_SIGN, &digest)?));
        if let Err(problem) = signed {
            findings.fault(name, Check::Signature, &place, problem);
        }
        if let Err((place, problem)) = legacy(folder, name, name, trust, &digest) {
            findings.fault(name, Check::Signature, &place, problem);
        }
        for attested in list_attested(manifest, name) {
            if let Err(problem) = check_attested_document(folder, image, &attested, trust, &digest)
            {
                findings.fault(name, Check::Sbom, &attested.attestation, problem);
            }
        }
    }
}

/// Checks the signatures and attestations of the manifests in the index of `image`, which are its
/// `parts`.
pub(crate) fn parts(
    folder: &Folder,
    manifest: &Manifest,
    image: &Image,
    parts: &Parts,
    trust: Trust<'_>,
    findings: &mut Findings,
) {
    let name = &image.repository;
    let mut digests: Vec<_> = image_digest(image).into_iter().collect();
    let expected = digests.len() + image.parts().len();
    for architecture in image.parts() {
        let signed = layout::part(name, *architecture);
        let part = parts.get(architecture).and_then(|digest| sha256_from_hex(digest.hex()));
        let Some(digest) = part else {
            let text = format!("its index has no image for {}", architecture.oci());
            findings.fault(name, Check::Content, &image.layout, Problem::Image(text));
            continue;
        };
        digests.push(digest);
        let place = layout::signature(&signed);
        let verified = bundle(folder, &place)
            .and_then(|b| Ok(b.verify_statement(trust, COSIGN_SIGN, &digest)?));
        if let Err(problem) = verified {
            findings.fault(name, Check::Signature, &place, problem);
        }
        if let Err((place, problem)) = legacy(folder, &signed, name, trust, &digest) {
            findings.fault(name, Check::Signature, &place, problem);
        }
    }
    // The statements about a single manifest were compared with the image. A missing manifest was
    // reported above.
    if image.parts().is_empty() || digests.len() < expected {
        return;
    }
    for attestation in list_attestations(manifest, name) {
        let place = &attestation.path;
        // A bundle that does not verify was reported with the image.
        let Ok(bundle) = bundle(folder, place) else { continue };
        let Ok(statement) = bundle.verify_any_statement(trust) else { continue };
        if let Err(e) = statement.expect_subjects(&digests) {
            findings.fault(name, attestation.check, place, BundleError::from(e));
        }
    }
}

/// The statement in the bundle `path` about `image`, whose digest is `digest`.
pub(crate) fn image_statement(
    folder: &Folder,
    path: &str,
    image: &Image,
    trust: Trust<'_>,
    predicate_type: &str,
    digest: &Sha256,
) -> Result<Statement, Problem> {
    let mut statement = bundle(folder, path)?.verify_any_statement(trust)?;
    if !image.parts().is_empty() {
        // `parts` compares the other subjects, when the index was read.
        statement.subject.truncate(1);
    }
    statement.expect(predicate_type, digest).map_err(BundleError::from)?;
    Ok(statement)
}

/// Reads a bundle without verifying it. It must have the one form that this project writes, because
/// the signature does not cover white space and the order of fields.
pub(crate) fn bundle(folder: &Folder, path: &str) -> Result<Bundle, Problem> {
    parse_bundle(&folder.read(path)?)
}

fn parse_bundle(bytes: &[u8]) -> Result<Bundle, Problem> {
    let bundle = Bundle::parse(bytes)?;
    if bundle.to_json()? == bytes { Ok(bundle) } else { Err(Problem::Form) }
}

/// The digest of an image as bytes; `None` unless it is `sha256:HEX`.
pub(crate) fn image_digest(image: &Image) -> Option<Sha256> {
    sha256_from_hex(image.digest.strip_prefix("sha256:")?)
}

fn check_published_key(folder: &Folder, key: &PublicKey) -> Result<(), Problem> {
    let published = folder.read(layout::PUBLIC_KEY)?;
    let expected = key.to_pem().map_err(|e| Problem::Unreadable(e.to_string()))?;
    if published == expected.as_bytes() { Ok(()) } else { Err(Problem::OtherKey) }
}

/// Verifies the signature of a file over its bytes.
fn file(folder: &Folder, path: &str, trust: Trust<'_>, findings: &mut Findings) {
    let place = layout::signature(path);
    let signed = bundle(folder, &place).and_then(|bundle| {
        let Ok((digest, _)) = folder.facts(path) else {
            // The content check has reported it; a missing file cannot be compared.
            return Ok(());
        };
        let digest = sha256_from_hex(digest.hex()).ok_or(Problem::Missing)?;
        Ok(bundle.verify_file(trust, &digest)?)
    });
    if let Err(problem) = signed {
        findings.fault(path, Check::Signature, &place, problem);
    }
}

/// The payload is derived from the image, so any difference is a fault of that file. Both files are
/// named after `signed`.
fn legacy(
    folder: &Folder,
    signed: &str,
    name: &str,
    trust: Trust<'_>,
    digest: &Sha256,
) -> Result<(), (String, Problem)> {
    let at_payload = layout::legacy_payload(signed);
    let expected = simple_signing::payload(name, digest);
    let payload = expected.map_err(Problem::from).and_then(|expected| {
        let found = folder.read(&at_payload)?;
        if found == expected { Ok(found) } else { Err(Problem::OtherPayload) }
    });
    let payload = payload.map_err(|problem| (at_payload, problem))?;
    let (at_signature, verified) = match trust {
        Trust::Key(key) => {
            let at_signature = layout::legacy_signature(signed);
            let verified = folder.read(&at_signature).and_then(|signature| {
                let signature = String::from_utf8_lossy(&signature);
                Ok(simple_signing::verify(key, &payload, &signature, digest)?)
            });
            (at_signature, verified)
        }
        Trust::Identity(identity) => {
            let at_signature = layout::legacy_bundle(signed);
            let verified = bundle(folder, &at_signature)
                .and_then(|bundle| Ok(bundle.verify_file(identity, &sha256(&payload))?));
            (at_signature, verified)
        }
    };
    verified.map_err(|problem| (at_signature, problem))
}

/// The attested document must be the one in the release.
fn check_attested_document(
    folder: &Folder,
    image: &Image,
    attested: &AttestedDocument,
    trust: Trust<'_>,
    digest: &Sha256,
) -> Result<(), Problem> {
    let AttestedDocument { document: path, attestation, predicate_type } = attested;
    let statement = image_statement(folder, attestation, image, trust, predicate_type, digest)?;
    // A missing document was reported with the files.
    let Ok(bytes) = folder.read(path) else { return Ok(()) };
    let document: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|e| Problem::Sbom(e.to_string()))?;
    if statement.predicate == document {
        Ok(())
    } else {
        Err(Problem::Sbom(format!("it attests another document than {path}")))
    }
}
