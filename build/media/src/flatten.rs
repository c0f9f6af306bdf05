// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Flattens an image's layers to one tar stream of the root file system as a container sees it (OCI
//! image specification, layer.md, "Changesets" and "Whiteouts").

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use anyhow::{Context as _, Result};
use oci::spec::{Descriptor, ImageManifest};
use oci::{Layout, Whiteout};
use tar::EntryType;

use super::layer;

/// Paths that a layer hides in lower layers.
#[derive(Debug, Default)]
pub(crate) struct Hidden {
    /// Its own paths, and whiteouts, which hide everything below them.
    paths: BTreeSet<String>,
    /// Opaque folders: nothing of lower layers remains in them.
    opaque: BTreeSet<String>,
    /// Whiteouts, and paths that are not folders in this layer.
    whole: BTreeSet<String>,
}

impl Hidden {
    /// Whether the layer hides `path` of lower layers.
    pub(crate) fn hides(&self, path: &str) -> bool {
        self.paths.contains(path)
            || ancestors(path).any(|it| self.opaque.contains(it) || self.whole.contains(it))
    }
}

/// Writes the root file system of the image `manifest` in `layout` to `out` as a tar stream.
/// Returns the content of regular files whose path (without leading slash) `wanted` selects.
///
/// Owners, modes, times, links and extended attributes are kept.
pub fn flatten(
    layout: &Layout,
    manifest: &ImageManifest,
    out: impl Write,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Vec<u8>>> {
    let layers = manifest.layers();
    // The lowest layer hides nothing, so the largest layer is read only once.
    let hidden: Vec<Hidden> =
        layers.iter().skip(1).map(|layer| read_hidden(layout, layer)).collect::<Result<_>>()?;
    let mut archive = tar::Builder::new(out);
    let mut found = BTreeMap::new();
    for (index, descriptor) in layers.iter().enumerate() {
        let above = hidden.get(index..).unwrap_or_default();
        let mut tar = tar::Archive::new(layer::open(layout, descriptor)?);
        for entry in tar.entries()? {
            let mut entry = entry.context("a layer is malformed")?;
            let path = plain(&entry)?;
            let gone =
                path.is_empty() || is_whiteout(&path) || above.iter().any(|it| it.hides(&path));
            if gone {
                continue;
            }
            append(&mut archive, &mut entry, &path, &wanted, &mut found)
                .with_context(|| format!("cannot copy /{path} out of its layer"))?;
        }
    }
    archive.into_inner()?.flush()?;
    Ok(found)
}

/// Copies one entry, and keeps a wanted one in memory.
fn append<W: Write, R: Read>(
    archive: &mut tar::Builder<W>,
    entry: &mut tar::Entry<'_, R>,
    path: &str,
    wanted: impl Fn(&str) -> bool,
    found: &mut BTreeMap<String, Vec<u8>>,
) -> Result<()> {
    let extensions = extensions(entry)?;
    let pairs = extensions.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
    archive.append_pax_extensions(pairs)?;
    let mut header = entry.header().clone();
    match header.entry_type() {
        EntryType::Link | EntryType::Symlink => {
            let target = entry.link_name()?.context("a link has no target")?.into_owned();
            archive.append_link(&mut header, path, target)?;
        }
        EntryType::Regular if wanted(path) => {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes)?;
            archive.append_data(&mut header, path, bytes.as_slice())?;
            found.insert(path.to_owned(), bytes);
        }
        _ => archive.append_data(&mut header, path, entry)?,
    }
    Ok(())
}

/// The entry's pax extended header without paths and sizes, which the copy sets itself (POSIX pax,
/// "pax Extended Header").
fn extensions<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Vec<(String, Vec<u8>)>> {
    let mut kept = Vec::new();
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension.context("an extended header is malformed")?;
        let key = extension.key()?.to_owned();
        if !["path", "linkpath", "size"].contains(&key.as_str()) {
            kept.push((key, extension.value_bytes().to_vec()));
        }
    }
    Ok(kept)
}

/// What the layer `descriptor` hides in lower layers.
pub(crate) fn read_hidden(layout: &Layout, descriptor: &Descriptor) -> Result<Hidden> {
    let mut hidden = Hidden::default();
    let mut tar = tar::Archive::new(layer::open(layout, descriptor)?);
    for entry in tar.entries()? {
        let entry = entry.context("a layer is malformed")?;
        let path = plain(&entry)?;
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        match Whiteout::parse(name.as_bytes()) {
            Some(Whiteout::Opaque) => {
                hidden.opaque.insert(folder.to_owned());
            }
            Some(Whiteout::Name(gone)) => {
                let gone = String::from_utf8_lossy(gone);
                let gone =
                    if folder.is_empty() { gone.into_owned() } else { format!("{folder}/{gone}") };
                hidden.paths.insert(gone.clone());
                hidden.whole.insert(gone);
            }
            Some(Whiteout::Nothing) => {}
            None => {
                if !entry.header().entry_type().is_dir() {
                    hidden.whole.insert(path.clone());
                }
                hidden.paths.insert(path);
            }
        }
    }
    Ok(hidden)
}

/// The path of an entry without leading `./` and trailing `/`.
pub(crate) fn plain<R: Read>(entry: &tar::Entry<'_, R>) -> Result<String> {
    let path = entry.path_bytes();
    let path = std::str::from_utf8(&path).context("a layer has a path that is not UTF-8")?;
    Ok(path.trim_start_matches("./").trim_matches('/').to_owned())
}

fn is_whiteout(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| Whiteout::parse(name.as_bytes()).is_some())
}

/// The ancestor folders of `path`, nearest first.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        let (folder, _) = rest.rsplit_once('/')?;
        rest = folder;
        Some(folder)
    })
}

#[cfg(test)]
mod tests {
    use oci::{artifact, media_type};

    use super::*;

    /// A layer of `(path, content)`; a path with a trailing `/` is a folder.
    fn store_layer(layout: &Layout, entries: &[(&str, &str)]) -> Descriptor {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in entries {
            let mut header = tar::Header::new_gnu();
            let is_folder = path.ends_with('/');
            header.set_entry_type(if is_folder {
                EntryType::Directory
            } else {
                EntryType::Regular
            });
            header.set_mode(0o750);
            header.set_size(content.len() as u64);
            archive
                .append_pax_extensions([("SCHILY.xattr.user.from", content.as_bytes())])
                .unwrap();
            archive.append_data(&mut header, path, content.as_bytes()).unwrap();
        }
        layer::store(layout, archive.into_inner().unwrap().as_slice()).unwrap().0
    }

    fn image(layers: &[&[(&str, &str)]]) -> (tempfile::TempDir, Layout, ImageManifest) {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path().join("layout")).unwrap();
        let layers = layers.iter().map(|entries| store_layer(&layout, entries)).collect::<Vec<_>>();
        let config = layout.write_json(media_type::IMAGE_CONFIG, &serde_json::json!({})).unwrap();
        (folder, layout, artifact::image(config, layers).unwrap())
    }

    /// `path=content` of every entry, in order.
    fn list(tar: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(tar);
        let mut names = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let extension = entry.pax_extensions().unwrap().unwrap().next().unwrap().unwrap();
            assert_eq!(extension.value().unwrap(), text);
            assert_eq!(entry.header().mode().unwrap(), 0o750);
            names.push(format!("{}={text}", entry.path().unwrap().display()));
        }
        names
    }

    #[test]
    fn upper_layers_replace_and_take_away() {
        let long = "n".repeat(150);
        let (_folder, layout, manifest) = image(&[
            &[
                ("./a/", ""),
                ("./a/x", "1"),
                ("./a/y", "1"),
                ("./b/", ""),
                ("./b/z", "1"),
                (&long, "l"),
            ],
            &[("a/x", "2"), ("a/.wh.y", ""), ("b/", ""), ("b/.wh..wh..opq", ""), ("b/n", "2")],
            &[("c", "3")],
        ]);
        let mut tar = Vec::new();
        let found = flatten(&layout, &manifest, &mut tar, |path| path == "a/x").unwrap();
        let long = format!("{long}=l");
        assert_eq!(list(&tar), ["a=", &long, "a/x=2", "b=", "b/n=2", "c=3"]);
        assert_eq!(found, BTreeMap::from([("a/x".to_owned(), b"2".to_vec())]));
    }

    #[test]
    fn a_file_in_place_of_a_folder_hides_all_that_was_in_it() {
        let (_folder, layout, manifest) =
            image(&[&[("a/", ""), ("a/b/", ""), ("a/b/c", "1")], &[("a", "2")]]);
        let mut tar = Vec::new();
        flatten(&layout, &manifest, &mut tar, |_| false).unwrap();
        assert_eq!(list(&tar), ["a=2"]);
    }
}
