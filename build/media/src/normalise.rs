// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Normalises an image, so that its digest depends on its content and not on the builder.
//!
//! Uniform layer compression, canonical JSON, epoch as timestamp, and no labels or comments about
//! the builder or its storage. What a container sees is unchanged.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use oci::spec::{Descriptor, ImageConfiguration, ImageManifest};
use oci::{Layout, artifact, media_type};

use super::layer;
use super::native_base::NativeBase;

/// Label with buildah's version, set by buildah and podman.
const BUILDER_LABEL: &str = "io.buildah.version";
/// Labels with this prefix are also annotations of the manifest (OCI image specification,
/// "Annotations").
const ANNOTATIONS: &str = "org.opencontainers.image.";

/// Writes the only image of the layout `from` to a layout in the new folder `to` and returns its
/// manifest's descriptor. Layers of `base` are copied unchanged. The layer of native programs in
/// `native_base` is left out.
///
/// # Errors
/// When a layout is malformed, `from` does not contain exactly one image, or a layer on top of the
/// native programs changes them.
pub fn image(
    from: &Layout,
    base: &Layout,
    native_base: Option<&NativeBase>,
    to: &Path,
    created: &str,
) -> Result<Descriptor> {
    let manifest = manifest(from)?;
    let mut config = config(from)?;
    let diff_ids = config.rootfs().diff_ids().clone();
    ensure!(
        diff_ids.len() == manifest.layers().len(),
        "the image has {} layers and {} digests of layers",
        manifest.layers().len(),
        diff_ids.len()
    );
    let known = layers(base)?;
    let out = Layout::create(to)?;
    let mut stored = Vec::new();
    for (source, diff_id) in manifest.layers().iter().zip(&diff_ids) {
        if native_base.is_some_and(|native_base| native_base.is_layer(diff_id)) {
            continue;
        }
        stored.push(if let Some(layer) = known.get(diff_id) {
            out.write_blob(layer.media_type().as_ref(), base.open_blob(layer)?)?
        } else {
            if let Some(native_base) = native_base {
                native_base.check(from, source)?;
            }
            let (layer, found) = layer::store(&out, layer::open(from, source)?)?;
            if found.to_string() != *diff_id {
                bail!("a layer has the digest {found}, expected {diff_id} from the configuration");
            }
            layer
        });
    }
    if let Some(native_base) = native_base {
        config.rootfs_mut().diff_ids_mut().retain(|it| !native_base.is_layer(it));
        if let Some(history) = config.history_mut() {
            history.retain(|entry| !NativeBase::is_history(entry));
        }
    }
    clean(&mut config, created);
    let annotations = annotations(&config);
    let config = out.write_json(media_type::IMAGE_CONFIG, &config)?;
    let mut manifest = artifact::image(config, stored)?;
    manifest.set_annotations(Some(annotations));
    let manifest = out.write_json(media_type::IMAGE_MANIFEST, &manifest)?;
    out.write_index(vec![manifest.clone()])?;
    Ok(manifest)
}

/// The manifest of the only image in `layout`.
pub fn manifest(layout: &Layout) -> Result<ImageManifest> {
    let index = layout.index()?;
    let [descriptor] = index.manifests().as_slice() else {
        bail!("{} has {} images, expected one", layout.root().display(), index.manifests().len());
    };
    let bytes = layout.read_document(descriptor)?;
    serde_json::from_slice(&bytes).context("the image's manifest is malformed")
}

/// The configuration of the only image in `layout`.
pub fn config(layout: &Layout) -> Result<ImageConfiguration> {
    let config = layout.read_document(manifest(layout)?.config())?;
    serde_json::from_slice(&config).with_context(|| {
        format!("{}: the image's configuration is malformed", layout.root().display())
    })
}

/// The layers of the only image in `layout`, by `diff_id`.
fn layers(layout: &Layout) -> Result<BTreeMap<String, Descriptor>> {
    let (manifest, config) = (manifest(layout)?, config(layout)?);
    Ok(config.rootfs().diff_ids().iter().cloned().zip(manifest.layers().iter().cloned()).collect())
}

fn clean(config: &mut ImageConfiguration, created: &str) {
    config.set_created(Some(created.to_owned()));
    config.set_author(None);
    if let Some(history) = config.history_mut() {
        for entry in history {
            entry.set_created(Some(created.to_owned()));
            entry.set_comment(None);
        }
    }
    let mut execution = config.config().clone();
    if let Some(labels) = execution.as_mut().and_then(|execution| execution.labels_mut().as_mut()) {
        labels.remove(BUILDER_LABEL);
    }
    config.set_config(execution);
}

fn annotations(config: &ImageConfiguration) -> HashMap<String, String> {
    let labels = config.config().as_ref().and_then(|config| config.labels().as_ref());
    labels
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.starts_with(ANNOTATIONS))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests;
