// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary sign`: a signature for each file, each image and the manifest.

use anyhow::{Result, bail};
use release::{Channel, layout};
use sigstore::statement::COSIGN_SIGN;
use sigstore::{Bundle, PrivateKey, Statement, simple_signing};

use crate::attest;
use crate::cli::SigningArgs;
use crate::key;
use crate::release_folder::ReleaseFolder;

pub(crate) fn run(args: &SigningArgs) -> Result<()> {
    let folder = ReleaseFolder::open(&args.release)?;
    if let Some(key) = key::find(args.key.as_deref())? {
        return sign(&folder, &key);
    }
    let channel = folder.manifest.channel;
    if channel != Channel::Snapshot {
        bail!(
            "a release of the channel {channel:?} needs a key: set XTASK_SIGNING_KEY and COSIGN_PASSWORD, \
             or give --key FILE"
        );
    }
    println!("no key: signing this snapshot with one that is thrown away when this run ends");
    let key = PrivateKey::generate();
    sign(&folder, &key)?;
    attest::attest(&folder, &key, args)
}

fn sign(folder: &ReleaseFolder, key: &PrivateKey) -> Result<()> {
    // First, so that a run that breaks off leaves no signature beside a key that did not make it.
    folder.write(layout::PUBLIC_KEY, key.public().to_pem()?.as_bytes())?;
    let manifest = Bundle::sign_file(key, &folder.manifest_digest)?;
    folder.write(&layout::signature(layout::MANIFEST), &manifest.to_json()?)?;
    for file in folder.files() {
        let (file, digest) = file?;
        let bundle = Bundle::sign_file(key, &digest)?;
        folder.write(&layout::signature(&file.path), &bundle.to_json()?)?;
    }
    for image in folder.images() {
        let (image, digest) = image?;
        let name = &image.repository;
        let statement = Statement::new(name, &digest, COSIGN_SIGN, serde_json::json!({}));
        let bundle = Bundle::sign_statement(key, &statement)?;
        folder.write(&layout::signature(name), &bundle.to_json()?)?;
        let payload = simple_signing::payload(name, &digest)?;
        let signature = simple_signing::sign(key, &payload)?;
        folder.write(&layout::legacy_payload(name), &payload)?;
        folder.write(&layout::legacy_signature(name), signature.as_bytes())?;
    }
    let (files, images) = (folder.manifest.artifacts.len(), folder.manifest.images.len());
    println!("signed {files} files, {images} images and release.json, key {}", key.public().hint());
    Ok(())
}
