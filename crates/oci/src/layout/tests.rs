// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tests of writing, walking and damaged layouts.

use std::collections::BTreeMap;

use proptest::prelude::*;
use test_support::folder::tree;

use super::*;
use crate::{artifact, media_type};

/// Creates a layout with one artifact of the given layers; returns it with the descriptor.
fn layout(layers: &[Vec<u8>]) -> (tempfile::TempDir, Layout, Descriptor) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    layout.write_blob(media_type::EMPTY, artifact::EMPTY_JSON).unwrap();
    let layers = layers
        .iter()
        .map(|layer| layout.write_blob(media_type::IMAGE_LAYER, layer.as_slice()).unwrap())
        .collect();
    let manifest =
        artifact::manifest("application/example", layers, None, BTreeMap::new()).unwrap();
    let manifest = layout.write_json(media_type::IMAGE_MANIFEST, &manifest).unwrap();
    (folder, layout, manifest)
}

fn with_name(descriptor: &Descriptor, name: &str) -> Descriptor {
    let mut descriptor = descriptor.clone();
    descriptor.set_annotations(Some([(ANNOTATION_REF_NAME.to_owned(), name.to_owned())].into()));
    descriptor
}

#[test]
fn walking_lists_blobs_before_the_manifests_that_name_them_and_nothing_twice() {
    let (_folder, layout, manifest) = layout(&[b"one".to_vec(), b"two".to_vec(), b"one".to_vec()]);
    let index = artifact::index(vec![manifest.clone(), manifest.clone()]).unwrap();
    let index = layout.write_json(media_type::IMAGE_INDEX, &index).unwrap();
    layout
        .write_index(vec![with_name(&index, "b"), with_name(&index, "a"), manifest.clone()])
        .unwrap();
    let contents = layout.walk().unwrap();
    assert_eq!(contents.blobs.len(), 3);
    assert_eq!(contents.manifests.len(), 2);
    assert_eq!(contents.manifests[0].digest(), manifest.digest());
    assert_eq!(contents.manifests[1].digest(), index.digest());
    assert_eq!(layout.walk_from(&manifest).unwrap().manifests.len(), 1);
}

#[test]
fn a_changed_shortened_or_missing_blob_is_named() {
    let (_folder, layout, manifest) = layout(&[b"content".to_vec()]);
    layout.write_index(vec![manifest]).unwrap();
    let digest = Digest::sha256(b"content");
    let path = layout.blob_path(&digest);
    for (bytes, expected) in [
        (Some(&b"c0ntent"[..]), "content has the digest"),
        (Some(&b"conten"[..]), "has 6 bytes, expected 7"),
        (Some(&b"contents"[..]), "expected 7"),
        (None, "No such file"),
    ] {
        match bytes {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let message = layout.walk().unwrap_err().to_string();
        assert!(message.contains(expected) && message.contains(digest.hex()), "{message}");
    }
}

#[test]
fn what_is_no_layout_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = |folder: &Path| Layout::open(folder).unwrap_err().to_string();
    assert!(message(folder.path()).contains("has no file oci-layout"));
    fs::write(folder.path().join(MARKER), "{").unwrap();
    assert!(message(folder.path()).contains("line 1 column"));
    fs::write(folder.path().join(MARKER), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(message(folder.path()).contains("expected \"1.0.0\""));
}

#[test]
fn creating_again_keeps_what_is_there() {
    let (folder, layout, manifest) = layout(&[b"content".to_vec()]);
    layout.write_index(vec![manifest]).unwrap();
    let before = tree(folder.path());
    Layout::create(folder.path()).unwrap();
    assert_eq!(tree(folder.path()), before);
}

fn index(layout: &Layout, children: Vec<Descriptor>) -> Descriptor {
    layout.write_json(media_type::IMAGE_INDEX, &artifact::index(children).unwrap()).unwrap()
}

#[test]
fn no_document_names_its_own_kind() {
    let (_folder, layout, manifest) = layout(&[]);
    let outer = index(&layout, vec![index(&layout, vec![manifest])]);
    assert!(matches!(layout.walk_from(&outer), Err(LayoutError::Nested { .. })));
}

/// Each manifest references the previous one `fan` times: without deduplication, a walk takes `fan`
/// to the power of `depth` steps; with unbounded recursion, `depth` stack frames.
#[test]
fn a_chain_of_manifests_is_refused_at_its_first_link() {
    for (depth, fan) in [(60, 2), (20_000, 1)] {
        let (_folder, layout, mut last) = layout(&[]);
        for _ in 0..depth {
            let manifest = serde_json::json!({
                "schemaVersion": 2,
                "mediaType": media_type::IMAGE_MANIFEST,
                "config": last,
                "layers": vec![&last; fan - 1],
            });
            // Written directly: `Layout` would sync every file to disk.
            let bytes = manifest.to_string();
            let digest = Digest::sha256(bytes.as_bytes());
            fs::write(layout.blob_path(&digest), &bytes).unwrap();
            let size = bytes.len() as u64;
            last = artifact::descriptor(media_type::IMAGE_MANIFEST, &digest, size);
        }
        assert!(matches!(layout.walk_from(&last), Err(LayoutError::Nested { .. })));
    }
}

#[test]
fn a_manifest_that_claims_to_be_huge_is_not_read() {
    let (_folder, layout, manifest) = layout(&[]);
    let mut claimed = manifest;
    claimed.set_size(MANIFEST_LIMIT + 1);
    assert!(matches!(layout.walk_from(&claimed), Err(LayoutError::TooLarge { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_same_content_in_any_order_gives_the_same_bytes(
        layers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..64), 1..5),
        names in proptest::collection::hash_set("[a-z]{1,4}", 1..5),
    ) {
        let write = |reversed: bool| {
            let (folder, layout, manifest) = layout(&layers);
            let mut entries: Vec<_> = names.iter().map(|name| with_name(&manifest, name)).collect();
            entries.sort_by_key(|d| d.annotations().clone().unwrap()[ANNOTATION_REF_NAME].clone());
            if reversed {
                entries.reverse();
            }
            layout.write_index(entries).unwrap();
            tree(folder.path())
        };
        prop_assert_eq!(write(false), write(true));
    }
}

#[test]
fn a_failed_read_leaves_the_folder_as_it_was() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("broken"))
        }
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "before").unwrap();
    assert!(store(folder.path(), b"half".chain(Broken)).is_err());
    assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"before");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}
