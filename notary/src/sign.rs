// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary sign`: a signature for each file, each image and the manifest.

use anyhow::{Result, bail};
use release::{Channel, layout};
use sigstore::statement::COSIGN_SIGN;
use sigstore::{PrivateKey, Sha256, Statement, simple_signing};

use crate::attest;
use crate::cli::SigningArgs;
use crate::release_folder::{self, ReleaseFolder};
use crate::signer::Signer;

pub(crate) fn run(args: &SigningArgs) -> Result<()> {
    let folder = ReleaseFolder::open(&args.release)?;
    if let Some(signer) = Signer::find(args)? {
        return sign(&folder, &signer);
    }
    let channel = folder.manifest.channel;
    if channel != Channel::Snapshot {
        bail!(
            "a release of the channel {channel:?} needs a key: set XTASK_SIGNING_KEY and COSIGN_PASSWORD, \
             or give --key FILE"
        );
    }
    println!("no key: signing this snapshot with one that is thrown away when this run ends");
    let signer = Signer::Native(PrivateKey::generate());
    sign(&folder, &signer)?;
    attest::attest(&folder, &signer, args)
}

fn sign(folder: &ReleaseFolder, signer: &Signer) -> Result<()> {
    // First, so that a run that breaks off leaves no signature beside a key that did not make it.
    folder.write(layout::PUBLIC_KEY, signer.public().to_pem()?.as_bytes())?;
    let path = folder.root.join(layout::MANIFEST);
    let manifest = signer.sign_file(&path, &folder.manifest_digest)?;
    folder.write(&layout::signature(layout::MANIFEST), &manifest.to_json()?)?;
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
            sign_payload(folder, signer, &signed, name, &release_folder::digest(digest.hex())?)?;
        }
    }
    let (files, images) = (folder.manifest.artifacts.len(), folder.manifest.images.len());
    println!(
        "signed {files} files, {images} images and release.json, key {}",
        signer.public().hint()
    );
    Ok(())
}

/// Signs the manifest `digest` of the image `name` in cosign's older form, in files named after `signed`.
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
    folder.write(&layout::legacy_signature(signed), signature.as_bytes())
}
