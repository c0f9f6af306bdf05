// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

use oci::spec::{ConfigBuilder, HistoryBuilder, ImageConfigurationBuilder, Os, RootFsBuilder};
use release::Architecture;

use super::super::{base, platforms, root};
use super::*;

const CREATED: &str = "2025-10-09T08:53:20Z";

/// A tar stream with these files, in this order.
fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Differences between builders.
struct Traits {
    program: &'static str,
    comment: &'static str,
    level: flate2::Compression,
    created: &'static str,
}

const PODMAN: Traits = Traits {
    program: "1.28.0",
    comment: "FROM localhost/one:latest",
    level: flate2::Compression::fast(),
    created: "2026-01-01T00:00:00Z",
};
const BUILDAH: Traits = Traits {
    program: "1.41.0",
    comment: "FROM 6fe3200b21d5",
    level: flate2::Compression::none(),
    created: "2027-01-01T00:00:00Z",
};

/// An image as saved by a builder: the base's layer and one of its own, both recompressed.
fn build_image(folder: &Path, base: &Layout, own: &[u8], traits: &Traits) -> Layout {
    let layout = Layout::create(folder).unwrap();
    let mut layers = Vec::new();
    let mut diff_ids = Vec::new();
    let mut streams = vec![own.to_vec()];
    for layer in manifest(base).unwrap().layers() {
        let mut stream = Vec::new();
        layer::open(base, layer).unwrap().read_to_end(&mut stream).unwrap();
        streams.insert(0, stream);
    }
    for stream in &streams {
        let compressed = flate2::read::GzEncoder::new(stream.as_slice(), traits.level);
        layers.push(layout.write_blob(media_type::IMAGE_LAYER_GZIP, compressed).unwrap());
        diff_ids.push(oci::Digest::sha256(stream).to_string());
    }
    let labels = [
        (BUILDER_LABEL.to_owned(), traits.program.to_owned()),
        ("org.opencontainers.image.title".to_owned(), "Tool".to_owned()),
        ("other".to_owned(), "kept".to_owned()),
    ];
    let history =
        HistoryBuilder::default().created(traits.created).comment(traits.comment).build().unwrap();
    let config = ImageConfigurationBuilder::default()
        .created(traits.created)
        .architecture(base::arch(Architecture::Amd64))
        .os(Os::Linux)
        .config(ConfigBuilder::default().labels(HashMap::from(labels)).build().unwrap())
        .rootfs(RootFsBuilder::default().diff_ids(diff_ids).build().unwrap())
        .history(vec![history])
        .build()
        .unwrap();
    let config = layout.write_json(media_type::IMAGE_CONFIG, &config).unwrap();
    let mut manifest = artifact::image(config, layers).unwrap();
    manifest.set_annotations(Some([("store".to_owned(), traits.comment.to_owned())].into()));
    let manifest = layout.write_json(media_type::IMAGE_MANIFEST, &manifest).unwrap();
    layout.write_index(vec![manifest]).unwrap();
    layout
}

struct Fixture {
    folder: tempfile::TempDir,
    base: Layout,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root.tar");
        let files = [
            ("./var/lib/dpkg/status", "Package: dpkg\n"),
            ("./usr/lib/os-release", "ID=debian\n"),
            ("./usr/share/doc/dpkg/copyright", "Format: x\n"),
            ("./usr/share/doc/gone/copyright", "Format: y\n"),
            ("./usr/share/doc/emptied/copyright", "Format: z\n"),
            ("./usr/share/doc/removed/copyright", "Format: z\n"),
            ("./usr/share/doc/dpkg/other/copyright", "no\n"),
        ];
        std::fs::write(&root, tar(&files)).unwrap();
        let layout = folder.path().join("base");
        base::write(&layout, &root, Architecture::Amd64, CREATED).unwrap();
        Self { base: Layout::open(layout).unwrap(), folder }
    }

    fn normalise(&self, name: &str, own: &[u8], traits: &Traits) -> Layout {
        let built = build_image(&self.folder.path().join(name), &self.base, own, traits);
        let to = self.folder.path().join(format!("{name}.normal"));
        image(&built, &self.base, None, &to, CREATED).unwrap();
        Layout::open(to).unwrap()
    }
}

/// All files below `folder` with their content.
fn tree(folder: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    files
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap().to_owned();
            (path, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

#[test]
fn two_builders_give_the_same_bytes() {
    let fixture = Fixture::new();
    let own = tar(&[("usr/bin/step", "program")]);
    let podman = fixture.normalise("podman", &own, &PODMAN);
    let buildah = fixture.normalise("buildah", &own, &BUILDAH);
    assert_eq!(tree(podman.root()), tree(buildah.root()));
}

#[test]
fn nothing_of_the_builder_is_left_and_nothing_else_is_gone() {
    let fixture = Fixture::new();
    let layout = fixture.normalise("podman", &tar(&[("x", "y")]), &PODMAN);
    let manifest = manifest(&layout).unwrap();
    let title = ("org.opencontainers.image.title".to_owned(), "Tool".to_owned());
    assert_eq!(manifest.annotations(), &Some(HashMap::from([title.clone()])));
    let config = layout.read_document(manifest.config()).unwrap();
    let config: ImageConfiguration = serde_json::from_slice(&config).unwrap();
    let labels = config.config().as_ref().unwrap().labels().clone().unwrap();
    assert_eq!(labels, HashMap::from([title, ("other".to_owned(), "kept".to_owned())]));
    let text = serde_json::to_string(&config).unwrap();
    assert!(!text.contains("localhost") && !text.contains("2026"), "{text}");
    // The base's layer is the base's own blob.
    let base = super::manifest(&fixture.base).unwrap();
    assert_eq!(manifest.layers()[0], base.layers()[0]);
    // The layout contains only what its index refers to.
    let contents = layout.walk().unwrap();
    let blobs = contents.blobs.len() + contents.manifests.len();
    assert_eq!(tree(layout.root()).len(), blobs + 2);
}

#[test]
fn a_layer_that_differs_from_the_configuration_is_rejected() {
    let fixture = Fixture::new();
    let layout = build_image(&fixture.folder.path().join("bad"), &fixture.base, b"", &PODMAN);
    let manifest_before = manifest(&layout).unwrap();
    let config = layout.read_document(manifest_before.config()).unwrap();
    let mut config: ImageConfiguration = serde_json::from_slice(&config).unwrap();
    let wrong = oci::Digest::sha256(b"wrong").to_string();
    let first = config.rootfs().diff_ids()[0].clone();
    config.rootfs_mut().set_diff_ids(vec![first, wrong]);
    let mut manifest = manifest_before;
    manifest.set_config(layout.write_json(media_type::IMAGE_CONFIG, &config).unwrap());
    let descriptor = layout.write_json(media_type::IMAGE_MANIFEST, &manifest).unwrap();
    layout.write_index(vec![descriptor]).unwrap();
    let to = fixture.folder.path().join("out");
    let error = image(&layout, &fixture.base, None, &to, CREATED).unwrap_err().to_string();
    assert!(error.contains("from the configuration"), "{error}");
}

#[test]
fn packages_are_read_from_the_topmost_layer() {
    let fixture = Fixture::new();
    let own = tar(&[
        ("var/lib/dpkg/status", "Package: dpkg\n\nPackage: mtools\n"),
        ("usr/share/doc/gone/.wh.copyright", ""),
        ("usr/share/doc/emptied/.wh..wh..opq", ""),
        ("usr/share/doc/.wh.removed", ""),
    ]);
    let layout = fixture.normalise("podman", &own, &PODMAN);
    let facts = root::facts(&layout, &manifest(&layout).unwrap()).unwrap();
    assert_eq!(facts.status, "Package: dpkg\n\nPackage: mtools\n");
    assert_eq!(facts.os_release, "ID=debian\n");
    let copyrights = BTreeMap::from([("dpkg".to_owned(), "Format: x\n".to_owned())]);
    assert_eq!(facts.copyrights, copyrights);
}

#[test]
fn a_copy_is_the_same() {
    let fixture = Fixture::new();
    let layout = fixture.normalise("podman", &tar(&[("x", "y")]), &PODMAN);
    let to = fixture.folder.path().join("copy");
    platforms::combine(std::slice::from_ref(&layout), &to).unwrap();
    assert_eq!(tree(layout.root()), tree(&to));
}
