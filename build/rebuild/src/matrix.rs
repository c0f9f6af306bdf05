// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares the results of two builds: files by bytes, images by parts.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::{Context as _, Result};
use foundation::file;
use media::platforms;
use oci::Layout;
use oci::spec::Descriptor;
use release::{Manifest, layout};
use serde::Serialize;
use walkdir::WalkDir;

use super::difference::find_first;
use super::second::Variation;

/// A file or an image of the release.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    /// Path in the release folder.
    pub(super) path: String,
    /// `None` if the bytes are equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) difference: Option<String>,
    /// Variations that did not apply to it, with reasons.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) not_tried: BTreeMap<&'static str, String>,
}

impl Row {
    fn new(path: String, difference: Option<String>) -> Self {
        Self { path, difference, not_tried: BTreeMap::new() }
    }

    /// Records which of `variations` did not apply to it.
    pub(super) fn note_not_tried(&mut self, variations: &[Variation]) {
        let reasons =
            variations.iter().filter_map(|it| Some((it.what, it.explain_untried(&self.path)?)));
        self.not_tried = reasons.map(|(what, reason)| (what, reason.to_owned())).collect();
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.difference.as_deref().unwrap_or("identical"))?;
        self.not_tried.iter().try_for_each(|(what, why)| write!(f, "; {what} not tried: {why}"))
    }
}

/// Compares all reproducible files of two release folders.
pub(super) fn compare_folders(first: &Path, second: &Path) -> Result<Vec<Row>> {
    let mut paths = parts(first)?;
    paths.extend(parts(second)?);
    paths
        .into_iter()
        .map(|path| {
            let (a, b) = (first.join(&path), second.join(&path));
            let difference = match (a.exists(), b.exists()) {
                (true, true) => difference(&path, &a, &b)?,
                (true, false) => Some("missing in the second build".to_owned()),
                (false, _) => Some("only in the second build".to_owned()),
            };
            Ok(Row::new(path, difference))
        })
        .collect()
}

/// Compares the manifest `ours` of the folder `first` with an earlier build's. If its files exist
/// beside it in `second`, their contents are compared.
pub(super) fn compare_manifests(
    (first, ours): (&Path, &Manifest),
    (second, theirs): (&Path, &Manifest),
) -> Result<Vec<Row>> {
    let named = |manifest: &Manifest| -> BTreeSet<(String, String)> {
        let files = manifest.artifacts.iter().map(|it| (it.path.clone(), it.sha256.clone()));
        let images = manifest.images.iter().map(|it| (it.layout.clone(), it.digest.clone()));
        files.chain(images).collect()
    };
    let (ours, theirs) = (named(ours), named(theirs));
    let digest = |all: &BTreeSet<(String, String)>, path: &str| {
        all.iter().find(|it| it.0 == path).map(|it| it.1.clone())
    };
    let paths: BTreeSet<&String> = ours.iter().chain(&theirs).map(|it| &it.0).collect();
    paths
        .into_iter()
        .map(|path| {
            let difference = match (digest(&ours, path), digest(&theirs, path)) {
                (Some(a), Some(b)) if a == b => None,
                (Some(a), Some(b)) => {
                    let (x, y) = (first.join(path), second.join(path));
                    let inner = if y.exists() { difference(path, &x, &y)? } else { None };
                    Some(inner.unwrap_or_else(|| format!("its digest is {a}, and {b}")))
                }
                (Some(_), None) => Some("missing in the earlier build".to_owned()),
                (None, _) => Some("only in the earlier build".to_owned()),
            };
            Ok(Row::new(path.clone(), difference))
        })
        .collect()
}

/// The files of a release folder without signatures and provenance; an image is one entry.
fn parts(folder: &Path) -> Result<BTreeSet<String>> {
    let signed = [layout::PUBLIC_KEY, layout::SIGNATURES, layout::PROVENANCE];
    let mut parts = BTreeSet::new();
    for entry in WalkDir::new(folder) {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let Ok(path) = entry.path().strip_prefix(folder) else { continue };
        let name = path.to_string_lossy().into_owned();
        let top = name.split('/').next().unwrap_or_default();
        if !entry.file_type().is_file() || signed.contains(&top) || name.ends_with(".sigstore.json")
        {
            continue;
        }
        let inside = |ancestor: &&Path| folder.join(ancestor).join("oci-layout").is_file();
        match path.ancestors().skip(1).find(inside) {
            Some(image) if top == layout::IMAGES => {
                parts.insert(image.to_string_lossy().into_owned());
            }
            _ => drop(parts.insert(name)),
        }
    }
    Ok(parts)
}

/// The difference of the files or images `first` and `second`.
fn difference(path: &str, first: &Path, second: &Path) -> Result<Option<String>> {
    if first.is_dir() {
        return compare_images(first, second);
    }
    let (mut first, mut second) = (file::read(first)?, file::read(second)?);
    if path == layout::MANIFEST {
        (first, second) = (make_comparable(&first)?, make_comparable(&second)?);
    }
    Ok(find_first(&first, &second))
}

/// A manifest without data added after the build.
fn make_comparable(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut manifest = Manifest::parse(bytes)?;
    manifest.engines.remove("signatures");
    manifest.signer = None;
    manifest.reproduced = None;
    Ok(manifest.to_json()?.into_bytes())
}

/// The difference of two images: layers first, since the rest depends on them.
fn compare_images(first: &Path, second: &Path) -> Result<Option<String>> {
    let same = |name: &str| -> Result<Option<String>> {
        let found = find_first(&file::read(&first.join(name))?, &file::read(&second.join(name))?);
        Ok(found.map(|found| format!("in {name}: {found}")))
    };
    // The index contains the digests of everything else.
    let Some(outer) = same("index.json")? else { return same("oci-layout") };
    let (a, b) = (Layout::open(first)?, Layout::open(second)?);
    let blobs = |x: &Descriptor, y: &Descriptor| -> Result<Option<String>> {
        let read = |layout: &Layout, descriptor: &Descriptor| -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut layout.open_blob(descriptor)?, &mut bytes)?;
            Ok(bytes)
        };
        Ok(find_first(&read(&a, x)?, &read(&b, y)?))
    };
    for (x, y) in platforms::read(&a)?.iter().zip(&platforms::read(&b)?) {
        let architecture = x.architecture.oci();
        let layers = x.manifest.layers().iter().zip(y.manifest.layers()).zip(1..);
        for ((one, other), number) in layers {
            if let Some(found) = blobs(one, other)? {
                return Ok(Some(format!("in {architecture} > layer {number}: {found}")));
            }
        }
        for (one, other, name) in [
            (x.manifest.config(), y.manifest.config(), "configuration"),
            (&x.descriptor, &y.descriptor, "manifest"),
        ] {
            if let Some(found) = blobs(one, other)? {
                return Ok(Some(format!("in {architecture} > {name}: {found}")));
            }
        }
    }
    Ok(Some(outer))
}

#[cfg(test)]
mod tests {
    use oci::media_type;
    use oci::spec::ANNOTATION_REF_NAME;
    use release::{Channel, Engine, Source};
    use serde_json::json;

    use super::super::second::Exemption;
    use super::*;
    use foundation::atomic;
    use media::layer;

    fn release(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            atomic::write(&folder.path().join(path), text.as_bytes()).unwrap();
        }
        folder
    }

    fn image(folder: &Path, text: &str) {
        let layout = Layout::create(folder.join("images/tools/x")).unwrap();
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, "etc/stamp", text.as_bytes()).unwrap();
        let (layer, diff) = layer::store(&layout, &archive.into_inner().unwrap()[..]).unwrap();
        let config = json!({"architecture": "arm64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff.to_string()]}});
        let config = layout.write_json(media_type::IMAGE_CONFIG, &config).unwrap();
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST,
            "config": config, "layers": [layer]});
        let mut root: Descriptor =
            layout.write_json(media_type::IMAGE_MANIFEST, &manifest).unwrap();
        root.set_annotations(Some([(ANNOTATION_REF_NAME.to_owned(), "v1".to_owned())].into()));
        layout.write_index(vec![root]).unwrap();
    }

    fn lines(rows: &[Row]) -> Vec<String> {
        rows.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_file_is_compared_and_signatures_are_not() {
        let first = release(&[
            ("SHA256SUMS", "a"),
            ("cosign.pub", "key"),
            ("only-here", ""),
            ("sbom/x.cdx.sigstore.json", "1"),
            ("signatures/a.json", "1"),
        ]);
        let second = release(&[("SHA256SUMS", "b"), ("cosign.pub", "other"), ("only-there", "")]);
        let rows = compare_folders(first.path(), second.path()).unwrap();
        assert_eq!(
            lines(&rows),
            [
                "SHA256SUMS: at offset 0x0: 61, and 62",
                "only-here: missing in the second build",
                "only-there: only in the second build",
            ]
        );
    }

    #[test]
    fn an_image_is_one_row_and_its_layer_is_named() {
        let (first, second) = (release(&[]), release(&[]));
        image(first.path(), "made at 1");
        image(second.path(), "made at 1");
        let rows = compare_folders(first.path(), second.path()).unwrap();
        assert_eq!(lines(&rows), ["images/tools/x: identical"]);
        let third = release(&[]);
        image(third.path(), "made at 2");
        let rows = compare_folders(first.path(), third.path()).unwrap();
        // Bytes of the compressed layer.
        assert_eq!(
            lines(&rows),
            ["images/tools/x: in arm64 > layer 1: at offset 0x40: \
              c8 30 0a 46 c1 28 18 05 a3 60 24 01 00 ca da ec, and \
              c4 30 0a 46 c1 28 18 05 a3 60 24 01 00 46 26 18"]
        );
    }

    #[test]
    fn files_without_a_variation_are_reported() {
        let make = |what, same_because: Option<&str>, not_on| Variation {
            what,
            first: "1".to_owned(),
            second: "2".to_owned(),
            same_because: same_because.map(str::to_owned),
            not_on,
        };
        let beyond = Exemption { folders: &["images"], because: "it runs in a container" };
        let variations = [
            make("clock", None, Some(beyond)),
            make("host name", Some("no root"), None),
            make("umask", None, None),
        ];
        let rows = ["images/x", "imagesque"].map(|path| {
            let mut row = Row::new(path.to_owned(), None);
            row.note_not_tried(&variations);
            row
        });
        assert_eq!(
            lines(&rows),
            [
                "images/x: identical; clock not tried: it runs in a container; \
                 host name not tried: no root",
                "imagesque: identical; host name not tried: no root",
            ]
        );
    }

    #[test]
    fn a_manifest_is_compared_without_later_facts_about_its_build() {
        let text = |engine: Option<&str>, epoch| {
            let source = Source { uri: "u".to_owned(), commit: "c".to_owned(), dirty: false };
            let (product, version) = ("p".to_owned(), "1.0.0".to_owned());
            let mut manifest = Manifest::new(product, version, Channel::Stable, source, epoch);
            if let Some(name) = engine {
                let engine = Engine { name: name.to_owned(), version: "1".to_owned() };
                manifest.engines.insert("signatures".to_owned(), engine);
            }
            manifest.to_json().unwrap()
        };
        let first = release(&[(layout::MANIFEST, &text(Some("cosign"), 1))]);
        let second = release(&[(layout::MANIFEST, &text(None, 1))]);
        let third = release(&[(layout::MANIFEST, &text(None, 2))]);
        let compare = |other: &Path| lines(&compare_folders(first.path(), other).unwrap());
        assert_eq!(compare(second.path()), ["release.json: identical"]);
        assert_eq!(
            compare(third.path()),
            ["release.json: at offset 0xbb: 31 2c 0a 20 20 22 6d 61 74 65 72 69 61 6c 73 22, and \
              32 2c 0a 20 20 22 6d 61 74 65 72 69 61 6c 73 22"]
        );
    }
}
