// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! One job for each of many BMCs with random quirks and faults. Invariants: every job succeeds, its
//! host boots the maintenance OS once and its disk once, and ends powered on without media.
//!
//! `PERSONALITIES` is the number of BMCs, `PERSONALITIES_SEED` the seed of the first; the others
//! have the seeds that follow. `PERSONALITIES=1` repeats one that failed.

use std::sync::Arc;
use std::time::Duration;

use controller::jobs::model::{JobId, Outcome, State};
use controller::jobs::redfish::Redfish;
use controller::jobs::runner::Settings;
use mock_bmc::{Boot, Mock, Source};
use redfish::Timing;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::random::number_from;
use super::world::{Controller, HostBehaviour, World, kinds, quick_settings, success};

/// BMCs of the usual run.
const SAMPLE: u64 = 32;
/// Jobs at once. They mostly wait for their BMC.
const AT_ONCE: usize = 48;

/// Limits that are long compared with the behaviour of the hosts.
fn timing() -> Timing {
    Timing {
        request: Duration::from_secs(1),
        attempts: 5,
        backoff: Duration::from_millis(5),
        backoff_max: Duration::from_millis(20),
        poll: Duration::from_millis(5),
        settle: Duration::from_secs(1),
        graceful: Duration::from_millis(500),
        power: Duration::from_secs(1),
        post: Duration::from_millis(500),
        task: Duration::from_secs(5),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_succeeds_with_every_bmc() {
    let wanted = number_from("PERSONALITIES");
    let count = wanted.unwrap_or(SAMPLE);
    // A long run explores, the usual one repeats.
    let any = || if wanted.is_some() { fastrand::u32(..).into() } else { 0 };
    let first = number_from("PERSONALITIES_SEED").unwrap_or_else(any);
    println!("PERSONALITIES_SEED={first}");
    let folder = TempDir::new().unwrap();
    let world = World::new(HostBehaviour::Good, first, folder.path());
    let settings = Settings {
        boot_budget: Duration::from_secs(25),
        webhook_budget: Duration::from_secs(5),
        cleanup_budget: Duration::from_secs(25),
        // A renewal adds the time since the last one to what jobs have spent.
        lease: Duration::from_secs(6),
        ..quick_settings()
    };
    let bmc = Arc::new(Redfish::new(timing()));
    let controller = Arc::new(Controller::with_bmc(&folder, &world, bmc, settings));
    let (mut jobs, room) = (JoinSet::new(), Arc::new(Semaphore::new(AT_ONCE)));
    for seed in (first..).take(usize::try_from(count).unwrap()) {
        let (controller, room) = (Arc::clone(&controller), Arc::clone(&room));
        jobs.spawn(async move {
            let _place = room.acquire().await.unwrap();
            check(&controller, seed).await
        });
    }
    let faults: Vec<String> = jobs.join_all().await.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    Arc::into_inner(controller).unwrap().stop().await;
}

/// Runs a job on the host of `seed`. Returns what is wrong.
async fn check(controller: &Arc<Controller>, seed: u64) -> Option<String> {
    let serial = format!("S{seed}");
    let (config, rules) = mock_bmc::random(seed, &serial);
    let (personality, behaviour) = (config.personality, config.behaviour.clone());
    let password = config.password.clone();
    let mock = Mock::start(config).await.unwrap();
    for rule in &rules {
        mock.fault(rule.clone());
    }
    controller.add_server_at(&serial, &mock.url(), &password).await;
    let job = controller.create(&serial).await.unwrap().id;
    let reporting = tokio::spawn(report(Arc::clone(controller), mock.watch_boots(), job));
    let job = controller.wait_until(job, |job| job.state == State::Complete).await;
    reporting.abort();
    settle(&mock).await;
    let sources: Vec<_> = mock.boots().into_iter().map(|boot| boot.source).collect();
    let once = matches!(sources[..], [Source::Cd(_), Source::Disk]);
    let is_empty = mock.images().iter().all(Option::is_none);
    let ended_well = job.outcome == Some(Outcome::Succeeded) && job.failure.is_none();
    if ended_well && once && mock.is_on() && is_empty {
        return None;
    }
    let events = controller.events(job.id).await;
    let events: Vec<_> =
        kinds(&events).into_iter().zip(events.into_iter().map(|it| it.message)).collect();
    let (on, resets) = (mock.is_on(), mock.resets());
    Some(format!(
        "PERSONALITIES_SEED={seed} PERSONALITIES=1: outcome {:?}, failure {:?}, on: {on}, boots \
         {sources:?}, resets {resets:?}\n{personality:#?} {behaviour:?} {rules:#?}\n{events:#?}",
        job.outcome, job.failure
    ))
}

/// Waits until the host has left POST, and for a boot too many.
async fn settle(mock: &Mock) {
    for _ in 0..300 {
        if mock.boots().len() > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// Reports success for `job` when its host has booted the maintenance OS with the task.
async fn report(
    controller: Arc<Controller>,
    mut boots: tokio::sync::mpsc::UnboundedReceiver<Boot>,
    job: JobId,
) {
    while let Some(boot) = boots.recv().await {
        let Source::Cd(source) = &boot.source else { continue };
        let task = format!("/{job}/task.iso");
        let is_combined = source.ends_with("/both.iso");
        let is_complete = source.ends_with("/maintenance.iso")
            && boot.images.iter().any(|image| image.ends_with(&task));
        if is_combined || is_complete {
            controller.report(&boot.serial, success(job)).await;
        }
    }
}
