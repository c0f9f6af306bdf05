// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads files of an image's root file system without unpacking it.

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context as _, Result};
use debian::root::RootFacts;
use oci::spec::ImageManifest;
use oci::{Layout, Whiteout};

use super::layer;

/// Size limit of a file: the package database of a full desktop has 10 MB.
const LIMIT: u64 = 64 << 20;

/// Package data of the root file system of the image `manifest` in `layout`.
pub fn facts(layout: &Layout, manifest: &ImageManifest) -> Result<RootFacts> {
    let mut files = files(layout, manifest, |path| {
        path == "var/lib/dpkg/status"
            || path == "usr/lib/os-release"
            || copyright_of(path).is_some()
    })?;
    let mut take =
        |path: &str| files.remove(path).with_context(|| format!("the image has no /{path}"));
    let (status, os_release) = (take("var/lib/dpkg/status")?, take("usr/lib/os-release")?);
    let copyrights = files
        .into_iter()
        .filter_map(|(path, text)| Some((copyright_of(&path)?.to_owned(), text)))
        .collect();
    Ok(RootFacts { status, os_release, copyrights })
}

/// The package of a copyright file's path.
fn copyright_of(path: &str) -> Option<&str> {
    let package = path.strip_prefix("usr/share/doc/")?.strip_suffix("/copyright")?;
    (!package.contains('/')).then_some(package)
}

/// Text of every regular file that `wanted` selects, as in the topmost layer. Invalid UTF-8 is
/// replaced.
fn files(
    layout: &Layout,
    manifest: &ImageManifest,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for descriptor in manifest.layers() {
        let mut archive = tar::Archive::new(layer::open(layout, descriptor)?);
        for entry in archive.entries()? {
            let mut entry = entry.context("a layer is malformed")?;
            let path = entry.path()?.to_string_lossy().trim_start_matches("./").to_owned();
            if let Some((folder, name)) = path.rsplit_once('/')
                && let Some(Whiteout::Name(gone)) = Whiteout::parse(name.as_bytes())
            {
                files.remove(&format!("{folder}/{}", String::from_utf8_lossy(gone)));
            }
            if entry.header().entry_type().is_file() && wanted(&path) {
                let mut bytes = Vec::new();
                entry.by_ref().take(LIMIT).read_to_end(&mut bytes)?;
                files.insert(path, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    Ok(files)
}
