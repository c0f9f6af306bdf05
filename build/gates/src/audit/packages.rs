// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares image packages with the security suite of their distribution.
//!
//! Its index is fetched from the host's apt sources at most once a day; otherwise the last one is
//! used. Without any index, its packages are not checked.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use debian::apt::{self, Apt};
use debian::changelog::{self, LaterChanges};
use debian::copyright;
use debian::lock::{Lock, Locked};
use debian::security::{self, Update, Updates};
use engine::{Run, StepLog};
use foundation::file;
use foundation::finding::Finding;
use foundation::tree::remove;
use release::Architecture;

use super::DAY;

/// The locks of all images.
pub(super) struct Locks(Vec<(PathBuf, String, Lock)>);

/// Known security updates by suite and architecture.
pub(super) struct Known {
    suites: BTreeMap<(String, &'static str), Suite>,
    /// Date of the oldest index, in seconds.
    pub(super) date: u64,
    /// Suites without an index, with architecture.
    pub(super) unread: Vec<String>,
}

/// A security suite for one architecture.
struct Suite {
    pocket: String,
    apt: Apt,
    updates: Updates,
    date: u64,
}

impl Locks {
    /// Reads the locks named in `release.toml`.
    pub(super) fn read(run: &Run) -> Result<Self> {
        let bases = &run.workspace.product().bases;
        let paths: BTreeSet<&Path> = bases.iter().map(|base| base.lock.as_path()).collect();
        let read = |path: &Path| {
            let whole = run.workspace.root().join(path);
            let text = fs::read_to_string(&whole).unwrap_or_default();
            Ok((path.to_owned(), text, Lock::read(&whole)?))
        };
        paths.into_iter().map(read).collect::<Result<_>>().map(Self)
    }

    /// Number of distinct package versions.
    pub(super) fn len(&self) -> usize {
        let packages = self.0.iter().flat_map(|(_, _, lock)| &lock.packages);
        packages.map(|it| (&it.name, &it.version)).collect::<BTreeSet<_>>().len()
    }

    /// Reads the security suites, as far as available here.
    pub(super) fn updates(&self, run: &Run, log: &StepLog) -> Result<Known> {
        let mut suites = BTreeMap::new();
        let mut dates = Vec::new();
        let mut unread = Vec::new();
        for (_, _, lock) in &self.0 {
            for image in lock.packages.iter().map(|it| it.image).collect::<BTreeSet<_>>() {
                let key = (lock.suite.clone(), image.oci());
                if suites.contains_key(&key) {
                    continue;
                }
                if let Some(suite) = suite(run, log, &lock.suite, image)? {
                    dates.push(suite.date);
                    suites.insert(key, suite);
                } else {
                    dates.push(lock.epoch);
                    let pocket = pocket(&lock.suite);
                    unread.push(format!("{pocket} ({})", image.oci()));
                }
            }
        }
        Ok(Known { suites, date: dates.into_iter().min().unwrap_or_default(), unread })
    }

    /// Packages that are older than in their security suite; each version once per lock.
    pub(super) fn lacks<'a>(&'a self, known: &'a Known) -> Vec<MissingUpdate<'a>> {
        let mut lacks = BTreeMap::new();
        for (path, text, lock) in &self.0 {
            for locked in &lock.packages {
                let suite = known.suites.get(&(lock.suite.clone(), locked.image.oci()));
                let Some(suite) = suite else { continue };
                let Some(update) = suite.updates.find_update(&locked.name, &locked.version) else {
                    continue;
                };
                let of = (path, &locked.name, &locked.version);
                lacks.entry(of).or_insert(MissingUpdate { path, text, suite, locked, update });
            }
        }
        lacks.into_values().collect()
    }
}

/// A package without its security update.
pub(super) struct MissingUpdate<'a> {
    path: &'a Path,
    text: &'a str,
    suite: &'a Suite,
    locked: &'a Locked,
    update: &'a Update,
}

impl MissingUpdate<'_> {
    /// Id of the missing update, `SOURCE@VERSION`.
    pub(super) fn id(&self) -> &str {
        &self.update.source
    }

    /// The finding, at the package's first line in the lock; `news` comes from the update's
    /// changelog.
    pub(super) fn finding(&self, news: &LaterChanges) -> Finding {
        let Locked { name, version, .. } = self.locked;
        let entry = format!("name = {name:?}\nversion = {version:?}");
        let ids: Vec<&str> = news.vulnerabilities.iter().map(String::as_str).collect();
        let ids = if ids.is_empty() { "vulnerabilities".to_owned() } else { ids.join(", ") };
        let (pocket, newer) = (&self.suite.pocket, &self.update.version);
        Finding {
            line: self.text.find(&entry).map(|at| self.text[..at].lines().count() + 1),
            ..Finding::in_file(
                self.path.to_string_lossy(),
                self.id(),
                format!("{name} {version}: {pocket} has {newer}, which fixes {ids}"),
                "cargo xtask images --update-lock, or record a mitigation with this id and its expiry under [[gates.audit.mitigation]]",
            )
        }
    }
}

/// Changelog data of updates, by id. Uses the smallest package of each update; empty for updates
/// that cannot be downloaded.
pub(super) fn news<'a>(
    run: &Run,
    log: &StepLog,
    lacks: &'a [MissingUpdate<'a>],
) -> Result<BTreeMap<&'a str, LaterChanges>> {
    let mut smallest: BTreeMap<&str, &MissingUpdate<'_>> = BTreeMap::new();
    for lack in lacks {
        let known = smallest.entry(lack.id()).or_insert(lack);
        if lack.update.size < known.update.size {
            *known = lack;
        }
    }
    let folder = run.workspace.scratch().join("apt/news");
    let mut news = BTreeMap::new();
    for (id, lack) in smallest {
        remove(&folder)?;
        file::create_folder(&folder)?;
        let changes = changelog(run, log, lack, &folder).unwrap_or_else(|error| {
            log.note(&format!("{id}: cannot download its changelog: {error:#}"));
            LaterChanges::default()
        });
        news.insert(id, changes);
    }
    Ok(news)
}

fn changelog(
    run: &Run,
    log: &StepLog,
    lack: &MissingUpdate<'_>,
    folder: &Path,
) -> Result<LaterChanges> {
    let MissingUpdate { locked, update, suite, .. } = lack;
    let wanted = Locked { version: update.version.clone(), ..(*locked).clone() };
    run.exec(log, &suite.apt.download(&[&wanted], folder))?;
    let file = fs::read_dir(folder)?.next().context("apt-get downloaded nothing")??.path();
    let tar = run.attempt_machine(log, &copyright::files_command(&file))?.success()?;
    let text =
        changelog::find(tar.as_slice(), &locked.name)?.context("the package has no changelog")?;
    Ok(changelog::find_changes(&text, &locked.version))
}

fn pocket(suite: &str) -> String {
    format!("{suite}-security")
}

/// The security suite of `suite` for `architecture`; `None` if its index was never fetched.
fn suite(
    run: &Run,
    log: &StepLog,
    suite: &str,
    architecture: Architecture,
) -> Result<Option<Suite>> {
    let pocket = pocket(suite);
    let folder = security::folder(&run.workspace.scratch(), suite, architecture);
    let Some(apt) = fetch_index(run, log, suite, architecture, &folder) else { return Ok(None) };
    let dump = run.attempt_machine(log, &apt.dump())?.success()?;
    let date = apt.index_date(&pocket)?;
    let updates = Updates::parse(&String::from_utf8_lossy(&dump));
    Ok(Some(Suite { pocket, apt, updates, date }))
}

/// apt in `folder` with an index of the security suite of `suite`: today's, else the last one.
fn fetch_index(
    run: &Run,
    log: &StepLog,
    suite: &str,
    architecture: Architecture,
    folder: &Path,
) -> Option<Apt> {
    // Written last, so that a partial download is repeated.
    let stamp = folder.join(security::FETCHED);
    let age = fs::metadata(&stamp)
        .and_then(|it| it.modified())
        .ok()
        .and_then(|time| SystemTime::now().duration_since(time).ok());
    let known = age.is_some().then(|| Apt::open(folder.to_owned(), architecture));
    if age.is_some_and(|age| age < DAY) {
        return known;
    }
    let fetch = || -> Result<Apt> {
        let printed = run.capture(log, &apt::sources_command())?;
        let host = apt::host_suite()?;
        let sources = apt::security_sources(&String::from_utf8_lossy(&printed), &host, suite)?;
        let apt = Apt::new(folder.to_owned(), architecture, &sources)?;
        run.exec(log, &apt.update())?;
        fs::write(&stamp, "").with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(apt)
    };
    match fetch() {
        Ok(apt) => Some(apt),
        Err(error) => {
            let last = if known.is_some() { "using the last copy" } else { "no earlier copy" };
            log.note(&format!("cannot fetch the index of {suite}-security, {last}: {error:#}"));
            known
        }
    }
}
