// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A foreign base with a layer of native programs, which no image built on it may contain.

use anyhow::{Result, ensure};
use oci::Layout;
use oci::spec::{Descriptor, History};

use super::flatten;

/// History entry of the layer.
pub(crate) const CREATED_BY: &str = "native programs";

/// A base with a layer of native programs.
#[derive(Debug)]
pub struct NativeBase {
    /// Layout of the image.
    pub layout: Layout,
    /// Digest of the uncompressed layer.
    pub(crate) diff_id: String,
    /// Files of the layer.
    pub(crate) files: Vec<String>,
}

impl NativeBase {
    /// Whether the layer `diff_id` is the one of native programs.
    pub(crate) fn is_layer(&self, diff_id: &str) -> bool {
        self.diff_id == diff_id
    }

    /// Whether the history entry is that of the layer of native programs.
    pub(crate) fn is_history(entry: &History) -> bool {
        entry.created_by().as_deref() == Some(CREATED_BY)
    }

    /// Checks that the layer `own`, built on top, neither replaces nor removes a native program: the
    /// root without them would not be the one that was built.
    ///
    /// # Errors
    /// When it does.
    pub(crate) fn check(&self, layout: &Layout, own: &Descriptor) -> Result<()> {
        let hidden = flatten::read_hidden(layout, own)?;
        let changed = self.files.iter().find(|path| hidden.hides(path));
        ensure!(
            changed.is_none(),
            "the Containerfile changes /{}, which a native program replaces while it runs; fix: \
             take the program out of the list in build/media/src/native.rs",
            changed.map(String::as_str).unwrap_or_default()
        );
        Ok(())
    }
}
