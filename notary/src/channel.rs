// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary channels`, `promote`, `rollback`, `yank` and `refresh-channels`: show and change channels.
//!
//! A change is a signed record (`release::channels`). It is pushed before the first tag moves, and becomes the newest
//! record after the last one; see [`journal`].

mod args;
mod history;
mod journal;
mod session;
mod show;
mod store;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use release::channels::record::number_tag;
use release::channels::{Change, ChannelName, ChannelRecord, EligibleRelease, Yank};
use release::layout;

pub(crate) use args::{ChangeArgs, PromoteArgs, RollbackArgs, ShowArgs, YankArgs, line, version};
pub(crate) use show::show;

use crate::date::rfc3339;
use journal::Channels;
use session::Session;

/// `notary promote`.
///
/// # Errors
/// When the release is not verified or may not enter the channel, or the registry refuses something.
pub(crate) fn promote(args: &PromoteArgs) -> Result<()> {
    let session = Session::open(&args.change)?;
    let before = session.recover()?;
    let release = session.verify_release(&args.version)?;
    let channels = release.promote(before.record(), args.to)?;
    let change = Change::Promote { version: args.version.clone(), channels: channels.clone() };
    point(&session, &before, &release, &channels, change)
}

/// `notary rollback`.
///
/// # Errors
/// When there is no older release to go back to, or as [`promote`].
pub(crate) fn rollback(args: &RollbackArgs) -> Result<()> {
    let session = Session::open(&args.change)?;
    let before = session.recover()?;
    let version = if let Some(version) = &args.to {
        version.clone()
    } else {
        let current = before.current.as_ref();
        let current = current.with_context(|| format!("{} points to no release", args.channel))?;
        history::find_before(&session.store, current, args.channel)?
    };
    let release = session.verify_release(&version)?;
    let channels = release.roll_back(before.record(), args.channel)?;
    let change = Change::Rollback { version, channels: channels.clone() };
    point(&session, &before, &release, &channels, change)
}

/// `notary yank`.
///
/// # Errors
/// When the registry has no such release or refuses something.
pub(crate) fn yank(args: &YankArgs) -> Result<()> {
    let session = Session::open(&args.change)?;
    let before = session.recover()?;
    let tag = layout::tag(&args.version.to_string());
    let there = session.store.tag(layout::REPOSITORY, &tag)?;
    ensure!(
        there.is_some(),
        "the registry has no release {}: there is no {}:{tag}",
        args.version,
        session.store.repository(layout::REPOSITORY)?
    );
    if let Some(known) = before.record().and_then(|it| it.yanked.get(&args.version)) {
        escape::print_line(format_args!(
            "{} was yanked already by {}: {}",
            args.version, known.by, known.reason
        ))?;
        return Ok(());
    }
    let mut record = session.next(&before)?;
    record.change = Change::Yank { version: args.version.clone() };
    let yank = Yank { reason: args.reason.clone(), since: record.time, by: record.by.clone() };
    record.yanked.insert(args.version.clone(), yank);
    session.commit(&before, &record, Vec::new())?;
    escape::print_line(format_args!("yanked {} (record {})", args.version, record.number))?;
    for (name, _) in record.channels.iter().filter(|(_, it)| it.version == args.version) {
        escape::print_line(format_args!(
            "{name} still points to it: run `notary rollback {name}`"
        ))?;
    }
    Ok(())
}

/// `notary refresh-channels`.
///
/// # Errors
/// When there is no record yet, the key has changed and a channel points to a release of the old one, or the registry
/// refuses something.
pub(crate) fn refresh(args: &ChangeArgs) -> Result<()> {
    let session = Session::open(args)?;
    let before = session.recover()?;
    let Some(current) = before.record() else {
        bail!("the registry has no channels yet; `notary promote` makes the first record");
    };
    if args.previous_key.is_some() {
        let targets: BTreeMap<_, _> =
            current.channels.iter().map(|(name, it)| (&it.version, name)).collect();
        for (version, name) in targets {
            session.verify_release(version).with_context(|| {
                format!(
                    "{name} points to {version}, which clients that have the new signer alone would refuse; promote a \
                     release that the new signer signed to it first, with --previous-key"
                )
            })?;
        }
    }
    let record = session.next(&before)?;
    session.commit(&before, &record, Vec::new())?;
    escape::print_line(format_args!(
        "signed record {} of the channels, which expires {}",
        record.number,
        rfc3339(record.expires)
    ))?;
    Ok(())
}

/// Points `channels` to the release, unless they do already.
fn point(
    session: &Session,
    before: &Channels,
    release: &EligibleRelease,
    channels: &[ChannelName],
    change: Change,
) -> Result<()> {
    let mut record = session.next(before)?;
    record.change = change;
    let moves = release.enter(&mut record, channels);
    let moves = journal::look(&session.store, moves)?;
    let names: Vec<_> = channels.iter().map(ToString::to_string).collect();
    let (version, names) = (release.version(), names.join(", "));
    if moves.is_empty() && agrees(before.record(), &record, channels) {
        escape::print_line(format_args!("{names} point to {version} already"))?;
        return Ok(());
    }
    eprintln!("moving {} tags: {names} to {version}", moves.len());
    session.commit(before, &record, moves)?;
    escape::print_line(format_args!("{names} -> {version} ({})", number_tag(record.number)))?;
    Ok(())
}

/// Whether `before` has the same releases in `channels` as `after`.
fn agrees(before: Option<&ChannelRecord>, after: &ChannelRecord, channels: &[ChannelName]) -> bool {
    channels.iter().all(|name| {
        let entries = before.and_then(|it| it.channels.get(name)).zip(after.channels.get(name));
        entries.is_some_and(|(a, b)| {
            (&a.version, &a.release, &a.repositories) == (&b.version, &b.release, &b.repositories)
        })
    })
}
