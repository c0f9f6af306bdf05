// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Older records of channels.

use anyhow::{Context as _, Result};
use release::channels::{ChannelName, Located};
use semver::Version;

use super::store::Store;

/// Maximum number of records that are read: two years of daily refreshes.
pub(super) const RECORDS: usize = 1_000;

/// The records from `newest` back to the first, at most [`RECORDS`]. Each must have a lower number than its
/// successor.
pub(super) fn records<'a>(
    store: &'a Store,
    newest: &Located,
) -> impl Iterator<Item = Result<Located>> + 'a {
    let mut next = Some(Ok(newest.clone()));
    let step = move || {
        let located = match next.take()? {
            Ok(located) => located,
            Err(e) => return Some(Err(e)),
        };
        let number = located.record.number;
        next = located.record.previous.as_deref().map(|digest| {
            let before = store.record_by_digest(digest)?;
            anyhow::ensure!(
                before.record.number < number,
                "record {} names record {} as the one before it",
                number,
                before.record.number
            );
            Ok(before)
        });
        Some(Ok(located))
    };
    std::iter::from_fn(step).take(RECORDS)
}

/// The last release that `channel` pointed to before its current one, with a lower version and not withdrawn.
///
/// # Errors
/// When there is none, or a record cannot be read.
pub(super) fn find_before(
    store: &Store,
    current: &Located,
    channel: ChannelName,
) -> Result<Version> {
    let entry = current.record.channels.get(&channel);
    let entry = entry.with_context(|| format!("{channel} points to no release"))?;
    for located in records(store, current) {
        let record = located?.record;
        let Some(earlier) = record.channels.get(&channel) else { continue };
        let is_older = match channel {
            ChannelName::Edge => earlier.epoch < entry.epoch,
            ChannelName::Candidate
            | ChannelName::Stable
            | ChannelName::Latest
            | ChannelName::Minor { .. } => earlier.version < entry.version,
        };
        if is_older && !current.record.yanked.contains_key(&earlier.version) {
            return Ok(earlier.version.clone());
        }
    }
    anyhow::bail!(
        "{channel} had no older release than {}; name one with --to VERSION",
        entry.version
    )
}
