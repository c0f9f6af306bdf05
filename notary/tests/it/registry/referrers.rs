// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Referrers that others attached to the image.

use oci::media_type;
use serde_json::{Value, json};
use signing::bundle;

use super::{Published, image};
use crate::support::sha256;

/// Referrers that are listed before those of the release.
#[test]
fn referrers_by_others_neither_hide_nor_break_those_of_the_release() {
    let published = Published::new(true);
    let root = published.release.manifest().images[0].digest.clone();
    let foreign = |number: usize, media_type: &str| {
        let document = json!({
            "schemaVersion": 2, "mediaType": media_type::IMAGE_MANIFEST,
            "artifactType": bundle::MEDIA_TYPE, "subject": {"digest": root}, "layers": [],
        });
        let place = (image(), format!("sha256:{number:064}"));
        (place, (media_type.to_owned(), document.to_string().into_bytes()))
    };
    let many = (0..1_100).map(|number| foreign(number, media_type::IMAGE_MANIFEST));
    published.registry.state().manifests.extend(many);
    assert_eq!(published.verify(), ("VERIFIED".to_owned(), Vec::new()));

    // Bundles of the release, attached by another program: not recognised by their digests.
    let mut state = published.registry.state();
    let bundles: Vec<_> = state
        .manifests
        .iter()
        .filter_map(|((repository, digest), (media_type, bytes))| {
            let mut document: Value = serde_json::from_slice(bytes).unwrap();
            document["annotations"] = json!({"by": "others"});
            let is_it = *repository == image()
                && document["artifactType"] == bundle::MEDIA_TYPE
                && document["layers"][0].is_object();
            let bytes = document.to_string().into_bytes();
            is_it.then(|| (digest.clone(), media_type.clone(), bytes))
        })
        .collect();
    assert_eq!(bundles.len(), 4);
    state.manifests.retain(|(_, digest), _| !digest.starts_with("sha256:0000"));
    for (digest, media_type, bytes) in bundles {
        state.manifests.remove(&(image(), digest)).unwrap();
        let digest = format!("sha256:{}", sha256(&bytes));
        state.manifests.insert((image(), digest), (media_type, bytes));
    }
    // One has another content, one another type, and one is listed but gone.
    state.manifests.extend([
        foreign(0, media_type::IMAGE_MANIFEST),
        foreign(1, media_type::IMAGE_INDEX),
        foreign(2, ""),
    ]);
    drop(state);
    assert_eq!(published.verify(), ("VERIFIED".to_owned(), Vec::new()));
}
