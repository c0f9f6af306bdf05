// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Everything below an image's digest: indexes, manifests, configurations and layers.
//!
//! OCI image specification 1.1. Only the digest is trusted, and all content below it must match its
//! digest. The descent is fixed: an index names manifests, a manifest names blobs. Neither names
//! its own kind, each document is read once, and their number is limited.

use std::collections::{BTreeMap, BTreeSet};

use oci::spec::{Descriptor, ImageIndex, ImageManifest};
use oci::{Digest, media_type};
use release::{Architecture, Image};

use crate::report::Problem;

/// Most manifests of one image: one for each platform, and its attestations.
const DOCUMENTS: usize = 256;
/// Most configurations and layers of one image.
const BLOBS: usize = 10_000;

/// Storage of the parts of an image.
pub(crate) trait Store {
    /// Reads a manifest or index and checks its digest.
    fn document(&self, digest: &Digest, media_type: &str) -> Result<Vec<u8>, Problem>;
    /// Checks that content of each digest exists with the given size. Returns the faults.
    fn contents(&self, blobs: &BTreeSet<(Digest, u64)>) -> Vec<(Digest, Problem)>;
}

/// The manifests of an image for several architectures.
pub(crate) type Parts = BTreeMap<Architecture, Digest>;

/// The manifests in `index`, by their stated architecture.
pub fn parts(index: &ImageIndex) -> BTreeMap<Architecture, Digest> {
    let known = [Architecture::Amd64, Architecture::Arm64];
    let part = |it: &Descriptor| {
        let named = it.platform().as_ref()?.architecture().to_string();
        let architecture = known.into_iter().find(|known| known.oci() == named)?;
        Some((architecture, Digest::try_from(it.digest()).ok()?))
    };
    index.manifests().iter().filter_map(part).collect()
}

/// Result of a walk.
#[derive(Default)]
pub(crate) struct Walk {
    /// Size of every document that was read, by digest.
    documents: BTreeMap<Digest, u64>,
    blobs: BTreeSet<(Digest, u64)>,
    /// The manifests by architecture, if the image is an index.
    pub(crate) parts: Parts,
    /// The faults, each with the digest where it was found.
    pub(crate) faults: Vec<(String, Problem)>,
}

impl Walk {
    /// Walks `image` from its digest down.
    pub(crate) fn run(image: &Image, store: &dyn Store) -> Self {
        let mut walk = Self::default();
        match image.digest.parse() {
            Ok(digest) => walk.root(store, &digest, &image.media_type),
            Err(e) => walk.fault(&image.digest, Problem::Image(format!("{e}"))),
        }
        let faults = store.contents(&walk.blobs);
        walk.faults.extend(faults.into_iter().map(|(digest, it)| (digest.to_string(), it)));
        walk
    }

    /// Every digest that was reached.
    pub(crate) fn reached_digests(&self) -> impl Iterator<Item = &Digest> {
        self.documents.keys().chain(self.blobs.iter().map(|(digest, _)| digest))
    }

    fn root(&mut self, store: &dyn Store, digest: &Digest, media_type: &str) {
        if media_type::is_index(media_type) {
            self.index(store, digest, media_type);
        } else if media_type::is_manifest(media_type) {
            self.manifest(store, digest, None, media_type);
        } else {
            let text = format!("the media type {media_type:?} is not that of an image");
            self.fault(digest, Problem::Image(text));
        }
    }

    fn index(&mut self, store: &dyn Store, digest: &Digest, media_type: &str) {
        let Some(index) = self.document::<ImageIndex>(store, digest, None, media_type) else {
            return;
        };
        if index.manifests().len() > DOCUMENTS {
            let text = format!("the image has more than {DOCUMENTS} manifests");
            return self.fault(digest, Problem::Image(text));
        }
        self.parts = parts(&index);
        for child in index.manifests() {
            let media_type = child.media_type().as_ref();
            if !media_type::is_manifest(media_type) {
                let text = format!("an index names {media_type:?}, expected only manifests");
                return self.fault(digest, Problem::Image(text));
            }
            match Digest::try_from(child.digest()) {
                Ok(digest) => self.manifest(store, &digest, Some(child.size()), media_type),
                Err(e) => self.fault(child.digest(), Problem::Image(e.to_string())),
            }
        }
    }

    fn manifest(
        &mut self,
        store: &dyn Store,
        digest: &Digest,
        size: Option<u64>,
        media_type: &str,
    ) {
        let Some(manifest) = self.document::<ImageManifest>(store, digest, size, media_type) else {
            return;
        };
        for child in std::iter::once(manifest.config()).chain(manifest.layers()) {
            let kind = child.media_type().as_ref();
            if media_type::is_index(kind) || media_type::is_manifest(kind) {
                let text = format!("a manifest names {kind:?}, expected only blobs");
                return self.fault(digest, Problem::Image(text));
            }
            match Digest::try_from(child.digest()) {
                Ok(blob) => drop(self.blobs.insert((blob, child.size()))),
                Err(e) => self.fault(child.digest(), Problem::Image(e.to_string())),
            }
            if self.blobs.len() > BLOBS {
                let text = format!("the image has more than {BLOBS} blobs");
                return self.fault(digest, Problem::Image(text));
            }
        }
    }

    /// Reads and parses a document; `None` if it has a fault or was read before.
    fn document<T: serde::de::DeserializeOwned>(
        &mut self,
        store: &dyn Store,
        digest: &Digest,
        size: Option<u64>,
        media_type: &str,
    ) -> Option<T> {
        let read = match self.documents.get(digest) {
            Some(found) => Ok((*found, None)),
            None => store.document(digest, media_type).map(|it| (it.len() as u64, Some(it))),
        };
        let (found, bytes) = match read {
            Ok(read) => read,
            Err(problem) => {
                self.fault(digest, problem);
                return None;
            }
        };
        self.documents.insert(digest.clone(), found);
        if let Some(expected) = size.filter(|size| *size != found) {
            self.fault(digest, Problem::Size { expected, found });
            return None;
        }
        match serde_json::from_slice(&bytes?) {
            Ok(document) => Some(document),
            Err(e) => {
                self.fault(digest, Problem::Image(format!("it is malformed: {e}")));
                None
            }
        }
    }

    fn fault(&mut self, place: &impl ToString, problem: Problem) {
        self.faults.push((place.to_string(), problem));
    }
}

#[cfg(test)]
mod tests;
