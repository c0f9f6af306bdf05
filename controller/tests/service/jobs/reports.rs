// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Repeated, late and early reports, and reports for other jobs.

use controller::jobs::model::{JobId, Outcome, Phase, State};
use controller::jobs::store::{REMEMBERED_DELIVERIES, Report, ReportReceipt};
use tempfile::TempDir;

use super::world::{Controller, HostBehaviour, World, begin, kinds, quick_settings, success};

fn delivery(job: JobId, delivery: &str) -> Report {
    Report { delivery_id: Some(delivery.to_owned()), ..success(job) }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_report_of_a_job_counts() {
    let folder = TempDir::new().unwrap();
    let world = World::new(HostBehaviour::Silent, 0, folder.path());
    let controller = Controller::start(&folder, &world, quick_settings());
    controller.add_server("S1").await;
    controller.add_server("S2").await;
    assert_eq!(
        controller.report("S1", delivery(JobId::random(), "x")).await,
        ReportReceipt::Unknown
    );
    let job = controller.create("S1").await.unwrap();
    controller.wait_until(job.id, |job| job.phase == Phase::Webhook).await;
    // A job of another host, and one that never existed.
    assert_eq!(controller.report("S2", success(job.id)).await, ReportReceipt::Unknown);
    assert_eq!(controller.report("S1", success(JobId::random())).await, ReportReceipt::Unknown);
    assert_eq!(controller.report("S1", success(job.id)).await, ReportReceipt::Recorded(job.id));
    assert_eq!(controller.report("S1", success(job.id)).await, ReportReceipt::Duplicate(job.id));
    for number in 0..5 {
        let other = Report {
            failed: controller::jobs::model::Step::workflow("late.service"),
            ..delivery(job.id, &number.to_string())
        };
        assert_eq!(controller.report("S1", other).await, ReportReceipt::Ended(job.id));
    }
    let done = controller.wait_until(job.id, |job| job.state == State::Complete).await;
    assert_eq!((done.outcome, done.failed_step), (Some(Outcome::Succeeded), None));
    let kinds_seen = kinds(&controller.events(job.id).await);
    assert_eq!(
        kinds_seen.iter().filter(|kind| *kind == "report.ignored").count(),
        1,
        "{kinds_seen:?}"
    );
    controller.stop().await;
}

/// A report is repeated while the next job of the host is active.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_report_is_not_taken_for_the_next_job() {
    let (_folder, world, controller, first) = begin(HostBehaviour::Silent).await;
    controller.wait_until(first.id, |job| job.phase == Phase::Webhook).await;
    assert_eq!(
        controller.report("S1", delivery(first.id, "d")).await,
        ReportReceipt::Recorded(first.id)
    );
    controller.wait_until(first.id, |job| job.state == State::Complete).await;
    world.hang(&["mount"]);
    let second = controller.create("S1").await.unwrap();
    controller.wait_until(second.id, |job| job.mounted).await;
    assert_eq!(
        controller.report("S1", delivery(first.id, "e")).await,
        ReportReceipt::Ended(first.id)
    );
    world.hanging.lock().unwrap().clear();
    controller.wait_until(second.id, |job| job.phase == Phase::Webhook).await;
    assert_eq!(
        controller.report("S1", delivery(first.id, "d")).await,
        ReportReceipt::Duplicate(first.id)
    );
    assert_eq!(controller.job(second.id).await.outcome, None);
    assert_eq!(
        controller.report("S1", delivery(second.id, "d")).await,
        ReportReceipt::Recorded(second.id)
    );
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_32_deliveries_are_remembered() {
    let (_folder, _world, controller, job) = begin(HostBehaviour::Silent).await;
    controller.wait_until(job.id, |job| job.phase == Phase::Webhook).await;
    controller.report("S1", delivery(job.id, "0")).await;
    for number in 1..=REMEMBERED_DELIVERIES {
        let taken = controller.report("S1", delivery(job.id, &number.to_string())).await;
        assert_eq!(taken, ReportReceipt::Ended(job.id));
    }
    assert_eq!(
        controller.report("S1", delivery(job.id, "1")).await,
        ReportReceipt::Duplicate(job.id)
    );
    assert_eq!(controller.report("S1", delivery(job.id, "0")).await, ReportReceipt::Ended(job.id));
    controller.stop().await;
}
