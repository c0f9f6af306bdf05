// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The recipe: JSON Schema, validation, typed model, and `/run/provision`, which the dispatcher
//! writes and the steps read.
#![forbid(unsafe_code)]

mod contents;
pub mod controller;
pub mod env_file;
mod erase;
mod fault;
mod model;
pub mod network;
mod partition;
mod patterns;
pub mod provision;
mod provision_error;
pub mod schema;
#[cfg(feature = "signature")]
pub mod signature;
mod summary;
mod text;
mod uri;
mod validation;
mod version;
mod warning;
#[cfg(feature = "write")]
mod write;

pub use contents::{ContentSummary, Contents, KsCfg, Metadata, UnattendXml, UserData, sha256_hex};
pub use erase::{EraseDisk, EraseDisks};
pub use fault::{Fault, ValidationError};
pub use model::{Recipe, TaskTarget};
pub use partition::{ByteSize, Format, Partition, PartitionLayout, Percent, Size, TypeGuid};
pub use summary::{FileSummary, Summary};
pub use text::{
    DiskId, DiskPath, FirmwareUrl, FormError, Label, OciReference, Sha256Hex, ShortText,
};
pub use validation::{MAX_RECIPE_BYTES, Validated, validate, validate_against, validate_with};
pub use version::{CURRENT, PREVIOUS, SchemaVersion};
pub use warning::Warning;
