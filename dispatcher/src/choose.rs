// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Chooses the task: tries every medium, and continues after a refused one.
//!
//! An untrusted medium (unreadable, unsigned, signed for another host, expired) is not the task of
//! this host, so the search continues until the timeout. A trusted task with an invalid recipe ends
//! the search if no other medium is better.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

use recipe::{
    ShortText, Validated, controller::ControllerAccess, network::Network, signature::TaskManifest,
};

use crate::{
    cli::Options,
    clock,
    device::Drive,
    exit::{Exit, Failure},
    log,
    medium::{self, Medium, SearchResult},
    read,
    task::Task,
    trust::Trust,
};

/// Interval between searches.
const INTERVAL: Duration = Duration::from_millis(500);
/// Interval for reading refused media again: a bad connection may have damaged one.
const AGAIN: Duration = Duration::from_secs(10);
/// How long to wait for an optical drive before another kind of medium is used. A BMC takes seconds
/// to present a CD, and a USB stick may have been in the host for years.
const SETTLE: Duration = Duration::from_secs(15);
/// Mount point of the medium, below the root.
const MOUNT_POINT: &str = "run/dispatcher/medium";

/// Data for reports, independent of the recipe.
#[derive(Default)]
pub(crate) struct TaskContext {
    pub(crate) access: Option<ControllerAccess>,
    /// `None` for DHCP.
    pub(crate) network: Option<Network>,
    /// When the task was made, in seconds since 1970: by its signature, or, if the policy accepts it
    /// without one, by its medium.
    pub(crate) created: Option<u64>,
}

/// The chosen task.
pub(crate) struct Chosen {
    pub(crate) validated: Validated,
    pub(crate) reach: TaskContext,
    /// The job, if the task names it.
    pub(crate) job: Option<ShortText>,
}

/// Why there is no task, and where to report that.
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    pub(crate) reach: Box<TaskContext>,
    /// The medium is untrusted, so another may follow.
    is_foreign: bool,
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, reach: Box::default(), is_foreign: true }
    }
}

/// Waits for a task, on the given medium or on any that can have one.
pub(crate) fn wait(options: &Options, trust: &Trust<'_>) -> Result<Chosen, Refused> {
    let mut search = Search::new(options, trust);
    log::info(format_args!(
        "waiting up to {} s for {}",
        options.timeout.as_secs(),
        search.describe_source()
    ));
    loop {
        let is_last = search.started.elapsed() >= options.timeout;
        match search.scan(is_last) {
            Ok(Some(chosen)) => return Ok(chosen),
            Err(refused) if is_last || !refused.is_foreign => return Err(refused),
            Ok(None) | Err(_) => {}
        }
        if is_last {
            return Err(search.not_found().into());
        }
        let left = options.timeout.saturating_sub(search.started.elapsed());
        thread::sleep(INTERVAL.min(left));
    }
}

struct Search<'a> {
    options: &'a Options,
    trust: &'a Trust<'a>,
    started: Instant,
    /// Refused media, and when they were read.
    refused: Option<(Vec<Medium>, Instant)>,
    /// Log lines that are not repeated.
    logged: HashSet<String>,
    /// The failure to report.
    last: String,
}

impl<'a> Search<'a> {
    fn new(options: &'a Options, trust: &'a Trust<'a>) -> Self {
        let (refused, logged, last) = (None, HashSet::new(), String::new());
        Self { options, trust, started: Instant::now(), refused, logged, last }
    }

    fn describe_source(&self) -> String {
        match &self.options.source {
            Some(path) => path.display().to_string(),
            None => format!("a medium labelled {}*", iso9660::task::VOLUME_PREFIX),
        }
    }

    /// The failure if no medium was found.
    fn not_found(&self) -> Failure {
        let seconds = self.options.timeout.as_secs();
        let (what, last) = (self.describe_source(), &self.last);
        let error = anyhow::anyhow!("{what} not found within {seconds} s: {last}");
        Failure::new(Exit::NoMedium, error)
    }

    /// Searches once. `None` if there is nothing yet.
    fn scan(&mut self, is_last: bool) -> Result<Option<Chosen>, Refused> {
        let media = match &self.options.source {
            Some(path) => match medium::read_named(path) {
                Ok(medium) => vec![medium],
                Err(error) => {
                    self.last = error.to_string();
                    return Ok(None);
                }
            },
            None => match medium::search(&self.options.root) {
                Ok(found) => self.take_settled(found, is_last),
                Err(error) => {
                    self.last = error.to_string();
                    return Ok(None);
                }
            },
        };
        if media.is_empty() {
            return Ok(None);
        }
        let is_known = self.refused.as_ref().is_some_and(|(known, _)| *known == media);
        let is_recent = self.refused.as_ref().is_some_and(|(_, at)| at.elapsed() < AGAIN);
        if is_known && is_recent && !is_last {
            return Ok(None);
        }
        for medium in &media {
            let label = medium.label.as_deref().unwrap_or("no label");
            self.log_once(format!("found {} ({label})", medium.path.display()));
        }
        let result = choose(&media, self.options, self.trust);
        if let Err(refused) = &result {
            // A given medium is the only one.
            let is_final = self.options.source.is_some() || !refused.is_foreign;
            self.refused = Some((media, Instant::now()));
            if !is_final && !is_last {
                self.log_once(format!("no task yet: {}", refused.failure));
            }
        }
        result.map(Some).map_err(|refused| Refused {
            is_foreign: refused.is_foreign && self.options.source.is_none(),
            ..refused
        })
    }

    /// The media that may be used now.
    fn take_settled(&mut self, found: SearchResult, is_last: bool) -> Vec<Medium> {
        let SearchResult { mut tasks, is_optical_missing, fixed } = found;
        if !fixed.is_empty() {
            self.log_once(format!("not looking at fixed disks: {}", fixed.join(", ")));
        }
        "no optical, removable or read-only medium has such a label".clone_into(&mut self.last);
        if is_optical_missing && !is_last && self.started.elapsed() < SETTLE {
            tasks.retain(|medium| medium.drive == Some(Drive::Optical));
        }
        tasks
    }

    fn log_once(&mut self, line: String) {
        if !self.logged.contains(&line) {
            log::info(&line);
            self.logged.insert(line);
        }
    }
}

/// A medium that was read, with a signature that satisfies the policy.
struct Candidate<'a> {
    medium: &'a Medium,
    task: Task,
    manifest: Option<TaskManifest>,
}

/// The first of `media` with a valid task; of signed ones, the newest.
fn choose(media: &[Medium], options: &Options, trust: &Trust<'_>) -> Result<Chosen, Refused> {
    let (mut candidates, mut refusals) = (Vec::new(), Vec::new());
    for medium in media {
        match candidate(medium, options, trust) {
            Ok(candidate) => candidates.push(candidate),
            Err(failure) => refusals.push((medium, Refused::from(failure))),
        }
    }
    let created = |candidate: &Candidate<'_>| {
        candidate.manifest.as_ref().map_or(0, |manifest| manifest.validity.created)
    };
    // The clock of a host may be behind, or set back to make an old task valid. The current time is
    // not earlier than what a trusted controller has signed.
    let latest = candidates.iter().map(created).max().unwrap_or(0);
    let now = clock::now().max(latest);
    candidates.sort_by_key(|candidate| std::cmp::Reverse(created(candidate)));
    if candidates.len() > 1 {
        let paths = candidates.iter().map(|it| it.medium.path.display().to_string());
        let paths: Vec<_> = paths.collect();
        log::warn(format_args!("{} media contain a task: {}", paths.len(), paths.join(", ")));
    }
    for candidate in candidates {
        let medium = candidate.medium;
        match judge(candidate, trust, now) {
            Ok(chosen) => {
                for (medium, refused) in refusals {
                    let path = medium.path.display();
                    log::warn(format_args!("skipping {path}: {}", refused.failure));
                }
                log::info(format_args!("the task is on {}", medium.path.display()));
                return Ok(chosen);
            }
            Err(refused) => refusals.push((medium, refused)),
        }
    }
    // The fault of a trusted task is reported in preference to that of any other medium.
    refusals.sort_by_key(|(_, refused)| (refused.is_foreign, refused.reach.access.is_none()));
    for (medium, refused) in refusals.iter().skip(1) {
        let path = medium.path.display();
        log::warn(format_args!("skipping {path}: {}", refused.failure));
    }
    let none = || Failure::new(Exit::NoMedium, anyhow::anyhow!("there is no medium")).into();
    Err(refusals.into_iter().next().map_or_else(none, |(_, refused)| refused))
}

fn candidate<'a>(
    medium: &'a Medium,
    options: &Options,
    trust: &Trust<'_>,
) -> Result<Candidate<'a>, Failure> {
    let task = Task::read(medium, &options.root.join(MOUNT_POINT))?;
    let manifest = trust.check(medium.label.as_deref(), &task)?;
    Ok(Candidate { medium, task, manifest })
}

/// Whether a candidate is valid at `now` and can be started.
fn judge(candidate: Candidate<'_>, trust: &Trust<'_>, now: u64) -> Result<Chosen, Refused> {
    let Candidate { medium, task, manifest } = candidate;
    // Before the recipe is validated, so that an invalid one can be reported.
    let signed = manifest.as_ref().map(|manifest| manifest.validity.created);
    let created = signed.or(medium.created);
    let mut reach = TaskContext { access: read::access(&task)?, network: None, created };
    match read::network(&task) {
        Ok(network) => reach.network = network,
        Err(failure) => return Err(Refused { failure, reach: reach.into(), is_foreign: false }),
    }
    if let Some(manifest) = &manifest
        && let Err(failure) = trust.check_time(manifest, now)
    {
        return Err(Refused { failure, reach: reach.into(), is_foreign: true });
    }
    match read::validate(&task) {
        Err(failure) => Err(Refused { failure, reach: reach.into(), is_foreign: false }),
        Ok(validated) => {
            // The recipe's network overrides that of the server.
            reach.network = validated.recipe.network.clone().or(reach.network);
            let of_label = || medium::job_of_label(medium.label.as_deref()?)?.parse().ok();
            let named = manifest.map(|manifest| manifest.job);
            let job = named.or_else(|| reach.access.as_ref().map(|access| access.job_id.clone()));
            Ok(Chosen { validated, job: job.or_else(of_label), reach })
        }
    }
}

#[cfg(test)]
mod tests {
    use iso9660::task::TaskIso;
    use recipe::{
        CURRENT,
        signature::{SigningKey, TaskManifest, Validity, public_key_pem},
    };

    use super::*;
    use crate::cli::{self, Command};

    const RECIPE: &str = r#"{"task_target": "install-esxi.target", "ks_cfg": "reboot\n"}"#;

    /// The time of a task with this policy: its medium is of 1000, its signature of 2000.
    fn created(policy: &str) -> Option<u64> {
        let folder = tempfile::tempdir().unwrap();
        let mut iso = TaskIso {
            job_id: "1".to_owned(),
            epoch: 1000,
            recipe: RECIPE.into(),
            schema: CURRENT.text.into(),
            ..TaskIso::default()
        };
        let (job, server) = ("1".parse().unwrap(), "CZ0815".parse().unwrap());
        let validity = Validity { created: 2000, expires: u64::MAX };
        let manifest = TaskManifest::new(job, server, validity, iso.files());
        let key = SigningKey::from_bytes(&[1; 32]);
        iso.signature = Some(manifest.sign(&key).into());
        let [image, keys] = ["task.iso", "keys.pem"].map(|name| folder.path().join(name));
        iso.write_to_file(&image).unwrap();
        std::fs::write(&keys, public_key_pem(&key)).unwrap();
        let arguments = ["dispatcher", "--signature", policy, "--root", "/nonexistent"];
        let Command::Dispatch(options) = cli::parse(arguments.map(Into::into)).unwrap() else {
            panic!("not a dispatch");
        };
        let serial = "CZ0815".parse().unwrap();
        let trust = Trust::new(options.policy, &keys, Some(&serial));
        let media = [medium::read_named(&image).unwrap()];
        let chosen = choose(&media, &options, &trust).map_err(|refused| refused.failure).unwrap();
        chosen.reach.created
    }

    #[test]
    fn without_a_policy_the_time_of_the_medium_counts() {
        assert_eq!(created("enforce"), Some(2000));
        assert_eq!(created("warn"), Some(2000));
        assert_eq!(created("off"), Some(1000));
    }
}
