// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Channels: names that move from release to release, the rules for entering them, and the record of
//! where each points.

mod eligible;
mod name;
pub mod record;

pub use eligible::{EligibleRelease, Refusal};
pub use name::{ChannelName, kind_of};
pub use record::{Change, ChannelRecord, Entry, Located, Move, RecordMetadata, Yank};
