// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Restores a release folder from the image layout of a bundle.
//!
//! Paths come from the bundle, so each must stay in the folder. Blobs are linked where the file
//! system allows it. The caller checks the result against its `release.json`.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use oci::spec::{ANNOTATION_REF_NAME, Descriptor, ImageManifest};
use oci::{Digest, Layout, artifact, media_type};
use release::{Image, Manifest, layout};
use signing::bundle;

use super::super::plan::contents;
use super::{TRUSTED_ROOT, TRUSTED_ROOT_NAME, is_release};

/// A bundle with one release.
pub(super) struct Bundle<'a> {
    layout: &'a Layout,
    release: ImageManifest,
    /// Manifests whose subject is the release.
    referrers: Vec<ImageManifest>,
}

impl<'a> Bundle<'a> {
    /// Reads the release artifact and its referrers.
    ///
    /// # Errors
    /// When there is no release artifact, or more than one.
    pub(super) fn read(layout: &'a Layout) -> Result<Self> {
        let index = layout.index()?;
        let mut found: Vec<&Descriptor> = index
            .manifests()
            .iter()
            .filter(|it| {
                let name = it.annotations().as_ref().and_then(|it| it.get(ANNOTATION_REF_NAME));
                name.is_some_and(|name| is_release(name))
            })
            .collect();
        found.dedup_by_key(|it| it.digest());
        let [descriptor] = found.as_slice() else {
            bail!("index.json names {} releases, expected one", found.len());
        };
        let release: ImageManifest = manifest(layout, descriptor)?;
        let kind = release.artifact_type().as_ref().map(ToString::to_string).unwrap_or_default();
        ensure!(
            kind == layout::ARTIFACT_TYPE,
            "{} has the type {kind:?}, expected {:?}",
            descriptor.digest(),
            layout::ARTIFACT_TYPE
        );
        let mut referrers = Vec::new();
        for entry in index.manifests() {
            if media_type::is_manifest(entry.media_type().as_ref()) {
                let manifest: ImageManifest = manifest(layout, entry)?;
                let subject = manifest.subject().as_ref().map(Descriptor::digest);
                if subject == Some(descriptor.digest()) {
                    referrers.push(manifest);
                }
            }
        }
        Ok(Self { layout, release, referrers })
    }

    /// Restores the release folder `root`, which must not exist.
    pub(super) fn restore(&self, root: &Path) -> Result<()> {
        for layer in self.release.layers() {
            let title = artifact::title(layer).unwrap_or_default();
            ensure!(
                verify::is_inside(title),
                "a layer has the title {title:?}, which is not a path"
            );
            self.link(&Digest::try_from(layer.digest())?, &root.join(title))
                .with_context(|| title.to_owned())?;
        }
        for bundle in self.referrers.iter().filter(|it| is_type(it, bundle::MEDIA_TYPE)) {
            for layer in bundle.layers() {
                let digest = Digest::try_from(layer.digest())?;
                self.link(&digest, &root.join(layout::rebuild(digest.hex())))?;
            }
        }
        let path = root.join(layout::MANIFEST);
        let bytes = fs::read(&path).with_context(|| format!("it has no {}", layout::MANIFEST))?;
        for image in &Manifest::parse(&bytes)?.images {
            self.image(image, root).with_context(|| format!("image {}", image.repository))?;
        }
        Ok(())
    }

    /// The trusted root in the bundle.
    pub(super) fn trusted_root(&self) -> Result<Vec<u8>> {
        let found = self.referrers.iter().filter(|it| is_type(it, TRUSTED_ROOT));
        let layer = found
            .flat_map(ImageManifest::layers)
            .find(|layer| artifact::title(layer) == Some(TRUSTED_ROOT_NAME))
            .context("the bundle has no trusted root; `notary bundle --trusted-root` adds one")?;
        Ok(self.layout.read_document(layer)?)
    }

    fn image(&self, image: &Image, root: &Path) -> Result<()> {
        let inside = verify::is_inside(&image.layout)
            && image.layout.split('/').next() == Some(layout::IMAGES);
        ensure!(inside, "its layout {:?} is not in {}", image.layout, layout::IMAGES);
        let digest: Digest = image.digest.parse()?;
        let path = self.layout.blob_path(&digest);
        let size = fs::metadata(&path).with_context(|| format!("{digest} is missing"))?.len();
        let root_descriptor = artifact::descriptor(&image.media_type, &digest, size);
        let (blobs, manifests) = contents(self.layout, &root_descriptor)?;
        let restored = Layout::create(root.join(&image.layout))?;
        let digests =
            blobs.iter().map(|it| &it.digest).chain(manifests.iter().map(|it| &it.digest));
        for digest in digests {
            self.link(digest, &restored.blob_path(digest))?;
        }
        restored.write_index(vec![root_descriptor])?;
        Ok(())
    }

    /// Links the blob to the new file `path`, or copies it where links are not supported.
    fn link(&self, digest: &Digest, path: &Path) -> Result<()> {
        let blob = self.layout.blob_path(digest);
        fs::create_dir_all(files::parent(path))?;
        match fs::hard_link(&blob, path) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::AlreadyExists) =>
            {
                Err(error).with_context(|| digest.to_string())
            }
            Err(_) => fs::copy(&blob, path).map(drop).with_context(|| digest.to_string()),
            Ok(()) => Ok(()),
        }
    }
}

fn is_type(manifest: &ImageManifest, expected: &str) -> bool {
    manifest.artifact_type().as_ref().is_some_and(|it| it.to_string() == expected)
}

fn manifest(layout: &Layout, descriptor: &Descriptor) -> Result<ImageManifest> {
    let bytes = layout.read_document(descriptor)?;
    serde_json::from_slice(&bytes)
        .with_context(|| format!("the manifest {} is malformed", descriptor.digest()))
}
