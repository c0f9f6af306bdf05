// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Gate: no crate or image package with a known vulnerability, and no unmaintained or yanked crate.
//!
//! Vulnerability data is fetched at most once a day if the network allows; otherwise the last copy
//! is used and the result states its age. A release rejects data older than [`STALE_DAYS`].

mod crates;
mod mitigations;
mod packages;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use debian::apt;
use engine::{Description, Gap, Input, Judgement, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::command::Command;
use foundation::file;
use foundation::finding::Finding;
use foundation::text::count;
use foundation::tree::remove;
use release::Channel;
use rules::advisory;
use rust::index::Indexes;
use rust::metadata;

use self::mitigations::Mitigations;

/// Copy in the repository, for hosts without network access.
const SNAPSHOT: &str = "build/gates/data/advisory-db.tar.xz";
/// Age from which advisories are too old for a release.
const STALE_DAYS: u32 = 30;
const DAY: Duration = Duration::from_hours(24);

/// `cargo xtask audit`.
pub struct Audit;

impl Step for Audit {
    fn describe(&self) -> Description {
        Description::gate("audit", "find known vulnerabilities in crates and image packages")
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        // tar runs xz.
        ["cargo", "git", "tar", "xz"].map(Need::Tool).into()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new()
            .command(clone(run))
            .command(unpack(run))
            .native("check all crates of Cargo.lock against the advisories")
            .command(refresh(run))
            .command(metadata::command(run.workspace.root()))
            .native("check for yanked crates")
            .reads(Input::Source(PathBuf::from("Cargo.lock")))
            .reads(Input::Source(PathBuf::from("release.toml")))
            .reads(Input::Source(PathBuf::from(SNAPSHOT)))
            .reads(Input::Tool("cargo"))
            .reads(Input::Day);
        let plan = metadata::manifests(&run.workspace.paths()?)
            .fold(plan, |plan, manifest| plan.reads(Input::Source(manifest)));
        let bases = &run.workspace.product().bases;
        if bases.is_empty() {
            return Ok(plan);
        }
        let plan = plan
            .command(apt::sources_command())
            .native("check all image packages against the security updates");
        Ok(bases.iter().fold(plan, |plan, base| plan.reads(Input::Source(base.lock.clone()))))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let advisories = advisory::load(&database(run, log)?)?;
        let newest = advisories.iter().map(|it| it.date.as_str()).max().unwrap_or_default();
        let gate = &run.workspace.product().gates.audit;
        require_fresh(run, "advisory", newest, &gate.database)?;
        let lock = fs::read_to_string(run.workspace.root().join("Cargo.lock"))
            .context("cannot read Cargo.lock")?;
        let lock = crates::Lock::parse(lock)?;
        let today = day(SystemTime::now());
        let mut mitigations = Mitigations::new(&gate.mitigation, &today);
        let mut findings = lock.judge(&advisories, &mut mitigations);
        let (taken_back, unknown) = find_yanked(run, log, &lock)?;
        findings.extend(taken_back);
        let mut fact = format!("{} crates, advisories of {newest}", lock.crates().len());
        if unknown > 0 {
            fact.push_str(&format!(", {unknown} not checked for yanks (not in an index)"));
        }
        let locks = packages::Locks::read(run)?;
        let mut unread = Vec::new();
        if locks.len() > 0 {
            let known = locks.updates(run, log)?;
            let of = day(UNIX_EPOCH + Duration::from_secs(known.date));
            require_fresh(run, "index of security updates", &of, "the host's Debian mirror")?;
            let (late, waiting) = find_late(run, log, &locks, &known, &mut mitigations)?;
            findings.extend(late);
            fact.push_str(&format!(
                "; {}, security updates of {of}, {waiting} within the grace period",
                count(locks.len(), "package")
            ));
            unread = known.unread;
        }
        // A mitigation may apply to data that is missing here.
        findings.extend(mitigations.find_stale(|id| unread.is_empty() || !id.contains('@')));
        findings.sort();
        let gap = |suite: String| {
            Gap {
            problem: format!("packages not checked: cannot read an index of {suite}"),
            fix: "cargo xtask audit, where apt reaches its Debian mirror; see target/xtask/logs/audit.log"
                .to_owned(),
        }
        };
        let gaps = unread.into_iter().map(gap).collect();
        Ok(Outcome::Judged(Judgement { fact, findings, gaps, expected: false }))
    }
}

/// Findings on packages whose security updates are older than the grace period, and the number of
/// those within it. A release has no grace period. The date of an update without a changelog is the
/// index's.
fn find_late(
    run: &Run,
    log: &StepLog,
    locks: &packages::Locks,
    known: &packages::Known,
    mitigations: &mut Mitigations<'_>,
) -> Result<(Vec<Finding>, usize)> {
    let mut lacks = locks.lacks(known);
    lacks.retain(|lack| !mitigations.excuse(lack.id()));
    let news = packages::news(run, log, &lacks)?;
    let days = match run.version().channel() {
        Channel::Snapshot => run.workspace.product().gates.audit.grace_days,
        _ => 0,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let due = now.saturating_sub(DAY * days).as_secs();
    let mut findings = Vec::new();
    for lack in &lacks {
        let Some(news) = news.get(lack.id()) else { continue };
        let finding = lack.finding(news);
        if news.since.unwrap_or(known.date) < due {
            findings.push(finding);
        } else {
            log.note(&format!("within the grace period of {days} days: {}", finding.message));
        }
    }
    let waiting = lacks.len() - findings.len();
    Ok((findings, waiting))
}

/// Rejects data that is too old for a release: the newest `what` is of day `of` and comes from
/// `place`.
fn require_fresh(run: &Run, what: &str, of: &str, place: &str) -> Result<()> {
    let stale = of < day(SystemTime::now() - DAY * STALE_DAYS).as_str();
    if stale && run.version().channel() != Channel::Snapshot {
        bail!(
            "the newest {what} is of {of}: a release needs one of the last {STALE_DAYS} days; \
             run it where {place} can be reached"
        );
    }
    Ok(())
}

/// Findings on yanked crates, and the number of crates that Cargo's index caches do not contain.
fn find_yanked(run: &Run, log: &StepLog, lock: &crates::Lock) -> Result<(Vec<Finding>, usize)> {
    if run.attempt(log, &refresh(run))?.code() != Some(0) {
        log.note("cannot fetch the crate index: using the last copy");
    }
    let output = run.ask(log, &metadata::command(run.workspace.root()))?;
    let indexes = Indexes::new(&metadata::read(output)?);
    let is_yanked = |it: &crates::Locked| indexes.is_yanked(it.source()?, &it.name, &it.version);
    let unknown: Vec<_> = lock.crates().iter().filter(|it| is_yanked(it).is_none()).collect();
    for it in &unknown {
        log.note(&format!("no index contains {} {}: not checked for a yank", it.name, it.version));
    }
    Ok((lock.find_yanked(|it| is_yanked(it) == Some(true)), unknown.len()))
}

/// The command that updates Cargo's index cache for the crates of the lock, without changing
/// anything else.
fn refresh(run: &Run) -> Command {
    run.command("cargo").env("CARGO_NET_RETRY", "0").env("CARGO_HTTP_TIMEOUT", "10").args([
        "update",
        "--dry-run",
        "--quiet",
    ])
}

fn clone(run: &Run) -> Command {
    run.command("git")
        .env("GIT_TERMINAL_PROMPT", "0")
        .args(["-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=10"])
        .args(["clone", "--quiet", "--depth", "1"])
        .arg(&run.workspace.product().gates.audit.database)
        .arg(run.workspace.scratch().join(advisory::FOLDER).with_extension("new"))
}

fn unpack(run: &Run) -> Command {
    run.command("tar")
        .args(["-xJf", SNAPSHOT, "--strip-components=1", "-C"])
        .arg(run.workspace.scratch().join(advisory::FOLDER).with_extension("snapshot"))
}

/// The folder with the newest available advisories.
fn database(run: &Run, log: &StepLog) -> Result<PathBuf> {
    let fetched = run.workspace.scratch().join(advisory::FOLDER);
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
            .with_context(|| format!("cannot move the advisories to {}", fetched.display()))?;
        return Ok(fetched);
    }
    if age.is_some() {
        log.note("cannot fetch the advisories: using the last copy");
        return Ok(fetched);
    }
    log.note("cannot fetch the advisories: using the copy in the repository");
    let snapshot = fetched.with_extension("snapshot");
    remove(&snapshot)?;
    file::create_folder(&snapshot)?;
    run.exec(log, &unpack(run))?;
    Ok(snapshot)
}

/// Formats `YYYY-MM-DD` in UTC.
fn day(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_so_that_they_sort() {
        assert_eq!(day(SystemTime::UNIX_EPOCH), "1970-01-01");
    }
}
