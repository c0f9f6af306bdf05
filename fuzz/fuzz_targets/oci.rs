// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any bytes as a manifest or index of an image, and any text as a reference to one.
#![no_main]

use oci::spec::{Descriptor, ImageIndex, ImageManifest};
use oci::{Digest, Reference, media_type};

fn descriptor(descriptor: &Descriptor) {
    let kind = descriptor.media_type().as_ref();
    assert!(!(media_type::is_index(kind) && media_type::is_manifest(kind)));
    if let Ok(digest) = Digest::try_from(descriptor.digest()) {
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert_eq!(digest.hex().len(), digest.algorithm().hex_length());
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(index) = serde_json::from_slice::<ImageIndex>(bytes) {
        index.manifests().iter().for_each(descriptor);
        assert!(verify::parts(&index).len() <= index.manifests().len());
    }
    if let Ok(manifest) = serde_json::from_slice::<ImageManifest>(bytes) {
        std::iter::once(manifest.config()).chain(manifest.layers()).for_each(descriptor);
    }
    let text = String::from_utf8_lossy(bytes);
    if let Ok(reference) = text.parse::<Reference>() {
        assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
    }
    drop(text.parse::<verify::Published>());
});
