// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Changes between two releases: the commits of a range, the required version bump, and release
//! notes in Markdown and JSON.
//!
//! Commits follow [Conventional Commits 1.0.0](https://www.conventionalcommits.org/en/v1.0.0/);
//! others are listed unchanged. Nothing here runs Git: [`LOG_FORMAT`] is the format for `git log`.
#![forbid(unsafe_code)]

mod api;
mod bump;
mod commit;
mod lint;
mod markdown;
mod message;
mod notes;
mod range;

pub use api::{ApiChange, api_changes};
pub use bump::{Bump, next_version};
pub use commit::{Commit, LOG_FORMAT, LogError, parse_log};
pub use lint::{Violation, lint};
pub use markdown::render;
pub use message::{Change, Kind, changes};
pub use notes::{ArtifactNote, Notes, SchemaNote};
pub use range::{Range, collect};
