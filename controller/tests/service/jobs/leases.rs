// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Leases of jobs, with any clock change.

use std::sync::Arc;
use std::time::Duration;

use controller::database::Database;
use controller::jobs::clock;
use controller::jobs::model::{Outcome, Phase, State};
use controller::jobs::runner::Settings;
use controller::jobs::store::{self, LeasedJob, StoreError};
use rusqlite::Connection;
use tempfile::TempDir;

use super::world::{Controller, HostBehaviour, World, begin, quick_settings};

/// Creates a database with an unleased job of a silent host.
async fn create_idle(folder: &TempDir) -> Database {
    let world = World::new(HostBehaviour::Silent, 0, folder.path());
    let controller = Controller::start(folder, &world, quick_settings());
    controller.add_server("S1").await;
    let database = controller.database.clone();
    controller.stop().await;
    let new = super::world::new_job("S1");
    database.write(move |c| store::create(c, &new)).await.unwrap();
    database
}

async fn claim(database: &Database, owner: &'static str) -> usize {
    database.write(move |c| store::claim(c, owner, 60_000, 10)).await.unwrap().len()
}

/// Sets the end of the only lease.
async fn set_lease(database: &Database, until: i64) {
    let set = move |c: &Connection| -> Result<usize, StoreError> {
        Ok(c.execute("UPDATE jobs SET lease_until = ?1", [until])?)
    };
    database.write(set).await.unwrap();
}

#[tokio::test]
async fn a_lease_keeps_others_away_until_it_runs_out() {
    let folder = TempDir::new().unwrap();
    let database = create_idle(&folder).await;
    assert_eq!(claim(&database, "a").await, 1);
    assert_eq!(claim(&database, "b").await, 0);
    set_lease(&database, clock::uptime()).await;
    assert_eq!(claim(&database, "b").await, 1);
    // Later writes of the first owner are refused.
    let held = LeasedJob { number: 1, owner: "a".to_owned() };
    let late = database.write(move |c| store::begin(c, &held)).await;
    assert!(matches!(late, Err(StoreError::Lost)), "{late:?}");
}

#[tokio::test]
async fn a_lease_from_before_the_machine_was_started_is_void() {
    let folder = TempDir::new().unwrap();
    let database = create_idle(&folder).await;
    assert_eq!(claim(&database, "a").await, 1);
    set_lease(&database, clock::uptime() + 1_000_000_000).await;
    assert_eq!(claim(&database, "b").await, 1);
}

/// Anyone who works on a job, and however the work ends, its time is counted.
#[tokio::test]
async fn the_time_of_every_worker_is_spent() {
    let folder = TempDir::new().unwrap();
    let database = create_idle(&folder).await;
    let spent = async || {
        let spent = database.read(|c| Ok::<_, StoreError>(store::by_number(c, 1)?.spent_ms));
        spent.await.unwrap() / 1000
    };
    assert_eq!((claim(&database, "a").await, spent().await), (1, 0));
    // The renewals of the last 30 seconds failed.
    set_lease(&database, clock::uptime() + 30_000).await;
    database.write(|c| store::renew(c, "a", 60_000)).await.unwrap();
    let renewed = spent().await;
    assert!((30..60).contains(&renewed), "{renewed}");
    // The worker was killed at some time of its last lease.
    set_lease(&database, clock::uptime()).await;
    assert_eq!((claim(&database, "b").await, spent().await), (1, renewed + 60));
    // The controller is shut down 20 seconds after the claim.
    set_lease(&database, clock::uptime() + 40_000).await;
    database.write(|c| store::release_all(c, "b", 60_000)).await.unwrap();
    let released = spent().await - renewed - 60;
    assert!((20..60).contains(&released), "{released}");
    assert_eq!(claim(&database, "c").await, 1);
}

/// Two controllers share a database; every job has one worker.
#[tokio::test(flavor = "multi_thread")]
async fn two_controllers_do_not_get_in_each_others_way() {
    let folder = TempDir::new().unwrap();
    let world = World::new(HostBehaviour::Good, 0, folder.path());
    // Long enough for the writes of twenty jobs on a slow disk: an expired lease moves its job.
    let settings = Settings { lease: Duration::from_secs(3), ..quick_settings() };
    let first = Controller::start(&folder, &world, settings.clone());
    let second = Controller::start(&folder, &world, settings);
    let mut jobs = Vec::new();
    for number in 0..20 {
        let serial = format!("S{number}");
        first.add_server(&serial).await;
        jobs.push(first.create(&serial).await.unwrap().id);
        second.runner.wake();
    }
    for id in jobs {
        let done = first.until_complete(&world, id).await;
        assert_eq!((done.state, done.outcome), (State::Complete, Some(Outcome::Succeeded)));
        assert_eq!(world.resets.lock().unwrap()[&id], 1);
    }
    assert!(Arc::strong_count(&world) > 1);
    first.stop().await;
    second.stop().await;
}

/// Another process locks the database for a while: the job waits and continues.
#[tokio::test(flavor = "multi_thread")]
async fn a_locked_database_holds_a_job_up_and_no_more() {
    let folder = TempDir::new().unwrap();
    let world = World::new(HostBehaviour::Good, 0, folder.path());
    let controller = Controller::start(&folder, &world, quick_settings());
    controller.add_server("S1").await;
    let other = Connection::open(folder.path().join("controller.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let create = controller.create("S1");
    let release = async {
        // Lease renewal fails meanwhile, too.
        tokio::time::sleep(Duration::from_millis(200)).await;
        other.execute_batch("ROLLBACK").unwrap();
    };
    let (job, ()) = tokio::join!(create, release);
    let done = controller.until_complete(&world, job.unwrap().id).await;
    assert_eq!(done.outcome, Some(Outcome::Succeeded));
    controller.stop().await;
}

/// The wall clock was changed since the job was created; the job continues.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_moves_no_job() {
    const YEARS: i64 = 10 * 365 * 24 * 3_600_000;
    for jump in [YEARS, -YEARS] {
        let (folder, world, controller, job) = begin(HostBehaviour::Silent).await;
        controller.wait_until(job.id, |job| job.phase == Phase::Webhook).await;
        let set = move |c: &Connection| -> Result<usize, StoreError> {
            c.execute("UPDATE events SET at = at + ?1", [jump])?;
            let sql = "UPDATE jobs SET created_at = created_at + ?1, updated_at = updated_at + ?1";
            Ok(c.execute(sql, [jump])?)
        };
        controller.database.write(set).await.unwrap();
        // At the start, retention runs and leases are claimed.
        controller.kill().await;
        let controller = Controller::start(&folder, &world, quick_settings());
        let spent = controller.job(job.id).await.spent_ms;
        assert!(spent < 60_000, "{spent}");
        controller.report("S1", super::world::success(job.id)).await;
        let done = controller.wait_until(job.id, |job| job.state == State::Complete).await;
        assert_eq!(done.outcome, Some(Outcome::Succeeded), "{jump}");
        assert!(world.iso(job.id).exists(), "{jump}");
        assert_eq!(world.resets.lock().unwrap()[&job.id], 1, "{jump}");
        controller.stop().await;
    }
}
