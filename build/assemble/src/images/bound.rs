// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `cargo xtask maintenance --bind-tools`: the maintenance OS with tool images in an OCI layout
//! that its podman reads, for use without a registry.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use engine::{Run, StepLog};
use foundation::tree::remove;
use media::platforms;
use oci::Layout;
use oci::spec::{ANNOTATION_REF_NAME, ImageConfiguration};
use release::Architecture;
use walkdir::WalkDir;

use super::builder::Builder;
use super::cached::{self, BaseImage, ContextFile};
use super::work::Prepared;

/// Containerfile, in the image's folder.
const CONTAINERFILE: &str = "Containerfile.bound";
/// Label with the value `bound`.
const LABEL: &str = "example.provisioner.tools";
/// Folder of the tool images in the build context.
const IMAGES: &str = "images";

/// The image `on` of `prepared` with the release's tool images added.
pub(super) fn image(
    run: &Run,
    log: &StepLog,
    builder: Builder,
    prepared: &Prepared<'_>,
    on: &Layout,
) -> Result<Layout> {
    let folder = prepared.folder(run);
    let tools = folder.join("tools");
    tools_of(run, prepared.architecture(), &tools)?;
    let containerfile = run.workspace.root().join(containerfile(prepared));
    let mut files = vec![ContextFile::new(containerfile, "Containerfile", 0o644)];
    for entry in WalkDir::new(&tools).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot list {}", tools.display()))?;
        if entry.file_type().is_file() {
            let to = PathBuf::from(IMAGES).join(entry.path().strip_prefix(&tools)?);
            files.push(ContextFile::new(entry.path(), to, 0o644));
        }
    }
    let digest = platforms::root(on)?.digest().to_string();
    let job = prepared.job_on_image(run);
    let on = BaseImage { layout: on, digest: &digest, native: prepared.native() };
    cached::image(run, log, builder, &job, &on, &files, &folder.join("bound"))
}

/// Whether an image of the release contains the tool images, by its labels.
pub fn is_bound(run: &Run, image: &release::Image) -> Result<bool> {
    let layout = Layout::open(run.dist().join(&image.layout))?;
    for part in platforms::read(&layout)? {
        let config = layout.read_document(part.manifest.config())?;
        let config: ImageConfiguration =
            serde_json::from_slice(&config).context("the image's configuration is malformed")?;
        let labels = config.config().as_ref().and_then(|config| config.labels().as_ref());
        if labels.is_some_and(|labels| labels.get(LABEL).is_some_and(|value| value == "bound")) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Path of the Containerfile, relative to the root.
fn containerfile(prepared: &Prepared<'_>) -> PathBuf {
    prepared.image().context.join(CONTAINERFILE)
}

/// Writes the release's tool images for `architecture` to one layout in the folder `to`, tagged
/// with the last part of their names.
fn tools_of(run: &Run, architecture: Architecture, to: &Path) -> Result<()> {
    let manifest = run.manifest()?;
    remove(to)?;
    let out = Layout::create(to)?;
    let mut descriptors = Vec::new();
    for tool in run.workspace.product().tools() {
        let built = manifest.images.iter().find(|it| it.repository == tool.name);
        let built = built.with_context(|| {
            format!("{} is not built: run `cargo xtask images` first", tool.name)
        })?;
        let layout = Layout::open(run.dist().join(&built.layout))?;
        let platforms = platforms::read(&layout)?;
        let platform = platforms.into_iter().find(|it| it.architecture == architecture);
        let platform = platform
            .with_context(|| format!("{} is not built for {}", tool.name, architecture.oci()))?;
        let contents = layout.walk_from(&platform.descriptor)?;
        for descriptor in contents.blobs.iter().chain(&contents.manifests) {
            out.write_blob(descriptor.media_type().as_ref(), layout.open_blob(descriptor)?)?;
        }
        let mut descriptor = platform.descriptor;
        let name = tool.name.rsplit('/').next().unwrap_or_default().to_owned();
        descriptor.set_annotations(Some([(ANNOTATION_REF_NAME.to_owned(), name)].into()));
        descriptors.push(descriptor);
    }
    Ok(out.write_index(descriptors)?)
}
