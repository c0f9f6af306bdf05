// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary attest`: SLSA provenance for each file and image, and attestations of SBOMs and the VEX
//! document for each image.

use anyhow::{Context as _, Result, bail};
use release::{Channel, layout};
use serde_json::Value;
use signing::slsa::PREDICATE_TYPE;
use signing::{PublicKey, Statement};
use verify::{AttestedDocument, Check, Fault, Policy, list_attested, provenance};

use crate::cli::SigningArgs;
use crate::release_folder::ReleaseFolder;
use crate::signer::Signer;

pub(crate) fn run(args: &SigningArgs) -> Result<()> {
    let folder = ReleaseFolder::open(&args.release)?;
    match Signer::find(&args.keys, folder.manifest.signer.as_ref())? {
        Some(signer) => {
            same_signer(&folder, &signer)?;
            attest(&folder, &signer, args)
        }
        None => check_attested(&folder, args),
    }
}

/// Attests all files and images with `signer`.
pub(crate) fn attest(folder: &ReleaseFolder, signer: &Signer, args: &SigningArgs) -> Result<()> {
    let manifest = &folder.manifest;
    let local = provenance::local_builder(&manifest.source.uri);
    let builder = args.builder.as_deref().unwrap_or(&local);
    let predicate = serde_json::to_value(provenance::build(manifest, args.pipeline, builder))?;
    for file in folder.files() {
        let (file, digest) = file?;
        let statement = Statement::new(&file.path, &digest, PREDICATE_TYPE, predicate.clone());
        let bundle = signer.sign_statement(&statement)?;
        folder.write(&layout::provenance(&file.path), &bundle.to_json()?)?;
    }
    for image in folder.images() {
        let (image, digest) = image?;
        let name = &image.repository;
        // Clients resolve an index to the manifest of their platform, and ask for attestations of it.
        let mut subjects = vec![(name.as_str(), digest)];
        for (_, part) in folder.parts(image)? {
            subjects.push((name, crate::release_folder::digest(&part.to_string())?));
        }
        let sign = |predicate_type: &str, predicate: Value| {
            let statement =
                Statement::of_subjects(subjects.iter().copied(), predicate_type, predicate);
            signer.sign_statement(&statement)
        };
        let bundle = sign(PREDICATE_TYPE, predicate.clone())?;
        folder.write(&layout::provenance(name), &bundle.to_json()?)?;
        for AttestedDocument { document, attestation, predicate_type } in
            list_attested(manifest, name)
        {
            // Opening the folder has checked that it exists, and that an SBOM describes this image.
            let predicate = serde_json::from_slice(&folder.read(&document)?)
                .with_context(|| format!("{document} is not JSON"))?;
            folder.write(&attestation, &sign(predicate_type, predicate)?.to_json()?)?;
        }
    }
    let (files, images) = (manifest.artifacts.len(), manifest.images.len());
    escape::print_line(format_args!(
        "attested {files} files and {images} images, builder {builder}"
    ))?;
    Ok(())
}

/// Checks that the release is attested. Without a key, `notary sign` with a throw-away key attests
/// too.
fn check_attested(folder: &ReleaseFolder, args: &SigningArgs) -> Result<()> {
    let needs =
        "attesting needs a key: set XTASK_SIGNING_KEY and COSIGN_PASSWORD, or give --key FILE";
    if folder.manifest.channel != Channel::Snapshot {
        bail!("{needs}");
    }
    let published = folder.read(layout::PUBLIC_KEY).with_context(|| {
        format!("{needs}; `notary sign` attests a snapshot without a key: run it first")
    })?;
    let key = PublicKey::from_pem(&String::from_utf8_lossy(&published))?;
    let policy = Policy { builder: args.builder.clone(), ..Policy::default() };
    let report = verify::folder(&args.release, &key, &policy)?;
    // An incomplete report has checked no provenance; its fault is the reason.
    let concerns = |fault: &&Fault| fault.check == Check::Provenance || !report.is_complete();
    if let Some(fault) = report.faults.iter().find(concerns) {
        bail!(
            "{}: {}; {needs}, or run `notary sign` again without one",
            fault.place,
            fault.problem
        );
    }
    escape::print_line("already attested, by `notary sign` with a temporary key")?;
    Ok(())
}

/// Checks that `signer` also signed the release: a release has one key or identity.
fn same_signer(folder: &ReleaseFolder, signer: &Signer) -> Result<()> {
    let by_identity = folder.manifest.signer.is_some();
    let Some(key) = signer.public() else {
        // Verifying each bundle checks that it is the same identity.
        return if by_identity {
            Ok(())
        } else {
            bail!("release.json has no signer: run `notary sign` with the same engine first")
        };
    };
    if by_identity {
        bail!("the release was signed keyless; sign it again with this key first");
    }
    let published = folder.read(layout::PUBLIC_KEY).context("run `notary sign` first")?;
    if published != key.to_pem()?.as_bytes() {
        bail!("the release was signed with another key; sign it again with this key first");
    }
    Ok(())
}
