// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Multi-arch images: combines single-architecture layouts to a layout with an index, and splits
//! it.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use foundation::tree::remove;
use oci::spec::{Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, PlatformBuilder};
use oci::{Layout, artifact, media_type};
use release::Architecture;

/// An image's platform.
pub struct Platform {
    /// Architecture in its configuration.
    pub architecture: Architecture,
    /// Descriptor of its manifest.
    pub descriptor: Descriptor,
    /// Manifest.
    pub manifest: ImageManifest,
}

/// Platforms of the only image in `layout`, sorted by architecture: the manifests of an index, or
/// the single manifest.
///
/// # Errors
/// When the layout is malformed, does not contain exactly one image, or has an unsupported
/// architecture.
pub fn read(layout: &Layout) -> Result<Vec<Platform>> {
    let root = root(layout)?;
    let descriptors = if media_type::is_index(root.media_type().as_ref()) {
        let index: ImageIndex = serde_json::from_slice(&layout.read_document(&root)?)
            .context("the image's index is malformed")?;
        index.manifests().clone()
    } else {
        vec![root]
    };
    let mut platforms =
        descriptors.into_iter().map(|it| platform(layout, it)).collect::<Result<Vec<_>>>()?;
    platforms.sort_by_key(|platform| platform.architecture);
    Ok(platforms)
}

/// Descriptor of the only image in `layout`, an index or a manifest.
///
/// # Errors
/// When the layout is malformed or does not contain exactly one image.
pub fn root(layout: &Layout) -> Result<Descriptor> {
    let index = layout.index()?;
    let [descriptor] = index.manifests().as_slice() else {
        bail!("{} has {} images, expected one", layout.root().display(), index.manifests().len());
    };
    Ok(descriptor.clone())
}

/// Writes `platform` of the image in `whole` as a single image to `to`, replacing it and sharing
/// blobs: for programs that require a layout with one image for one architecture.
pub fn take_out(whole: &Layout, platform: &Platform, to: &Path) -> Result<()> {
    remove(to)?;
    Layout::create(to)?.write_index(vec![platform.descriptor.clone()])?;
    remove(&to.join("blobs"))?;
    symlink(whole.root().join("blobs"), to.join("blobs"))
        .with_context(|| format!("cannot fill {}", to.display()))
}

fn platform(layout: &Layout, descriptor: Descriptor) -> Result<Platform> {
    let manifest: ImageManifest = serde_json::from_slice(&layout.read_document(&descriptor)?)
        .context("the image's manifest is malformed")?;
    let config: ImageConfiguration =
        serde_json::from_slice(&layout.read_document(manifest.config())?)
            .context("the image's configuration is malformed")?;
    let architecture = match config.architecture() {
        Arch::Amd64 => Architecture::Amd64,
        Arch::ARM64 => Architecture::Arm64,
        other => bail!("the image is for {other}: expected amd64 or arm64"),
    };
    Ok(Platform { architecture, descriptor, manifest })
}

/// Writes the images of `parts`, one per architecture, to a layout in the new folder `to`,
/// verifying digests: as an index (OCI image specification, "Image Index") if there are several.
/// The index carries the annotations that they have in common.
pub fn combine(parts: &[Layout], to: &Path) -> Result<Descriptor> {
    let out = Layout::create(to)?;
    let mut platforms = Vec::new();
    for part in parts {
        let contents = part.walk()?;
        for descriptor in contents.blobs.iter().chain(&contents.manifests) {
            out.write_blob(descriptor.media_type().as_ref(), part.open_blob(descriptor)?)?;
        }
        platforms.extend(read(part)?);
    }
    platforms.sort_by_key(|platform| platform.architecture);
    let root = match platforms.as_slice() {
        [] => bail!("an image needs at least one architecture"),
        [one] => one.descriptor.clone(),
        several => out.write_json(media_type::IMAGE_INDEX, &index(several)?)?,
    };
    out.write_index(vec![root.clone()])?;
    Ok(root)
}

fn index(platforms: &[Platform]) -> Result<ImageIndex> {
    let manifests = platforms
        .iter()
        .map(|platform| {
            let mut descriptor = platform.descriptor.clone();
            let named = PlatformBuilder::default()
                .architecture(super::base::arch(platform.architecture))
                .os(oci::spec::Os::Linux)
                .build()?;
            descriptor.set_platform(Some(named));
            Ok(descriptor)
        })
        .collect::<Result<Vec<_>>>()?;
    let mut index = artifact::index(manifests)?;
    index.set_annotations(Some(common_annotations(platforms)));
    Ok(index)
}

fn common_annotations(platforms: &[Platform]) -> HashMap<String, String> {
    let mut all = platforms.iter().map(|platform| {
        let annotations = platform.manifest.annotations().iter().flatten();
        annotations.map(|(key, value)| (key.clone(), value.clone())).collect::<BTreeMap<_, _>>()
    });
    let mut common = all.next().unwrap_or_default();
    for other in all {
        common.retain(|key, value| other.get(key) == Some(value));
    }
    common.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::base;
    use super::*;

    fn image(folder: &Path, architecture: Architecture) -> Layout {
        let root = folder.join(format!("{}.tar", architecture.oci()));
        fs::write(&root, [0; 1024]).unwrap();
        let folder = folder.join(architecture.oci());
        base::write(&folder, &root, architecture, "2025-10-09T08:53:20Z").unwrap();
        Layout::open(folder).unwrap()
    }

    #[test]
    fn two_architectures_become_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let arm = image(folder.path(), Architecture::Arm64);
        let amd = image(folder.path(), Architecture::Amd64);
        let to = folder.path().join("both");
        let found = combine(&[arm, amd], &to).unwrap();
        assert_eq!(found.media_type().as_ref(), media_type::IMAGE_INDEX);

        let both = Layout::open(&to).unwrap();
        let platforms = read(&both).unwrap();
        let named: Vec<_> = platforms.iter().map(|it| it.architecture).collect();
        assert_eq!(named, [Architecture::Amd64, Architecture::Arm64]);
        let arm64 = platforms[1].descriptor.platform().as_ref().unwrap();
        assert_eq!((arm64.architecture(), arm64.variant().as_deref()), (&Arch::ARM64, None));
        // The index refers to both, and its bytes do not depend on the order.
        assert_eq!(both.walk().unwrap().manifests.len(), 3);
        let parts = ["amd64", "arm64"].map(|it| Layout::open(folder.path().join(it)).unwrap());
        let again = combine(&parts, &folder.path().join("again")).unwrap();
        assert_eq!(again.digest(), found.digest());
    }

    #[test]
    fn one_architecture_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let amd = image(folder.path(), Architecture::Amd64);
        let before = root(&amd).unwrap();
        let to = folder.path().join("one");
        assert_eq!(combine(&[amd], &to).unwrap(), before);
        assert_eq!(read(&Layout::open(to).unwrap()).unwrap().len(), 1);
    }
}
