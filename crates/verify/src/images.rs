// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Everything that an image's digest leads to: indexes, manifests, configurations and layers.
//!
//! OCI image specification 1.1. The digest is the only thing that is believed; whatever lies where it
//! points must have it.

use std::collections::BTreeMap;

use oci::spec::{Descriptor, ImageIndex, ImageManifest};
use oci::{Digest, media_type};
use release::{Architecture, Image};

use crate::report::Problem;

/// Indexes may hold indexes; real ones hold one level of them.
const DEPTH: usize = 4;

/// Where the parts of an image lie.
pub(crate) trait Store {
    /// Reads a manifest or index and checks its digest.
    fn document(&self, digest: &Digest, media_type: &str) -> Result<Vec<u8>, Problem>;
    /// Checks that content of this digest is there, with this size.
    fn content(&self, digest: &Digest, size: u64) -> Result<(), Problem>;
}

/// The manifests of an image for several architectures.
pub(crate) type Parts = BTreeMap<Architecture, Digest>;

/// The manifests that `index` has, by the architecture that it says they are for.
pub fn parts(index: &ImageIndex) -> BTreeMap<Architecture, Digest> {
    let known = [Architecture::Amd64, Architecture::Arm64];
    let part = |it: &Descriptor| {
        let named = it.platform().as_ref()?.architecture().to_string();
        let architecture = known.into_iter().find(|known| known.oci() == named)?;
        Some((architecture, Digest::try_from(it.digest()).ok()?))
    };
    index.manifests().iter().filter_map(part).collect()
}

/// What a walk found.
#[derive(Default)]
pub(crate) struct Walk {
    /// Every digest that was reached.
    pub(crate) reached: BTreeMap<Digest, u64>,
    /// What the image has for each architecture, where it is an index.
    pub(crate) parts: Parts,
    /// What is wrong, with the digest where it was seen.
    pub(crate) faults: Vec<(String, Problem)>,
}

impl Walk {
    /// Walks `image` from its digest down.
    pub(crate) fn of(image: &Image, store: &dyn Store) -> Self {
        let mut walk = Self::default();
        match image.digest.parse() {
            Ok(digest) => walk.document(store, &digest, None, &image.media_type, DEPTH),
            Err(e) => walk.fault(&image.digest, Problem::Image(format!("{e}"))),
        }
        walk
    }

    fn document(
        &mut self,
        store: &dyn Store,
        digest: &Digest,
        size: Option<u64>,
        media_type: &str,
        depth: usize,
    ) {
        let bytes = match store.document(digest, media_type) {
            Ok(bytes) => bytes,
            Err(problem) => return self.fault(digest, problem),
        };
        let found = bytes.len() as u64;
        self.reached.insert(digest.clone(), found);
        if let Some(expected) = size.filter(|size| *size != found) {
            return self.fault(digest, Problem::Size { expected, found });
        }
        let malformed = |e: serde_json::Error| Problem::Image(format!("it is malformed: {e}"));
        if media_type::is_index(media_type) {
            match (serde_json::from_slice::<ImageIndex>(&bytes), depth.checked_sub(1)) {
                (Ok(index), Some(below)) => {
                    if depth == DEPTH {
                        self.parts = parts(&index);
                    }
                    for child in index.manifests() {
                        self.descriptor(store, child, below);
                    }
                }
                (Ok(_), None) => {
                    let text = format!("indexes are nested deeper than {DEPTH}");
                    self.fault(digest, Problem::Image(text));
                }
                (Err(e), _) => self.fault(digest, malformed(e)),
            }
        } else if media_type::is_manifest(media_type) {
            match serde_json::from_slice::<ImageManifest>(&bytes) {
                Ok(manifest) => {
                    for child in std::iter::once(manifest.config()).chain(manifest.layers()) {
                        self.descriptor(store, child, depth);
                    }
                }
                Err(e) => self.fault(digest, malformed(e)),
            }
        } else {
            let text = format!("the media type {media_type:?} is no image's");
            self.fault(digest, Problem::Image(text));
        }
    }

    fn descriptor(&mut self, store: &dyn Store, descriptor: &Descriptor, depth: usize) {
        let (kind, size) = (descriptor.media_type().as_ref(), descriptor.size());
        let digest = match Digest::try_from(descriptor.digest()) {
            Ok(digest) => digest,
            Err(e) => return self.fault(descriptor.digest(), Problem::Image(e.to_string())),
        };
        if media_type::is_index(kind) || media_type::is_manifest(kind) {
            return self.document(store, &digest, Some(size), kind, depth);
        }
        match self.reached.insert(digest.clone(), size) {
            // Layers are shared: the same digest with the same size was looked at already.
            Some(before) if before == size => {}
            _ => {
                if let Err(problem) = store.content(&digest, size) {
                    self.fault(&digest, problem);
                }
            }
        }
    }

    fn fault(&mut self, place: &impl ToString, problem: Problem) {
        self.faults.push((place.to_string(), problem));
    }
}
