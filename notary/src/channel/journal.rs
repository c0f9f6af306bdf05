// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Moves tags in many repositories atomically.
//!
//! 1. Push the record of the change under the tag `pending`. It lists every tag that moves.
//! 2. Move the tags.
//! 3. Give the record the tag of its number, then `current`. This completes the change.
//!
//! If a pending record is newer than the current one, a change is in progress or was interrupted. [`IN_PROGRESS`]
//! after its start, the next command resumes it at step 2. If that is not possible, because a manifest is missing or
//! another change was made meanwhile, it moves the tags back to the state of the current record.
//!
//! A registry has no locks and no conditional requests. So a change looks at `current` before each step, and stops if
//! another one was completed meanwhile.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use release::channels::record::{CURRENT, PENDING, number_tag};
use release::channels::{ChannelRecord, Located, Move};

use super::store::{Document, Store};
use crate::date::rfc3339;
use crate::signer::Signer;

/// Seconds for which an incomplete change counts as in progress: longer than any request takes with its retries.
const IN_PROGRESS: u64 = 10 * 60;

/// State of the channels before a change.
pub(super) struct Channels {
    /// The newest record.
    pub(super) current: Option<Located>,
    /// Number of an interrupted record that was rolled back.
    pub(super) abandoned: Option<u64>,
    /// Digest of a pending record that was complete, or was made so. Its tag stays where a registry does not delete
    /// tags.
    left: Option<String>,
}

impl Channels {
    pub(super) fn record(&self) -> Option<&ChannelRecord> {
        self.current.as_ref().map(|it| &it.record)
    }
}

/// The manifests that tags are moved to, by repository and digest.
type Targets = BTreeMap<(String, String), Document>;

/// Resumes or rolls back an interrupted change, and returns the state of the channels. `now` is in seconds since
/// 1970.
///
/// # Errors
/// When a record is not signed by the trusted signer, `check` refuses the newest one, another change may be in
/// progress, or the registry refuses something.
pub(super) fn recover(
    store: &Store,
    now: u64,
    check: impl FnOnce(Option<&Located>) -> Result<()>,
) -> Result<Channels> {
    let current = store.record(CURRENT)?;
    check(current.as_ref()).context("nothing was changed")?;
    let number = current.as_ref().map_or(0, |it| it.record.number);
    let pending = store.record(PENDING).with_context(|| {
        format!(
            "a change was interrupted whose record cannot be trusted; fix: look at channels:{PENDING} and \
             delete that tag"
        )
    })?;
    let left = pending.as_ref().map(|it| it.digest.clone());
    let Some(pending) = pending.filter(|it| it.record.number > number) else {
        return Ok(Channels { current, abandoned: None, left });
    };
    let Located { record, digest } = &pending;
    let idle = record.time.saturating_add(IN_PROGRESS);
    ensure!(
        now >= idle,
        "{} started record {} of the channels at {}, which may be in progress; nothing was changed. Wait until it is \
         complete; if it was interrupted, run this again after {}",
        record.by,
        record.number,
        rfc3339(record.time),
        rfc3339(idle)
    );
    let follows = record.previous == current.as_ref().map(|it| it.digest.clone());
    let targets = if follows { fetch(store, &record.moves)? } else { None };
    let document = store.manifest(release::channels::record::REPOSITORY, digest)?;
    if let (Some(targets), Some(document)) = (targets, document) {
        eprintln!("finishing record {}, which was interrupted", record.number);
        finish(store, record, &document, &targets)?;
        return Ok(Channels { current: Some(pending), abandoned: None, left });
    }
    eprintln!("undoing record {}, which was interrupted and cannot be finished", record.number);
    undo(store, current.as_ref().map(|it| &it.record), record)?;
    remove_pending(store, digest)?;
    Ok(Channels { current, abandoned: Some(record.number), left })
}

/// Commits a change, and returns the digest of its record.
///
/// # Errors
/// When the registry refuses a request, or another change was made at the same time. No tag has moved unless the
/// message states it.
pub(super) fn commit(
    store: &Store,
    signer: &Signer,
    before: &Channels,
    record: &ChannelRecord,
) -> Result<String> {
    let targets = fetch(store, &record.moves)?
        .context("a manifest of the release is gone from the registry; no tag has moved")?;
    let document = store.upload(record, signer).context("no tag has moved")?;
    let meanwhile = "another change of the channels is being made at the same time; no tag has moved. Run this again";
    let found = store.record_tag(PENDING)?;
    ensure!(found.is_none() || found == before.left, "{meanwhile}");
    store.set_record(PENDING, &document).context("no tag has moved")?;
    let digest = document.digest.to_string();
    ensure!(store.record_tag(PENDING)?.as_ref() == Some(&digest), "{meanwhile}");
    ensure!(store.record_tag(CURRENT)? == record.previous, "{meanwhile}");
    finish(store, record, &document, &targets).with_context(|| {
        format!(
            "the change was interrupted; look at `notary channels`. Any change of a channel after {} finishes it or \
             points the tags back",
            rfc3339(record.time.saturating_add(IN_PROGRESS))
        )
    })?;
    Ok(digest)
}

/// Moves the tags, then makes the record the newest one.
///
/// # Errors
/// When another change was completed meanwhile, or the registry refuses something.
fn finish(
    store: &Store,
    record: &ChannelRecord,
    document: &Document,
    targets: &Targets,
) -> Result<()> {
    let digest = document.digest.to_string();
    for it in &record.moves {
        if is_complete(store, record, &digest)? {
            return Ok(());
        }
        let target = it.to.clone().and_then(|to| targets.get(&(it.repository.clone(), to)));
        apply(store, it, target)?;
    }
    store.set_record(&number_tag(record.number), document)?;
    if !is_complete(store, record, &digest)? {
        store.set_record(CURRENT, document)?;
    }
    // Some registries cannot delete a tag. Its number shows that the change is complete.
    remove_pending(store, &digest)
}

/// Whether `record` is the newest one already, because another command finished it.
///
/// # Errors
/// When another record became the newest one, or the registry refuses.
fn is_complete(store: &Store, record: &ChannelRecord, digest: &str) -> Result<bool> {
    let current = store.record_tag(CURRENT)?;
    ensure!(
        current.as_deref() == Some(digest) || current == record.previous,
        "another change of the channels was completed while record {} was made: {} is {}, expected {}",
        record.number,
        CURRENT,
        current.as_deref().unwrap_or("gone"),
        record.previous.as_deref().unwrap_or("none")
    );
    Ok(current.as_deref() == Some(digest))
}

/// Removes the tag of an incomplete change, unless it is of another one.
///
/// # Errors
/// When the registry refuses to read it.
fn remove_pending(store: &Store, digest: &str) -> Result<()> {
    if store.record_tag(PENDING)?.as_deref() == Some(digest) {
        store.remove_record_tag(PENDING);
    }
    Ok(())
}

/// Fetches the manifests that tags move to; `None` if one is missing.
fn fetch(store: &Store, moves: &[Move]) -> Result<Option<Targets>> {
    let mut targets = Targets::new();
    for it in moves {
        let Some(to) = &it.to else { continue };
        let key = (it.repository.clone(), to.clone());
        if targets.contains_key(&key) {
            continue;
        }
        let Some(document) = store.manifest(&it.repository, to)? else { return Ok(None) };
        targets.insert(key, document);
    }
    Ok(Some(targets))
}

/// Moves the tags back to the state of `current`, or to their own old state if it does not list them.
fn undo(store: &Store, current: Option<&ChannelRecord>, abandoned: &ChannelRecord) -> Result<()> {
    for it in &abandoned.moves {
        let entry = current.and_then(|record| record.channels.get(&it.channel));
        let to = match entry {
            Some(entry) => entry.repositories.get(&it.repository).cloned(),
            None => it.from.clone(),
        };
        let target = match &to {
            Some(digest) => Some(store.manifest(&it.repository, digest)?.with_context(|| {
                format!("{}@{digest}, which {} had, is gone", it.repository, it.channel)
            })?),
            None => None,
        };
        apply(store, &Move { to, ..it.clone() }, target.as_ref())?;
    }
    Ok(())
}

/// Sets or removes one tag, unless it is right already.
fn apply(store: &Store, it: &Move, target: Option<&Document>) -> Result<()> {
    let tag = it.channel.to_string();
    if store.tag(&it.repository, &tag)? == it.to {
        return Ok(());
    }
    if let Some(document) = target {
        return store.set(&it.repository, &tag, document);
    }
    if !store.remove(&it.repository, &tag) {
        eprintln!(
            "warning: the registry does not delete {}:{tag}, which the release no longer has",
            it.repository
        );
    }
    Ok(())
}

/// Adds the current targets of the tags to `moves`, and removes moves without effect.
///
/// # Errors
/// When the registry refuses.
pub(super) fn look(store: &Store, moves: Vec<Move>) -> Result<Vec<Move>> {
    let mut needed = Vec::new();
    for it in moves {
        let from = store.tag(&it.repository, &it.channel.to_string())?;
        if from != it.to {
            needed.push(Move { from, ..it });
        }
    }
    Ok(needed)
}
