// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary sign`: signs every file and image, and the manifest.

use anyhow::{Result, bail};
use release::{Channel, layout};
use signing::statement::COSIGN_SIGN;
use signing::{PrivateKey, Sha256, Statement, simple_signing};

use crate::attest;
use crate::cli::SigningArgs;
use crate::release_folder::{self, ReleaseFolder};
use crate::signer::{PayloadSignature, Signer};

pub(crate) fn run(args: &SigningArgs) -> Result<()> {
    let mut folder = ReleaseFolder::open(&args.release)?;
    if let Some(signer) = Signer::find(&args.keys, None)? {
        return sign(&mut folder, &signer);
    }
    let channel = folder.manifest.channel;
    if channel != Channel::Snapshot {
        bail!(
            "a release of the channel {channel:?} needs a key: set XTASK_SIGNING_KEY and COSIGN_PASSWORD, \
             or give --key FILE"
        );
    }
    escape::print_line(format_args!(
        "no key: signing this snapshot with a temporary key, which is then discarded"
    ))?;
    let signer = Signer::Native(PrivateKey::generate());
    sign(&mut folder, &signer)?;
    attest::attest(&folder, &signer, args)
}

fn sign(folder: &mut ReleaseFolder, signer: &Signer) -> Result<()> {
    // Removed first, so that an interrupted run leaves no signature of another signer.
    folder.remove(&layout::signature(layout::MANIFEST))?;
    match signer.public() {
        Some(key) => folder.write(layout::PUBLIC_KEY, key.to_pem()?.as_bytes())?,
        None => folder.remove(layout::PUBLIC_KEY)?,
    }
    for file in folder.files() {
        let (file, digest) = file?;
        let bundle = signer.sign_file(&folder.root.join(&file.path), &digest)?;
        folder.write(&layout::signature(&file.path), &bundle.to_json()?)?;
    }
    for image in folder.images() {
        let (image, digest) = image?;
        let name = &image.repository;
        let statement = Statement::new(name, &digest, COSIGN_SIGN, serde_json::json!({}));
        let bundle = signer.sign_statement(&statement)?;
        folder.write(&layout::signature(name), &bundle.to_json()?)?;
        sign_payload(folder, signer, name, name, &digest)?;
        for (architecture, digest) in folder.parts(image)? {
            let signed = layout::part(name, architecture);
            let digest = release_folder::digest(digest.hex())?;
            let statement = Statement::new(name, &digest, COSIGN_SIGN, serde_json::json!({}));
            let bundle = signer.sign_statement(&statement)?;
            folder.write(&layout::signature(&signed), &bundle.to_json()?)?;
            sign_payload(folder, signer, &signed, name, &digest)?;
        }
    }
    // The manifest is signed last, since it names the identity, known from the first certificate
    // on.
    let identity = signer.identity();
    let digest = folder.name_signer(identity.clone())?;
    let manifest = signer.sign_file(&folder.root.join(layout::MANIFEST), &digest)?;
    folder.write(&layout::signature(layout::MANIFEST), &manifest.to_json()?)?;
    let (files, images) = (folder.manifest.artifacts.len(), folder.manifest.images.len());
    let by = match (signer.public(), identity) {
        (Some(key), _) => format!("key {}", key.hint()),
        (None, Some(it)) => format!("as {} of {}", it.identity, it.issuer),
        (None, None) => "by nobody".to_owned(),
    };
    escape::print_line(format_args!(
        "signed {files} files, {images} images and release.json, {by}"
    ))?;
    Ok(())
}

/// Signs the image `name` with the manifest `digest` in cosign's older format, in files named after
/// `signed`.
fn sign_payload(
    folder: &ReleaseFolder,
    signer: &Signer,
    signed: &str,
    name: &str,
    digest: &Sha256,
) -> Result<()> {
    let payload = simple_signing::payload(name, digest)?;
    let signature = signer.sign_payload(&payload)?;
    folder.write(&layout::legacy_payload(signed), &payload)?;
    let (of_key, of_identity) = (layout::legacy_signature(signed), layout::legacy_bundle(signed));
    // Remove the files of the other kind of signer, which would not belong to the release.
    match signature {
        PayloadSignature::Key(text) => {
            folder.remove(&of_identity)?;
            folder.write(&of_key, text.as_bytes())
        }
        PayloadSignature::Identity(bundle) => {
            folder.remove(&of_key)?;
            folder.write(&of_identity, &bundle.to_json()?)
        }
    }
}
