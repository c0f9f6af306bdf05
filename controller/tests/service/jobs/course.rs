// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Jobs without a controller failure.

use std::sync::atomic::Ordering;
use std::time::Duration;

use controller::jobs::model::{Outcome, Phase, State, Step};
use controller::jobs::runner::{AfterFailure, Settings};
use controller::jobs::store::{self, Report, StoreError};

use super::world::{
    Controller, HostBehaviour, World, begin, begun_with, kinds, quick_settings, success,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_succeeds_and_records_its_events() {
    let (_folder, world, controller, job) = begin(HostBehaviour::Good).await;
    let done = controller.until_complete(&world, job.id).await;
    assert_eq!((done.outcome, done.failed_step), (Some(Outcome::Succeeded), None));
    assert_eq!(
        *world.calls.lock().unwrap(),
        ["mount", "boot_once", "reset", "power_off", "unmount", "restart"]
    );
    let expected = [
        "state.queued",
        "state.provisioning",
        "step iso.build",
        "step iso.serve",
        "step redfish.discover",
        "note redfish.mount.task",
        "step redfish.boot-override",
        "step redfish.reset",
        "reset redfish.reset",
        "step webhook.wait",
        "state.succeeded",
        "step cleanup.power-off",
        "step cleanup.unmount",
        "step cleanup.reset",
        "reset cleanup.reset",
        "state.complete",
    ];
    let mut kinds_seen = kinds(&controller.events(job.id).await);
    // The host may report before the controller has stored the reset.
    kinds_seen.retain(|kind| kind != "step webhook.wait" && kind != "reset redfish.reset");
    let expected: Vec<_> = expected
        .into_iter()
        .filter(|kind| *kind != "step webhook.wait" && *kind != "reset redfish.reset")
        .collect();
    assert_eq!(kinds_seen, expected);
    // The ISO contains the recipe, and is reproducible.
    let iso = std::fs::read(world.iso(job.id)).unwrap();
    assert!(iso.windows(9).any(|w| w == b"user-data"));
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_reported_a_failure_is_powered_off_or_left_with_its_log_in_the_job() {
    for (after_failure, calls) in [
        (AfterFailure::PowerOff, &["mount", "boot_once", "reset", "power_off", "unmount"][..]),
        (AfterFailure::Leave, &["mount", "boot_once", "reset"][..]),
    ] {
        let settings = Settings { after_failure, ..quick_settings() };
        let (_folder, world, controller, job) =
            begun_with(HostBehaviour::Silent, settings, |_| {}).await;
        controller.wait_until(job.id, |job| job.phase == Phase::Webhook).await;
        let failed = Step::workflow("image-linux.service");
        let log = Some("no space left\non /dev/sda2".to_owned());
        controller.report("S1", Report { failed, log, ..success(job.id) }).await;
        let done = controller.wait_until(job.id, |job| job.state == State::Complete).await;
        assert_eq!(done.outcome, Some(Outcome::Failed));
        assert_eq!(done.failed_step.unwrap().to_string(), "workflow.image-linux.service");
        assert_eq!(*world.calls.lock().unwrap(), calls);
        let events = controller.events(job.id).await;
        let log = events.iter().find(|event| event.kind == "log").unwrap();
        assert_eq!(log.message, "no space left\non /dev/sda2");
        controller.stop().await;
    }
}

/// BMCs lock accounts after a few failed logins.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_once_in_a_job() {
    let lock = |world: &World| world.is_locked.store(true, Ordering::Relaxed);
    let (_folder, world, controller, job) =
        begun_with(HostBehaviour::Good, quick_settings(), lock).await;
    let done = controller.wait_until(job.id, |job| job.state == State::Complete).await;
    assert_eq!(done.outcome, Some(Outcome::Failed));
    assert_eq!(*world.calls.lock().unwrap(), ["mount"]);
    controller.stop().await;
}

/// A silent host may be writing firmware.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_did_not_report_is_not_powered_off() {
    let settings = Settings { webhook_budget: Duration::from_millis(20), ..quick_settings() };
    let (_folder, world, controller, job) =
        begun_with(HostBehaviour::Silent, settings, |_| {}).await;
    controller.wait_until(job.id, |job| job.state == State::Complete).await;
    assert_eq!(*world.calls.lock().unwrap(), ["mount", "boot_once", "reset", "unmount"]);
    controller.stop().await;
}

/// The media are ejected even if the host cannot be powered off.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stays_on_is_restarted_after_the_media_are_ejected() {
    let settings = Settings { cleanup_budget: Duration::from_secs(2), ..quick_settings() };
    let hang = |world: &World| world.hang(&["power_off"]);
    let (_folder, world, controller, job) = begun_with(HostBehaviour::Good, settings, hang).await;
    let done = controller.until_complete(&world, job.id).await;
    assert_eq!(
        (done.outcome, done.failed_step),
        (Some(Outcome::Succeeded), Some(Step::CleanupPowerOff))
    );
    let calls = ["mount", "boot_once", "reset", "power_off", "unmount", "restart"];
    assert_eq!(*world.calls.lock().unwrap(), calls);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_host_fails_by_the_budget() {
    let settings = Settings { webhook_budget: Duration::from_millis(20), ..quick_settings() };
    let (_folder, _world, controller, job) =
        begun_with(HostBehaviour::Silent, settings, |_| {}).await;
    let done = controller.wait_until(job.id, |job| job.state == State::Complete).await;
    assert_eq!(done.failed_step, Some(Step::WebhookWait));
    assert_eq!(done.failure.unwrap(), "timed out after 20ms");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bmc_that_never_answers_fails_by_the_budget_and_so_does_clean_up() {
    let budget = Duration::from_millis(20);
    let settings = Settings { boot_budget: budget, cleanup_budget: budget, ..quick_settings() };
    let hang = |world: &World| world.hang(&["mount", "unmount"]);
    let (_folder, world, controller, job) = begun_with(HostBehaviour::Good, settings, hang).await;
    let done = controller.wait_until(job.id, |job| job.state == State::Complete).await;
    assert_eq!(done.failed_step, Some(Step::RedfishDiscover));
    let kinds_seen = kinds(&controller.events(job.id).await);
    assert!(kinds_seen.contains(&"cleanup.failed cleanup.unmount".to_owned()), "{kinds_seen:?}");
    assert_eq!(*world.calls.lock().unwrap(), ["mount", "unmount"]);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_wherever_it_is() {
    for hangs in ["mount", "boot_once", "reset", ""] {
        let hang = |world: &World| world.hang(&[hangs]);
        let (_folder, world, controller, job) =
            begun_with(HostBehaviour::Silent, quick_settings(), hang).await;
        let step = match hangs {
            "mount" => Step::RedfishDiscover,
            "boot_once" => Step::RedfishBootOverride,
            "reset" => Step::RedfishReset,
            _ => Step::WebhookWait,
        };
        controller.wait_until(job.id, |job| job.step.as_ref() == Some(&step)).await;
        let id = job.id;
        let cancel = move |c: &_| store::cancel(c, id, "ops");
        let cancelled = controller.database.write(cancel).await.unwrap();
        controller.runner.notify(cancelled.number);
        let done = controller.wait_until(job.id, |job| job.state == State::Complete).await;
        assert_eq!(done.failure.as_deref(), Some("cancelled"));
        assert_eq!(done.failed_step, Some(step));
        assert_eq!(world.calls.lock().unwrap().last(), Some(&"unmount"));
        let again = controller.database.write(cancel).await;
        assert!(matches!(again, Err(StoreError::State(_))));
        controller.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn isos_go_first_and_jobs_later() {
    let (folder, world, controller, job) = begin(HostBehaviour::Good).await;
    controller.until_complete(&world, job.id).await;
    assert!(world.iso(job.id).exists());
    controller.stop().await;
    // Retention runs at the start.
    let settings =
        Settings { keep_isos: Duration::ZERO, keep_jobs: Duration::ZERO, ..quick_settings() };
    let controller = Controller::start(&folder, &world, settings);
    let id = job.id;
    let gone = async {
        while controller.database.read(move |c| store::by_id(c, id)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), gone).await.unwrap();
    assert!(!world.iso(job.id).exists());
    controller.stop().await;
}

/// Ten minutes are sixteen calls, with pauses that double from one second to sixty.
#[tokio::test(flavor = "multi_thread")]
async fn a_bmc_that_is_gone_for_ten_minutes_is_waited_for() {
    let usual = Settings::default();
    let mut pauses = Vec::new();
    while pauses.iter().sum::<Duration>() < Duration::from_mins(10) {
        let next = pauses.last().map_or(usual.retry_pause, |last: &Duration| *last * 2);
        pauses.push(next.min(usual.retry_pause * 60));
    }
    assert!(pauses.iter().sum::<Duration>() < usual.boot_budget);
    for call in ["mount", "boot_once", "reset", "power_off", "unmount", "restart"] {
        let remove = |world: &World| *world.gone.lock().unwrap() = Some((call, pauses.len()));
        let (_folder, world, controller, job) =
            begun_with(HostBehaviour::Good, quick_settings(), remove).await;
        let done = controller.until_complete(&world, job.id).await;
        assert_eq!((done.outcome, done.failure), (Some(Outcome::Succeeded), None), "{call}");
        assert_eq!(world.resets.lock().unwrap()[&job.id], 1, "{call}");
        assert_eq!(world.restarts.lock().unwrap()[&job.id], 1, "{call}");
        let kinds_seen = kinds(&controller.events(job.id).await);
        let retries = kinds_seen.iter().filter(|kind| kind.starts_with("retry")).count();
        assert_eq!(retries, pauses.len(), "{call}: {kinds_seen:?}");
        controller.stop().await;
    }
}
