// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads files of an image's root file system without unpacking it.

use std::io;

use anyhow::{Context as _, Result};
use debian::root::RootFacts;
use oci::Layout;
use oci::spec::ImageManifest;

use super::flatten::flatten;

/// Package data of the root file system of the image `manifest` in `layout`.
pub fn facts(layout: &Layout, manifest: &ImageManifest) -> Result<RootFacts> {
    let mut files = flatten(layout, manifest, io::sink(), |path| {
        path == "var/lib/dpkg/status"
            || path == "usr/lib/os-release"
            || copyright_of(path).is_some()
    })?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let mut take = |path: &str| {
        files.remove(path).map(text).with_context(|| format!("the image has no /{path}"))
    };
    let (status, os_release) = (take("var/lib/dpkg/status")?, take("usr/lib/os-release")?);
    let copyrights = files
        .into_iter()
        .filter_map(|(path, bytes)| Some((copyright_of(&path)?.to_owned(), text(bytes))))
        .collect();
    Ok(RootFacts { status, os_release, copyrights })
}

/// The package of a copyright file's path.
fn copyright_of(path: &str) -> Option<&str> {
    let package = path.strip_prefix("usr/share/doc/")?.strip_suffix("/copyright")?;
    (!package.contains('/')).then_some(package)
}
