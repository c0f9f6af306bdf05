// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Whether who is trusted signed the manifest, each file and each image, each in the way that its kind asks for.

use release::layout::{self, SbomFormat};
use release::{Image, Manifest};
use sigstore::statement::{COSIGN_SIGN, CYCLONEDX, SPDX};
use sigstore::{Bundle, PublicKey, Sha256, Trust, sha256, sha256_from_hex, simple_signing};

use crate::files::Folder;
use crate::images::Parts;
use crate::report::{Check, Findings, Problem};

/// Checks the published key, if there has to be one, reads the manifest and checks its signature, and that it
/// says of itself that it is signed so.
///
/// A manifest with a bad signature is returned all the same, so that the other faults are named too.
pub(crate) fn manifest(
    folder: &Folder,
    trust: Trust<'_>,
    findings: &mut Findings,
) -> Option<Manifest> {
    if let Trust::Key(key) = trust {
        findings.subject(layout::PUBLIC_KEY, "key", &[Check::Content]);
        if let Err(problem) = published_key(folder, key) {
            findings.fault(layout::PUBLIC_KEY, Check::Content, layout::PUBLIC_KEY, problem);
        }
    }
    findings.subject(layout::MANIFEST, "manifest", &[Check::Content, Check::Signature]);
    file(folder, layout::MANIFEST, trust, findings);
    let manifest = folder
        .read(layout::MANIFEST)
        .and_then(|bytes| Manifest::parse(&bytes).map_err(|e| Problem::Manifest(e.to_string())));
    match manifest {
        Ok(manifest) => {
            findings.release(&manifest);
            if let Err(problem) = signer(&manifest, trust) {
                findings.fault(layout::MANIFEST, Check::Signature, layout::MANIFEST, problem);
            }
            Some(manifest)
        }
        Err(problem) => {
            findings.fault(layout::MANIFEST, Check::Content, layout::MANIFEST, problem);
            None
        }
    }
}

/// Whether the manifest says to be signed by who is trusted.
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

/// Checks the signatures of all files and images, and the attested bills of materials of images.
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
        for format in SbomFormat::REQUIRED {
            let place = layout::sbom_attestation(name, format);
            if let Err(problem) = attested_sbom(folder, &place, name, format, trust, &digest) {
                findings.fault(name, Check::Sbom, &place, problem);
            }
        }
    }
}

/// Checks the signatures of the manifests that the index of `image` leads to, which are its `parts`.
pub(crate) fn parts(
    folder: &Folder,
    image: &Image,
    parts: &Parts,
    trust: Trust<'_>,
    findings: &mut Findings,
) {
    let name = &image.repository;
    for architecture in image.parts() {
        let signed = layout::part(name, *architecture);
        let part = parts.get(architecture).and_then(|digest| sha256_from_hex(digest.hex()));
        let Some(digest) = part else {
            let text = format!("its index leads to no image for {}", architecture.oci());
            findings.fault(name, Check::Content, &image.layout, Problem::Image(text));
            continue;
        };
        if let Err((place, problem)) = legacy(folder, &signed, name, trust, &digest) {
            findings.fault(name, Check::Signature, &place, problem);
        }
    }
}

/// Reads a bundle; its signature is not checked yet. It must have the one form that is written here,
/// since the signature does not cover white space and the order of fields.
pub(crate) fn bundle(folder: &Folder, path: &str) -> Result<Bundle, Problem> {
    let bytes = folder.read(path)?;
    let bundle = Bundle::parse(&bytes)?;
    if bundle.to_json()? == bytes { Ok(bundle) } else { Err(Problem::Form) }
}

/// The digest of an image as bytes; `None` unless it is `sha256:HEX`.
pub(crate) fn image_digest(image: &Image) -> Option<Sha256> {
    sha256_from_hex(image.digest.strip_prefix("sha256:")?)
}

fn published_key(folder: &Folder, key: &PublicKey) -> Result<(), Problem> {
    let published = folder.read(layout::PUBLIC_KEY)?;
    let expected = key.to_pem().map_err(|e| Problem::Unreadable(e.to_string()))?;
    if published == expected.as_bytes() { Ok(()) } else { Err(Problem::OtherKey) }
}

/// The signature of a file, over the bytes that are there.
fn file(folder: &Folder, path: &str, trust: Trust<'_>, findings: &mut Findings) {
    let place = layout::signature(path);
    let signed = bundle(folder, &place).and_then(|bundle| {
        let Ok((digest, _)) = folder.facts(path) else {
            // The content's own check has named it; what is not there can't be compared.
            return Ok(());
        };
        let digest = sha256_from_hex(digest.hex()).ok_or(Problem::Missing)?;
        Ok(bundle.verify_file(trust, &digest)?)
    });
    if let Err(problem) = signed {
        findings.fault(path, Check::Signature, &place, problem);
    }
}

/// The payload follows from the image, so whatever differs from it is a fault of that file. Both files are
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

/// The attested document must be the one that the release holds.
fn attested_sbom(
    folder: &Folder,
    place: &str,
    name: &str,
    format: SbomFormat,
    trust: Trust<'_>,
    digest: &Sha256,
) -> Result<(), Problem> {
    let statement =
        bundle(folder, place)?.verify_statement(trust, predicate_type(format), digest)?;
    let path = layout::sbom(name, format);
    // That the document is missing was noted with the files.
    let Ok(bytes) = folder.read(&path) else { return Ok(()) };
    let document: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|e| Problem::Sbom(e.to_string()))?;
    if statement.predicate == document {
        Ok(())
    } else {
        Err(Problem::Sbom(format!("it attests another document than {path}")))
    }
}

/// The kind of statement that attests a document of this format.
pub fn predicate_type(format: SbomFormat) -> &'static str {
    match format {
        SbomFormat::CycloneDx => CYCLONEDX,
        SbomFormat::Spdx | SbomFormat::Spdx3 => SPDX,
    }
}
