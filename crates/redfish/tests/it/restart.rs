// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A job restarts the host exactly once, even when requests fail.

use std::time::Duration;

use hyper::Method;
use mock_bmc::{Behaviour, Fault, Graceful, Mock, Rule, Source};
use redfish::{Bmc, Restart, Snapshot};

use crate::common::{MAINTENANCE, config, connect, start, two_slots, variant};

/// A BMC with the image inserted and the boot source set.
async fn prepare_bmc(mock: &Mock) -> (Bmc, Snapshot) {
    let bmc = connect(mock).await;
    let (slot, _) = two_slots(&bmc);
    bmc.insert(&slot, MAINTENANCE).await.unwrap();
    bmc.boot_cd_once().await.unwrap();
    let before = bmc.snapshot().await.unwrap();
    (bmc, before)
}

fn expect_one_boot(mock: &Mock) {
    let boots: Vec<_> = mock.boots().into_iter().map(|boot| boot.source).collect();
    assert_eq!(boots, [Source::Cd(MAINTENANCE.to_owned())], "{:?}", mock.resets());
}

#[tokio::test]
async fn a_graceful_restart_that_never_ends_is_cut_short() {
    for (name, graceful) in
        [("generic", Graceful::Never), ("ilo", Graceful::Never), ("ilo", Graceful::TooLate)]
    {
        let mut config = config(name);
        config.behaviour.graceful = graceful;
        let mock = start(config).await;
        let mut boots = mock.watch_boots();
        let (bmc, before) = prepare_bmc(&mock).await;
        assert_eq!(bmc.restart(&before, false).await.unwrap(), Restart::Forced);
        boots.recv().await.unwrap();
        assert_eq!(mock.resets(), ["GracefulRestart", "ForceOff", "On"]);
        expect_one_boot(&mock);
    }
}

#[tokio::test]
async fn the_next_reset_is_taken_where_one_is_not_to_be_had() {
    for (resets, taken) in [
        (&["On", "ForceOff", "ForceRestart"][..], &["ForceRestart"][..]),
        (&["On", "ForceOff", "PowerCycle"], &["PowerCycle"]),
        (&["On", "ForceOff"], &["ForceOff", "On"]),
    ] {
        let mock = start(variant("generic", |it| it.resets = resets)).await;
        let mut boots = mock.watch_boots();
        let (bmc, before) = prepare_bmc(&mock).await;
        bmc.restart(&before, false).await.unwrap();
        boots.recv().await.unwrap();
        assert_eq!(mock.resets(), taken);
        expect_one_boot(&mock);
    }
}

#[tokio::test]
async fn an_answer_that_got_lost_resets_no_machine_twice() {
    for (name, kind) in [("generic", "graceful"), ("supermicro", "forced")] {
        let mock = start(config(name)).await;
        let mut boots = mock.watch_boots();
        let (bmc, before) = prepare_bmc(&mock).await;
        mock.fault(Rule::once(Method::POST, "Reset", Fault::DropAfter));
        bmc.restart(&before, false).await.unwrap();
        boots.recv().await.unwrap();
        assert_eq!(mock.resets().len(), 1, "{kind}: {:?}", mock.resets());
        expect_one_boot(&mock);
    }
}

#[tokio::test]
async fn a_reset_that_did_not_get_there_is_made_again() {
    for fault in [
        Fault::DropBefore,
        Fault::Pretend,
        Fault::Status { status: 503, retry_after: Some(0), message: "Base.1.18.GeneralError" },
    ] {
        let mock = start(config("generic")).await;
        let mut boots = mock.watch_boots();
        let (bmc, before) = prepare_bmc(&mock).await;
        mock.fault(Rule::once(Method::POST, "Reset", fault));
        bmc.restart(&before, false).await.unwrap();
        boots.recv().await.unwrap();
        expect_one_boot(&mock);
    }
}

#[tokio::test]
async fn whoever_comes_after_a_restart_leaves_the_machine_alone() {
    // With a record of the last reset, and with a consumed boot source only.
    for name in ["generic", "ilo"] {
        let mock = start(config(name)).await;
        let mut boots = mock.watch_boots();
        let (bmc, before) = prepare_bmc(&mock).await;
        bmc.restart(&before, false).await.unwrap();
        boots.recv().await.unwrap();
        // A killed process knows at least that the boot source was set.
        for before in [before, Snapshot { last_reset: None, boot_once: true }] {
            let bmc = connect(&mock).await;
            assert_eq!(bmc.restart(&before, true).await.unwrap(), Restart::Already, "{name}");
        }
        expect_one_boot(&mock);
    }
}

#[tokio::test]
async fn a_restart_that_was_never_asked_for_is_made_up_for() {
    let mock = start(config("generic")).await;
    let mut boots = mock.watch_boots();
    let (bmc, before) = prepare_bmc(&mock).await;
    bmc.restart(&before, true).await.unwrap();
    boots.recv().await.unwrap();
    expect_one_boot(&mock);
}

#[tokio::test]
async fn a_machine_in_post_is_on_its_way_and_not_reset_again() {
    let mut config = config("ilo");
    config.behaviour = Behaviour {
        post: Duration::from_millis(30),
        off: Duration::from_millis(5),
        ..Behaviour::default()
    };
    let mock = start(config).await;
    let mut boots = mock.watch_boots();
    let (bmc, before) = prepare_bmc(&mock).await;
    let (first, second) = tokio::join!(bmc.restart(&before, false), async {
        boots.recv().await.unwrap();
        bmc.restart(&before, true).await
    });
    first.unwrap();
    assert_eq!(second.unwrap(), Restart::Already);
    expect_one_boot(&mock);
}

#[tokio::test]
async fn where_no_restart_can_be_seen_the_power_is() {
    // No time of the last reset, and no consumed boot source: as at the end of a job.
    for (graceful, taken, how) in [
        (Graceful::After(Duration::ZERO), &["GracefulShutdown", "On"][..], Restart::Graceful),
        (Graceful::Never, &["GracefulShutdown", "ForceOff", "On"], Restart::Forced),
    ] {
        let mut config = config("ilo");
        config.behaviour.graceful = graceful;
        let mock = start(config).await;
        let mut boots = mock.watch_boots();
        let bmc = connect(&mock).await;
        let before = bmc.snapshot().await.unwrap();
        assert_eq!(before, Snapshot::default());
        assert_eq!(bmc.restart(&before, false).await.unwrap(), how);
        assert_eq!(boots.recv().await.unwrap().source, Source::Disk);
        assert_eq!(mock.resets(), taken);
    }
}
