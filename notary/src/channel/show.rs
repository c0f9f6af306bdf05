// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The report of `notary channels`.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use release::channels::record::{CURRENT, PENDING};
use release::channels::{Change, ChannelRecord, Located};
use serde::Serialize;

use super::args::ShowArgs;
use super::history;
use super::store::Store;
use crate::date::rfc3339;

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    /// `HOST[:PORT][/PREFIX]`.
    registry: String,
    /// The newest record, as it was signed.
    record: ChannelRecord,
    /// Whether it is past its expiry.
    expired: bool,
    /// Whether a change is in progress or was interrupted.
    interrupted: bool,
    /// Tags that point elsewhere than the record states.
    deviations: Vec<Deviation>,
    /// Every record, the newest first; with `--history`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history: Vec<ChannelRecord>,
}

#[derive(Serialize)]
struct Deviation {
    repository: String,
    tag: String,
    expected: String,
    found: Option<String>,
}

/// `notary channels`.
///
/// # Errors
/// When the registry has no record, or one that is not signed by the given signer.
pub(crate) fn show(args: &ShowArgs) -> Result<ExitCode> {
    let store = Store::new(args.registry.clone(), args.by.records()?, None)?;
    let Some(located) = store.record(CURRENT)? else {
        escape::print_line(format_args!("{} has no channels yet", args.registry))?;
        return Ok(ExitCode::SUCCESS);
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let pending = store.record(PENDING)?;
    let history = if args.history {
        let records = history::records(&store, &located);
        records.map(|it| Ok(it?.record)).collect::<Result<_>>()?
    } else {
        Vec::new()
    };
    let Located { record, .. } = located;
    let report = Report {
        registry: args.registry.to_string(),
        expired: now >= record.expires,
        interrupted: pending.is_some_and(|it| it.record.number > record.number),
        deviations: deviations(&store, &record)?,
        record,
        history,
    };
    print(&report, args.json).context("cannot write the report")?;
    let is_good = !report.expired && report.deviations.is_empty() && !report.interrupted;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn deviations(store: &Store, record: &ChannelRecord) -> Result<Vec<Deviation>> {
    let mut deviations = Vec::new();
    for (name, entry) in &record.channels {
        for (repository, expected) in &entry.repositories {
            let tag = name.to_string();
            let found = store.tag(repository, &tag)?;
            if found.as_ref() != Some(expected) {
                let (repository, expected) = (repository.clone(), expected.clone());
                deviations.push(Deviation { repository, tag, expected, found });
            }
        }
    }
    Ok(deviations)
}

fn print(report: &Report, as_json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if as_json {
        serde_json::to_writer_pretty(&mut out, report)?;
        return writeln!(out);
    }
    let record = &report.record;
    writeln!(out, "{:<12}{:<26}{:<22}BY", "CHANNEL", "VERSION", "SINCE")?;
    for (name, entry) in &record.channels {
        let name = name.to_string();
        let yanked = if record.yanked.contains_key(&entry.version) { "  YANKED" } else { "" };
        let (version, since) = (entry.version.to_string(), rfc3339(entry.since));
        writeln!(out, "{name:<12}{version:<26}{since:<22}{}{yanked}", entry.by)?;
    }
    for (version, yank) in &record.yanked {
        writeln!(
            out,
            "yanked {version} by {} on {}: {}",
            yank.by,
            rfc3339(yank.since),
            yank.reason
        )?;
    }
    let state = if report.expired { "expired" } else { "expires" };
    writeln!(
        out,
        "record {} of {}, {state} {}",
        record.number,
        rfc3339(record.time),
        rfc3339(record.expires)
    )?;
    for it in &report.history {
        let change = match &it.change {
            Change::Promote { version, channels } => {
                format!("promote {version} to {}", list(channels))
            }
            Change::Rollback { version, channels } => {
                format!("roll {} back to {version}", list(channels))
            }
            Change::Yank { version } => format!("yank {version}"),
            Change::Refresh => "refresh".to_owned(),
        };
        writeln!(out, "  {:>5}  {}  {change}, by {}", it.number, rfc3339(it.time), it.by)?;
    }
    if report.interrupted {
        writeln!(
            out,
            "a change is in progress or was interrupted: `notary refresh-channels` finishes it"
        )?;
    }
    for Deviation { repository, tag, expected, found } in &report.deviations {
        let found = found.as_deref().unwrap_or("nothing");
        writeln!(out, "FAULT {repository}:{tag} points to {found}, expected {expected}")?;
    }
    Ok(())
}

fn list(channels: &[release::channels::ChannelName]) -> String {
    channels.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
