// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Changes between two releases: the commits of a range, the required version bump, release
//! notes in Markdown and JSON, and the changelog.
//!
//! Commits follow [Conventional Commits 1.0.0](https://www.conventionalcommits.org/en/v1.0.0/);
//! others are listed unchanged. Nothing here runs Git: [`LOG_FORMAT`] is the format for `git log`.
#![forbid(unsafe_code)]

mod api;
mod bump;
mod changelog;
mod commit;
mod lint;
mod markdown;
mod message;
mod notes;
mod range;

pub use api::{ApiChange, api_changes};
pub use bump::{Bump, newest_stable, next_version};
pub use changelog::{ChangelogError, add_release, section_of};
pub use commit::{Commit, LOG_FORMAT, LogError, parse_log};
pub use lint::{Violation, lint};
pub use markdown::render;
pub use message::{Change, Kind, changes};
pub use notes::{AdvisoryNote, ArtifactNote, Notes, SchemaNote, Security};
pub use range::{PullRequest, Range, collect};
