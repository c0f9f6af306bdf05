// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Kills the controller during each BMC operation, before or after its effect. The next controller
//! takes over, and no host is reset twice.

use controller::jobs::model::{JobId, Outcome, Phase, State};
use controller::jobs::store::Job;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::world::{Controller, HostBehaviour, World, begun_with, kinds, quick_settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_call_loses_nothing_and_repeats_no_reset() {
    for call in 1..=6 {
        for seed in [0, 1, 2] {
            let folder = TempDir::new().unwrap();
            let world = World::new(HostBehaviour::Good, seed, folder.path());
            let (sender, receiver) = oneshot::channel();
            *world.trap.lock().unwrap() = Some((call, sender));
            let controller = Controller::start(&folder, &world, quick_settings());
            controller.add_server("S1").await;
            let job = controller.create("S1").await.unwrap();
            tokio::select! {
                reached = receiver => reached.unwrap(),
                _ = wait_through(&controller, &world, job.id) => panic!("call {call} was not reached"),
            }
            controller.kill().await;
            let controller = Controller::start(&folder, &world, quick_settings());
            let done = wait_through(&controller, &world, job.id).await;
            assert_eq!(done.outcome, Some(Outcome::Succeeded), "call {call}, seed {seed}");
            assert_eq!(world.resets.lock().unwrap()[&job.id], 1, "call {call}, seed {seed}");
            assert_eq!(world.restarts.lock().unwrap()[&job.id], 1, "call {call}, seed {seed}");
            let kinds_seen = kinds(&controller.events(job.id).await);
            assert!(kinds_seen.contains(&"lease.taken-over".to_owned()), "{kinds_seen:?}");
            controller.stop().await;
        }
    }
}

/// Waits for a job to complete. The report is held back until the job waits for it: an earlier one
/// would end the job before a faulty controller resets the host again.
async fn wait_through(controller: &Controller, world: &World, id: JobId) -> Job {
    controller.wait_until(id, |job| job.phase != Phase::Boot).await;
    controller.until_complete(world, id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_controller_releases_its_jobs_at_once() {
    // A lease that outlasts this test, so the next controller would have to wait for it.
    let settings = controller::jobs::runner::Settings {
        lease: std::time::Duration::from_hours(1),
        ..quick_settings()
    };
    let (folder, world, first, job) =
        begun_with(HostBehaviour::Silent, settings.clone(), |_| {}).await;
    first
        .wait_until(job.id, |job| {
            job.step.as_ref().is_some_and(|s| s.to_string() == "webhook.wait")
        })
        .await;
    first.stop().await;
    let second = Controller::start(&folder, &world, settings);
    second.report("S1", super::world::success(job.id)).await;
    let done = second.wait_until(job.id, |job| job.state == State::Complete).await;
    assert_eq!(done.outcome, Some(Outcome::Succeeded));
    let kinds_seen = kinds(&second.events(job.id).await);
    assert!(kinds_seen.contains(&"lease.released".to_owned()), "{kinds_seen:?}");
    assert!(!kinds_seen.contains(&"lease.taken-over".to_owned()), "{kinds_seen:?}");
    second.stop().await;
}
