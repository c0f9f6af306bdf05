// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Virtual media in all variants of BMCs.

use std::time::Duration;

use hyper::Method;
use mock_bmc::{Etags, Fault, Rule};
use redfish::{Bmc, Error, Timing};

use crate::common::{
    MAINTENANCE, SERIAL, TASK, config, connect, endpoint, start, start_and_connect, timing,
    two_slots, variant,
};

/// Number of requests whose path contains this text.
fn count(mock: &mock_bmc::Mock, method: &Method, path: &str) -> usize {
    let requests = mock.requests();
    requests.iter().filter(|(it, at, _)| it == method && at.contains(path)).count()
}

#[tokio::test]
async fn what_a_bmc_asks_for_is_sent_after_it_asked() {
    let config = variant("generic", |it| {
        it.requires_protocol = true;
        it.refuses_inserted = true;
    });
    let (mock, bmc) = start_and_connect(config).await;
    let (slot, _) = two_slots(&bmc);
    bmc.insert(&slot, MAINTENANCE).await.unwrap();
    assert_eq!(mock.images()[0].as_deref(), Some(MAINTENANCE));
    let inserts = mock.requests().into_iter().filter(|it| it.1.contains("InsertMedia"));
    let statuses: Vec<_> = inserts.map(|it| it.2).collect();
    assert_eq!(statuses, [400, 400, 204]);
}

#[tokio::test]
async fn an_image_of_another_job_is_taken_out_first() {
    for name in ["generic", "idrac", "ilo", "xcc", "supermicro"] {
        let mock = start(config(name)).await;
        for slot in 0..mock.images().len() {
            mock.put(slot, "http://media.test/other.iso");
        }
        let bmc = connect(&mock).await;
        let (maintenance, task) = two_slots(&bmc);
        bmc.insert(&maintenance, MAINTENANCE).await.unwrap();
        bmc.insert(&task, TASK).await.unwrap();
        let images: Vec<_> = mock.images().into_iter().flatten().collect();
        assert!(images.contains(&MAINTENANCE.to_owned()), "{name}: {images:?}");
        assert!(images.contains(&TASK.to_owned()), "{name}: {images:?}");
    }
}

#[tokio::test]
async fn an_image_that_is_only_reported_as_inserted_is_inserted_again() {
    let mock = start(variant("idrac", |it| it.stale_reads = 1_000)).await;
    mock.put(0, MAINTENANCE);
    let bmc = connect(&mock).await;
    let (slot, _) = two_slots(&bmc);
    bmc.insert(&slot, MAINTENANCE).await.unwrap();
    assert_eq!(count(&mock, &Method::POST, "EjectMedia"), 2, "taken, then refused");
    assert_eq!(count(&mock, &Method::POST, "InsertMedia"), 1);
    assert_eq!(mock.images()[0].as_deref(), Some(MAINTENANCE));
}

#[tokio::test]
async fn success_without_an_effect_is_not_believed() {
    let mock = start(config("generic")).await;
    mock.fault(Rule::once(Method::POST, "InsertMedia", Fault::Pretend));
    let bmc = connect(&mock).await;
    let (slot, _) = two_slots(&bmc);
    bmc.insert(&slot, MAINTENANCE).await.unwrap();
    assert_eq!(mock.images()[0].as_deref(), Some(MAINTENANCE));
    // If the change never takes effect, the error reports it.
    mock.fault(Rule::once(Method::POST, "InsertMedia", Fault::Pretend).times(1_000));
    let error = bmc.insert(&slot, TASK).await.unwrap_err();
    assert!(matches!(error, Error::NotTaken(_)), "{error}");
    mock.fault(Rule::once(Method::PATCH, "Systems", Fault::Pretend).times(1_000));
    let error = bmc.boot_cd_once().await.unwrap_err();
    assert!(error.to_string().contains("shows None, Disabled"), "{error}");
}

#[tokio::test]
async fn a_task_of_the_bmc_is_waited_for() {
    let mut config = config("supermicro");
    config.behaviour.task = Duration::from_millis(20);
    let (mock, bmc) = start_and_connect(config).await;
    let (slot, _) = two_slots(&bmc);
    bmc.insert(&slot, MAINTENANCE).await.unwrap();
    assert!(count(&mock, &Method::GET, "TaskMonitors") >= 2);
    assert_eq!(count(&mock, &Method::POST, "InsertMedia"), 1);
}

#[tokio::test]
async fn changes_are_bound_to_the_version_that_was_read() {
    for etags in [Etags::None, Etags::Strong, Etags::Weak] {
        let mock = start(variant("xcc", |it| it.etags = etags)).await;
        // Another client changes it in between, once.
        let changed = Fault::Status {
            status: 412,
            retry_after: None,
            message: "Base.1.18.PreconditionFailed",
        };
        if etags == Etags::Strong {
            mock.fault(Rule::once(Method::PATCH, "VirtualMedia", changed));
        }
        let bmc = connect(&mock).await;
        let (slot, _) = two_slots(&bmc);
        bmc.insert(&slot, MAINTENANCE).await.unwrap();
        bmc.boot_cd_once().await.unwrap();
        assert_eq!(mock.boot_source(), ("Cd".to_owned(), "Once".to_owned()), "{etags:?}");
    }
}

#[tokio::test]
async fn a_boot_source_that_post_refuses_is_set_after_it() {
    let mut config = config("ilo");
    config.behaviour.on = false;
    config.behaviour.post = Duration::from_millis(15);
    let (mock, bmc) = start_and_connect(config).await;
    let before = bmc.snapshot().await.unwrap();
    bmc.restart(&before, false).await.unwrap();
    // The caller retries within its budget; the client makes five attempts.
    let mut refused = 0;
    while let Err(error) = bmc.boot_cd_once().await {
        assert!(error.is_transient(), "{error}");
        refused += 1;
        assert!(refused < 1_000);
    }
    assert_eq!(mock.boot_source().0, "Cd");
}

#[tokio::test]
async fn a_mode_that_is_read_only_is_left_alone() {
    // A vendor whose profile does not mention it.
    let (mock, bmc) = start_and_connect(variant("generic", |it| it.mode_writable = false)).await;
    bmc.boot_cd_once().await.unwrap();
    assert_eq!(mock.boot_source(), ("Cd".to_owned(), "Once".to_owned()));
}

#[tokio::test]
async fn a_second_eject_of_an_empty_slot_is_no_failure() {
    let mock = start(variant("generic", |it| it.stale_reads = 3)).await;
    mock.put(0, MAINTENANCE);
    let timing = Timing { settle: Duration::ZERO, ..timing() };
    let bmc = Bmc::connect(&endpoint(&mock), SERIAL, None, timing).await.unwrap();
    let (slot, _) = two_slots(&bmc);
    bmc.eject(&slot).await.unwrap();
    assert_eq!(mock.images()[0], None);
}
