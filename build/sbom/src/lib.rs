// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! SBOMs from build data: the crate graph and the package database.
#![forbid(unsafe_code)]

use anyhow::Result;
use release::layout::SbomFormat;
use serde_json::Value;

use self::bom::{Bom, Origin};

pub mod bom;
pub mod crates;
pub mod crosscheck;
mod cyclonedx;
pub mod dpkg;
pub mod license;
pub mod openvex;
pub mod purl;
mod spdx;
mod spdx2;
mod spdx3;
pub mod syft;

/// Writes `bom` in the given format, reproducibly.
pub fn to_json(bom: &Bom, origin: &Origin<'_>, format: SbomFormat) -> Result<String> {
    match format {
        SbomFormat::CycloneDx => cyclonedx::to_json(bom, origin),
        SbomFormat::Spdx => spdx2::to_json(bom, origin),
        SbomFormat::Spdx3 => spdx3::to_json(bom, origin),
    }
}

/// Removes the members of a JSON object that have no value: null, or an empty list.
fn without_empty(mut object: Value) -> Value {
    if let Value::Object(members) = &mut object {
        members.retain(|_, value| !value.is_null() && *value != Value::Array(Vec::new()));
    }
    object
}

#[cfg(test)]
mod tests;
