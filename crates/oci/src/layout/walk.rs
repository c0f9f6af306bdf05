// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Walks all content reachable from a layout or a manifest.
//!
//! The depth is bounded: `index.json` references indexes, manifests and blobs; an index references
//! manifests and blobs; a manifest references blobs. Nested documents of the same kind are
//! rejected, and each document is read once.

use std::collections::HashSet;

use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::de::DeserializeOwned;

use super::{Layout, LayoutError};
use crate::media_type;

/// Kind of content, ordered by the depth at which it may occur.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Blob,
    Manifest,
    Index,
}

impl Level {
    fn from_media_type(media_type: &str) -> Self {
        if media_type::is_index(media_type) {
            Self::Index
        } else if media_type::is_manifest(media_type) {
            Self::Manifest
        } else {
            Self::Blob
        }
    }
}

/// Reachable content in push order: all blobs, then each manifest after those it references,
/// without duplicates.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Configurations, layers and other blobs.
    pub blobs: Vec<Descriptor>,
    /// Manifests and indexes.
    pub manifests: Vec<Descriptor>,
    seen: HashSet<String>,
}

impl Layout {
    /// Follows and verifies every descriptor from `index.json`.
    ///
    /// # Errors
    /// On the first content that is missing, malformed or does not match its descriptor.
    pub fn walk(&self) -> Result<Contents, LayoutError> {
        let mut contents = Contents::default();
        for root in self.index()?.manifests() {
            self.visit(root, Level::Index, &mut contents)?;
        }
        Ok(contents)
    }

    /// Follows and verifies every descriptor from `root`.
    ///
    /// # Errors
    /// As [`walk`](Self::walk).
    pub fn walk_from(&self, root: &Descriptor) -> Result<Contents, LayoutError> {
        let mut contents = Contents::default();
        self.visit(root, Level::Index, &mut contents)?;
        Ok(contents)
    }

    /// Visits `descriptor`, whose level may be at most `highest`.
    fn visit(
        &self,
        descriptor: &Descriptor,
        highest: Level,
        contents: &mut Contents,
    ) -> Result<(), LayoutError> {
        // The same digest may occur with several media types or sizes, so all three are the key.
        let media_type = descriptor.media_type().as_ref();
        let level = Level::from_media_type(media_type);
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
