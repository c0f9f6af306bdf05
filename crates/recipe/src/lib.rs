// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The recipe: its JSON Schema, its validation and its typed model, and `/run/provision`, which the
//! dispatcher writes from a recipe and the steps read.
#![forbid(unsafe_code)]

mod contents;
pub mod env_file;
mod model;
mod partition;
mod patterns;
pub mod provision;
mod text;
mod uri;
#[cfg(feature = "write")]
mod write;

pub use contents::{ContentSummary, Contents, KsCfg, Metadata, UnattendXml, UserData, sha256_hex};
pub use model::{Recipe, SiteTarget, TaskTarget};
pub use partition::{ByteSize, Format, Partition, PartitionLayout, Percent, Size, TypeGuid};
pub use text::{DiskPath, FirmwareUrl, FormError, Label, OciReference, Sha256Hex, ShortText};
