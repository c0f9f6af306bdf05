// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Merges images of single architectures into a layout in the release folder, and checks their
//! size.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};
use engine::workspace::Image;
use engine::{Run, StepLog};
use foundation::finding::Finding;
use foundation::text::megabytes;
use foundation::tree::remove;
use media::platforms;
use oci::Layout;
use oci::spec::Descriptor;
use release::layout;

/// Path of an image's layout in the release folder.
pub(super) fn folder(image: &Image) -> String {
    format!("{}/{}", layout::IMAGES, image.name)
}

/// Merges `parts`, one per architecture, into the release folder.
pub(super) fn image(run: &Run, declared: &Image, parts: &[Layout]) -> Result<release::Image> {
    let path = folder(declared);
    let target = run.dist().join(&path);
    let partial = target.with_extension("part");
    remove(&partial)?;
    let root = platforms::combine(parts, &partial)?;
    let architectures = platforms::read(&Layout::open(&partial)?)?;
    remove(&target)?;
    fs::rename(&partial, &target).with_context(|| format!("cannot write {}", target.display()))?;
    Ok(release::Image {
        repository: declared.name.clone(),
        layout: path,
        digest: root.digest().to_string(),
        media_type: root.media_type().to_string(),
        architectures: architectures.iter().map(|platform| platform.architecture).collect(),
        tags: tags(run),
    })
}

/// Tags for publishing: the version, and for a clean work tree the commit. Moving tags (`latest`,
/// `X.Y`) are set by promotion.
fn tags(run: &Run) -> Vec<String> {
    let mut tags = vec![format!("v{}", run.version().text())];
    if !run.workspace.is_dirty() {
        tags.push(run.workspace.commit().to_owned());
    }
    tags
}

/// Logs the size of each part, and returns findings for those over the limit.
pub(super) fn check_sizes(log: &StepLog, image: &Image, parts: &[Layout]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for part in parts {
        let bytes: u64 = blobs(part)?.values().sum();
        for platform in platforms::read(part)? {
            let what = format!("{} for {}", image.name, platform.architecture.oci());
            log.note(&format!("{what}: {}, limit {} MB", megabytes(bytes), image.limit_mb));
            if bytes > image.limit_mb.saturating_mul(1_000_000) {
                findings.push(Finding::in_file(
                    "release.toml",
                    "image-size",
                    format!("{what} has {}, limit_mb is {}", megabytes(bytes), image.limit_mb),
                    "remove a package, or raise limit_mb if all are needed",
                ));
            }
        }
    }
    Ok(findings)
}

/// Number and total size of images, and the largest one.
pub(super) fn summary(run: &Run, images: &[release::Image]) -> Result<String> {
    let mut all = BTreeMap::new();
    let mut largest: Option<(u64, &str)> = None;
    for image in images {
        let blobs = blobs(&Layout::open(run.dist().join(&image.layout))?)?;
        largest = largest.max(Some((blobs.values().sum(), image.repository.as_str())));
        all.extend(blobs);
    }
    let (bytes, name) = largest.unwrap_or_default();
    Ok(format!(
        "{} images, {} in distinct blobs, largest {name} ({})",
        images.len(),
        megabytes(all.values().sum()),
        megabytes(bytes)
    ))
}

/// Blobs of a layout by digest, with sizes.
fn blobs(layout: &Layout) -> Result<BTreeMap<String, u64>> {
    let size = |it: &Descriptor| (it.digest().to_string(), it.size());
    Ok(layout.walk()?.blobs.iter().map(size).collect())
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_one_decimal() {
        assert_eq!(megabytes(0), "0.0 MB");
        assert_eq!(megabytes(70_099_999), "70.0 MB");
        assert_eq!(megabytes(1_250_000), "1.2 MB");
    }
}
