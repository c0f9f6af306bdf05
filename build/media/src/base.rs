// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writes a base image: one layer with a root file system.

use std::path::Path;

use anyhow::{Context as _, Result};
use oci::spec::{
    Arch, ConfigBuilder, Descriptor, HistoryBuilder, ImageConfigurationBuilder, Os, RootFsBuilder,
};
use oci::{Layout, artifact, media_type};
use release::Architecture;

use super::layer;

/// `PATH` of Debian.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Creates a layout in the new folder `folder` with one image: the root file system in the tar file
/// `root`. `created` is an RFC 3339 time.
pub fn write(
    folder: &Path,
    root: &Path,
    architecture: Architecture,
    created: &str,
) -> Result<Descriptor> {
    let layout = Layout::create(folder)?;
    let (layer, diff_id) = layer::store_file(&layout, root)?;
    let config = ImageConfigurationBuilder::default()
        .created(created)
        .architecture(arch(architecture))
        .os(Os::Linux)
        .config(ConfigBuilder::default().env(vec![PATH.to_owned()]).build()?)
        .rootfs(RootFsBuilder::default().diff_ids(vec![diff_id.to_string()]).build()?)
        // One entry per layer is required: buildah rejects images that are built on top otherwise.
        .history(vec![HistoryBuilder::default().created(created).created_by("mmdebstrap").build()?])
        .build()?;
    let config = layout.write_json(media_type::IMAGE_CONFIG, &config)?;
    let manifest = artifact::image(config, vec![layer])?;
    let manifest = layout.write_json(media_type::IMAGE_MANIFEST, &manifest)?;
    layout
        .write_index(vec![manifest.clone()])
        .with_context(|| format!("cannot finish the base image in {}", folder.display()))?;
    Ok(manifest)
}

/// OCI architecture.
pub fn arch(architecture: Architecture) -> Arch {
    match architecture {
        Architecture::Amd64 => Arch::Amd64,
        Architecture::Arm64 => Arch::ARM64,
    }
}
