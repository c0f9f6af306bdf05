// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Everything that a layout, or one manifest in it, leads to.
//!
//! The descent is fixed: `index.json` names indexes, manifests and blobs; an index names manifests and blobs;
//! a manifest names blobs. A document that names its own kind is refused, and each is read once, so a walk
//! ends, whatever a layout holds.

use std::collections::HashSet;

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::de::DeserializeOwned;

use super::{Layout, LayoutError};
use crate::media_type;

/// What a descriptor may describe, by the document that it is in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Blob,
    Manifest,
    Index,
}

impl Level {
    fn of(media_type: &str) -> Self {
        if media_type::is_index(media_type) {
            Self::Index
        } else if media_type::is_manifest(media_type) {
            Self::Manifest
        } else {
            Self::Blob
        }
    }
}

/// What was found, in the order in which a registry takes it: first all blobs, then each manifest after
/// those that it names. Nothing is listed twice.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Configurations, layers, and whatever is no manifest.
    pub blobs: Vec<Descriptor>,
    /// Manifests and indexes.
    pub manifests: Vec<Descriptor>,
    seen: HashSet<String>,
}

impl Layout {
    /// Follows every descriptor from `index.json` and checks the content of each.
    ///
    /// # Errors
    /// At the first content that is missing, malformed or not what its descriptor says.
    pub fn walk(&self) -> Result<Contents, LayoutError> {
        let mut contents = Contents::default();
        for root in self.index()?.manifests() {
            self.visit(root, Level::Index, &mut contents)?;
        }
        Ok(contents)
    }

    /// Follows every descriptor from `root` and checks the content of each.
    ///
    /// # Errors
    /// As [`walk`](Self::walk).
    pub fn walk_from(&self, root: &Descriptor) -> Result<Contents, LayoutError> {
        let mut contents = Contents::default();
        self.visit(root, Level::Index, &mut contents)?;
        Ok(contents)
    }

    /// Visits `descriptor`, which may describe at most a document of the level `highest`.
    fn visit(
        &self,
        descriptor: &Descriptor,
        highest: Level,
        contents: &mut Contents,
    ) -> Result<(), LayoutError> {
        // One content may be described as a blob here and as a manifest there, and sizes may disagree.
        let media_type = descriptor.media_type().as_ref();
        let level = Level::of(media_type);
        if level > highest {
            return Err(LayoutError::Nested {
                path: self.blob_path(&self.digest(descriptor)?),
                media_type: media_type.to_owned(),
            });
        }
        let key = format!("{media_type} {} {}", descriptor.digest(), descriptor.size());
        if !contents.seen.insert(key) {
            return Ok(());
        }
        match level {
            Level::Index => {
                let index: ImageIndex = self.parse(descriptor)?;
                for manifest in index.manifests() {
                    self.visit(manifest, Level::Manifest, contents)?;
                }
                contents.manifests.push(descriptor.clone());
            }
            Level::Manifest => {
                let manifest: ImageManifest = self.parse(descriptor)?;
                for blob in std::iter::once(manifest.config()).chain(manifest.layers()) {
                    self.visit(blob, Level::Blob, contents)?;
                }
                contents.manifests.push(descriptor.clone());
            }
            Level::Blob => {
                self.check_blob(descriptor)?;
                contents.blobs.push(descriptor.clone());
            }
        }
        Ok(())
    }

    fn parse<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<T, LayoutError> {
        let bytes = self.read_document(descriptor)?;
        serde_json::from_slice(&bytes).map_err(|source| match self.digest(descriptor) {
            Ok(digest) => LayoutError::Json { path: self.blob_path(&digest), source },
            Err(e) => e,
        })
    }
}
