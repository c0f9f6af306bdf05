// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The accepted versions of the recipe schema: the current and the previous one.
//!
//! A released schema never changes: a change is a new file with a new `$id`. `upgrade` converts
//! what an older version accepted to the current form, so only this module knows older forms.

use std::sync::LazyLock;

use serde_json::Value;

use crate::{model::TaskTarget, schema::Schema};

/// A published schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaVersion {
    /// The schema's own `$id`.
    pub id: &'static str,
    /// The version's number.
    pub version: &'static str,
    /// The file, byte for byte, as in `/recipe.schema.json` on the task ISO.
    pub text: &'static str,
}

/// The current schema.
pub const CURRENT: SchemaVersion = SchemaVersion {
    id: "https://provisioner.example/schemas/recipe/1.1.json",
    version: "1.1",
    text: include_str!("../schemas/recipe-1.1.schema.json"),
};

/// The previous schema. 1.1 added `firmware_sha256`, `network` and `erase_disks`, and dropped the
/// scheme `oci://` of `oci_url`.
pub const PREVIOUS: SchemaVersion = SchemaVersion {
    id: "https://provisioner.example/schemas/recipe/1.0.json",
    version: "1.0",
    text: include_str!("../schemas/recipe-1.0.schema.json"),
};

impl SchemaVersion {
    /// The accepted versions, newest first.
    pub const ALL: [Self; 2] = [CURRENT, PREVIOUS];

    /// The accepted version with this `$id`.
    pub fn by_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.id == id)
    }

    /// The compiled schema. The files are compiled in, and a test compiles each.
    pub(crate) fn schema(self) -> Option<&'static Schema> {
        static COMPILED: LazyLock<Vec<Schema>> = LazyLock::new(|| {
            let texts = SchemaVersion::ALL.iter().map(|version| version.text.as_bytes());
            texts.filter_map(|text| Schema::from_slice(text).ok()).collect()
        });
        COMPILED.iter().find(|schema| schema.id() == Some(self.id))
    }

    /// Whether this version has the fields that `target` requires. The published schemas allow any
    /// name of a target.
    pub(crate) fn has_target(self, target: &TaskTarget) -> bool {
        self == CURRENT || *target != TaskTarget::Erase
    }

    /// Converts a recipe of this version to the current form.
    pub(crate) fn upgrade(self, recipe: &mut Value) {
        if self == PREVIOUS
            && let Some(Value::String(url)) = recipe.get_mut("oci_url")
            && let Some(bare) = url.strip_prefix("oci://")
        {
            *url = bare.to_owned();
        }
    }
}
