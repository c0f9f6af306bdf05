// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: no crate with a known vulnerability, and none that nobody looks after.
//!
//! The advisories are fetched where the network allows, at most once a day; else the last copy
//! serves, and the result says how old it is. A release refuses a copy that is older than
//! [`STALE_DAYS`].

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use cargo_metadata::semver::Version;
use release::Channel;
use serde::Deserialize;

use super::{Input, Need, Outcome, Plan, Step, StepLog};
use crate::finding::Finding;
use crate::ops::advisory::{self, Advisory, Kind};
use crate::ops::command::Command;
use crate::ops::tree::remove;
use crate::run::Run;
use crate::workspace::Mitigation;

/// The copy that the source carries, for machines that reach nothing else.
const SNAPSHOT: &str = "xtask/data/advisory-db.tar.xz";
/// From this age on, the advisories are too old for a release.
const STALE_DAYS: u32 = 30;
const DAY: Duration = Duration::from_hours(24);

/// `cargo xtask audit`.
pub(crate) struct Audit;

impl Step for Audit {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn about(&self) -> &'static str {
        "stop crates with known vulnerabilities or without a maintainer"
    }

    fn is_gate(&self) -> bool {
        true
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("git"), Need::Tool("tar")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        Ok(Plan::new()
            .command(clone(run))
            .command(unpack(run))
            .native("hold every crate of Cargo.lock against the advisories")
            .reads(Input::Source(PathBuf::from("Cargo.lock")))
            .reads(Input::Source(PathBuf::from("release.toml")))
            .reads(Input::Source(PathBuf::from(SNAPSHOT)))
            .reads(Input::Day))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let advisories = advisory::load(&database(run, log)?)?;
        let today = day(SystemTime::now());
        let newest = advisories.iter().map(|it| it.date.as_str()).max().unwrap_or_default();
        let stale = newest < day(SystemTime::now() - DAY * STALE_DAYS).as_str();
        if stale && run.version().channel() != Channel::Snapshot {
            bail!(
                "the newest advisory is of {newest}: a release wants advisories that are at most \
                 {STALE_DAYS} days old; run it where {} can be reached",
                run.workspace.product().gates.audit.database
            );
        }
        let lock = fs::read_to_string(run.workspace.root().join("Cargo.lock"))
            .context("cannot read Cargo.lock")?;
        let mitigations = &run.workspace.product().gates.audit.mitigation;
        let (findings, crates) = judge(&lock, &advisories, mitigations, &today)?;
        Ok(if findings.is_empty() {
            Outcome::Done(format!("{crates} crates, advisories of {newest}"))
        } else {
            Outcome::Found(findings)
        })
    }
}

/// Folder of the fetched advisories below `target/xtask`.
const FETCHED: &str = "advisory-db";

fn clone(run: &Run) -> Command {
    run.command("git")
        .env("GIT_TERMINAL_PROMPT", "0")
        .args(["-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=10"])
        .args(["clone", "--quiet", "--depth", "1"])
        .arg(&run.workspace.product().gates.audit.database)
        .arg(run.workspace.scratch().join(FETCHED).with_extension("new"))
}

fn unpack(run: &Run) -> Command {
    run.command("tar")
        .args(["-xJf", SNAPSHOT, "--strip-components=1", "-C"])
        .arg(run.workspace.scratch().join(FETCHED).with_extension("snapshot"))
}

/// The folder of the newest advisories that can be had.
fn database(run: &Run, log: &StepLog) -> Result<PathBuf> {
    let fetched = run.workspace.scratch().join(FETCHED);
    let age = fs::metadata(&fetched)
        .and_then(|it| it.modified())
        .ok()
        .and_then(|time| SystemTime::now().duration_since(time).ok());
    if age.is_some_and(|age| age < DAY) {
        return Ok(fetched);
    }
    let new = fetched.with_extension("new");
    remove(&new)?;
    if run.attempt(log, &clone(run))?.code() == Some(0) {
        remove(&fetched)?;
        fs::rename(&new, &fetched)
            .with_context(|| format!("cannot put the advisories at {}", fetched.display()))?;
        return Ok(fetched);
    }
    if age.is_some() {
        log.note("the advisories can't be fetched: the last ones serve");
        return Ok(fetched);
    }
    log.note("the advisories can't be fetched: the copy in the source serves");
    let snapshot = fetched.with_extension("snapshot");
    remove(&snapshot)?;
    fs::create_dir_all(&snapshot).with_context(|| format!("cannot make {}", snapshot.display()))?;
    run.exec(log, &unpack(run))?;
    Ok(snapshot)
}

/// `YYYY-MM-DD` in UTC.
fn day(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string().chars().take(10).collect()
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: Version,
    source: Option<String>,
}

/// The findings on the crates of `lock`, and how many crates were looked at.
fn judge(
    lock: &str,
    advisories: &[Advisory],
    mitigations: &[Mitigation],
    today: &str,
) -> Result<(Vec<Finding>, usize)> {
    let lock_model: Lock = toml::from_str(lock).context("Cargo.lock is malformed")?;
    let foreign: Vec<&Locked> =
        lock_model.package.iter().filter(|it| it.source.is_some()).collect();
    let mut findings = Vec::new();
    let mut used = Vec::new();
    for locked in &foreign {
        for advisory in advisories.iter().filter(|it| it.concerns(&locked.name, &locked.version)) {
            if matches!(advisory.kind, Kind::Minor | Kind::Notice) {
                continue;
            }
            if let Some(mitigation) = mitigations.iter().find(|it| it.id == advisory.id) {
                used.push(mitigation.id.as_str());
                if mitigation.expires.as_str() > today {
                    continue;
                }
            }
            findings.push(finding(lock, locked, advisory));
        }
    }
    findings.extend(mitigations.iter().filter(|it| !used.contains(&it.id.as_str())).map(|it| {
        Finding::in_file(
            "release.toml",
            "stale-mitigation",
            format!("[[gates.audit.mitigation]] {} concerns no crate of ours", it.id),
            "remove the entry",
        )
    }));
    findings.sort();
    Ok((findings, foreign.len()))
}

fn finding(lock: &str, locked: &Locked, advisory: &Advisory) -> Finding {
    let mend = match (advisory.kind, advisory.mended()) {
        (Kind::Unmaintained, _) => "replace the crate, or record why not and until when under [[gates.audit.mitigation]]".to_owned(),
        (_, Some(versions)) => format!("go to {versions}: cargo update {}", locked.name),
        (_, None) => "no version mends it: drop the crate, or record a mitigation with its expiry under [[gates.audit.mitigation]]".to_owned(),
    };
    let (name, version) = (&locked.name, &locked.version);
    let entry = format!("name = \"{name}\"\nversion = \"{version}\"");
    let line = lock.find(&entry).map(|at| lock[..at].lines().count() + 1);
    Finding {
        line,
        ..Finding::in_file(
            "Cargo.lock",
            advisory.id.clone(),
            format!("{name} {version}: {}", advisory.title),
            mend,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str =
        "version = 4\n\n[[package]]\nname = \"bad\"\nversion = \"1.0.0\"\nsource = \"registry\"\n";

    /// A database with one vulnerability in `bad` before 1.1.0.
    fn advisories() -> Vec<Advisory> {
        let folder = tempfile::tempdir().unwrap();
        let crates = folder.path().join("crates/bad");
        fs::create_dir_all(&crates).unwrap();
        fs::write(
            crates.join("RUSTSEC-2020-0001.md"),
            "```toml\n[advisory]\nid = \"RUSTSEC-2020-0001\"\npackage = \"bad\"\ndate = \"2020-01-02\"\n\
             [versions]\npatched = [\">= 1.1.0\"]\n```\n# It breaks\n",
        )
        .unwrap();
        advisory::load(folder.path()).unwrap()
    }

    fn mitigation(id: &str, expires: &str) -> Mitigation {
        toml::from_str(&format!("id = \"{id}\"\nreason = \"r\"\nexpires = \"{expires}\"")).unwrap()
    }

    fn rules(lock: &str, mitigations: &[Mitigation]) -> Vec<(Option<usize>, String)> {
        let (findings, _) = judge(lock, &advisories(), mitigations, "2026-01-01").unwrap();
        findings.into_iter().map(|it| (it.line, it.rule)).collect()
    }

    #[test]
    fn a_vulnerable_crate_is_named_with_its_line() {
        assert_eq!(rules(LOCK, &[]), [(Some(4), "RUSTSEC-2020-0001".to_owned())]);
        assert_eq!(rules(&LOCK.replace("1.0.0", "1.1.0"), &[]), []);
    }

    #[test]
    fn a_mitigation_holds_until_its_day_and_a_stale_one_is_told() {
        assert_eq!(rules(LOCK, &[mitigation("RUSTSEC-2020-0001", "2026-01-02")]), []);
        assert_eq!(rules(LOCK, &[mitigation("RUSTSEC-2020-0001", "2026-01-01")]).len(), 1);
        let other =
            [mitigation("RUSTSEC-2020-0001", "2027-01-01"), mitigation("RUSTSEC-1", "2027-01-01")];
        assert_eq!(rules(LOCK, &other), [(None, "stale-mitigation".to_owned())]);
    }

    #[test]
    fn days_are_written_so_that_they_sort() {
        assert_eq!(day(SystemTime::UNIX_EPOCH), "1970-01-01");
    }
}
