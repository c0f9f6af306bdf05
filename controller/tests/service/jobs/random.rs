// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Faulty BMCs, repeated reports, cancellations and kills of the controller, at random. Invariants:
//! every job ends, acknowledged reports are kept, and no host is reset twice for one job.
//!
//! `FAULTS_SEED` repeats a run as far as thread scheduling allows, `FAULTS_ROUNDS` makes it longer.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use controller::jobs::model::{JobId, Outcome, State};
use controller::jobs::runner::Settings;
use controller::jobs::store::{self, ReportReceipt};
use tempfile::TempDir;

use super::world::{Controller, HostBehaviour, World, kinds, quick_settings, success};

const MACHINES: usize = 6;

pub(crate) fn number_from(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_every_job_ends_and_no_machine_is_reset_twice() {
    let seed = number_from("FAULTS_SEED").unwrap_or_else(|| fastrand::u64(..));
    let rounds = number_from("FAULTS_ROUNDS").unwrap_or(3);
    println!("FAULTS_SEED={seed}");
    let folder = TempDir::new().unwrap();
    let world = World::new(HostBehaviour::Bad, seed, folder.path());
    let settings = Settings {
        boot_budget: Duration::from_secs(5),
        webhook_budget: Duration::from_secs(2),
        cleanup_budget: Duration::from_secs(5),
        lease: Duration::from_millis(150),
        ..quick_settings()
    };
    let mut jobs: Vec<JobId> = Vec::new();
    let mut acknowledged: HashSet<JobId> = HashSet::new();
    let mut controller = Controller::start(&folder, &world, settings.clone());
    for machine in 0..MACHINES {
        controller.add_server(&format!("S{machine}")).await;
    }
    for _ in 0..rounds * 100 {
        let serial = format!("S{}", world.draw_below(MACHINES));
        match world.draw_below(20) {
            0 => {
                controller.kill().await;
                controller = Controller::start(&folder, &world, settings.clone());
            }
            1 => {
                controller.stop().await;
                controller = Controller::start(&folder, &world, settings.clone());
            }
            2 if !jobs.is_empty() => {
                let id = jobs[world.draw_below(jobs.len())];
                let cancel = move |c: &_| store::cancel(c, id, "ops");
                if let Ok(job) = controller.database.write(cancel).await {
                    controller.runner.notify(job.number);
                }
            }
            // A report for a job that may belong to another host.
            3 if !jobs.is_empty() => {
                let id = jobs[world.draw_below(jobs.len())];
                let taken = controller.report("S-none", success(id)).await;
                assert_eq!(taken, ReportReceipt::Unknown, "FAULTS_SEED={seed}");
            }
            4..10 => {
                if let Ok(job) = controller.create(&serial).await {
                    jobs.push(job.id);
                }
            }
            _ => deliver(&controller, &world, &mut acknowledged).await,
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    for id in &jobs {
        let wait = async {
            while controller.job(*id).await.state != State::Complete {
                deliver(&controller, &world, &mut acknowledged).await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(Duration::from_mins(1), wait).await.is_err() {
            let events = controller.events(*id).await;
            panic!("FAULTS_SEED={seed}: stuck: {:#?} {events:#?}", controller.job(*id).await);
        }
    }
    for id in jobs {
        let job = controller.job(id).await;
        let events = controller.events(id).await;
        let context = format!("FAULTS_SEED={seed} {job:#?} {events:#?}");
        let count = |of: &HashMap<JobId, u32>| of.get(&id).copied().unwrap_or(0);
        assert!(count(&world.resets.lock().unwrap()) <= 1, "{context}");
        assert!(count(&world.restarts.lock().unwrap()) <= 1, "{context}");
        if acknowledged.contains(&id) {
            assert_eq!(job.outcome, Some(Outcome::Succeeded), "{context}");
        }
        // The events contain each state once, in order.
        let states: Vec<String> = kinds(&events)
            .into_iter()
            .filter_map(|k| Some(k.strip_prefix("state.")?.to_owned()))
            .collect();
        let states: Vec<&str> = states.iter().map(|s| s.split(' ').next().unwrap()).collect();
        let outcome = job.outcome.unwrap().as_str();
        let whole = ["queued", "provisioning", outcome, "complete"];
        // A job cancelled before its start is never provisioning.
        let short = ["queued", outcome, "complete"];
        assert!(states == whole || (job.cancelled && states == short), "{context}");
    }
    controller.stop().await;
}

/// Delivers reports, some of them twice, and collects the recorded ones.
async fn deliver(controller: &Controller, world: &World, acknowledged: &mut HashSet<JobId>) {
    let waiting = std::mem::take(&mut *world.outbox.lock().unwrap());
    for (serial, job) in waiting {
        if world.chance(20) {
            world.outbox.lock().unwrap().push((serial.clone(), job));
        }
        if let ReportReceipt::Recorded(job) = controller.report(&serial, success(job)).await {
            acknowledged.insert(job);
        }
    }
}
