// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Rejections that require other properties, and unexpected responses.

use std::time::Duration;

use hyper::Method;
use mock_bmc::{Encoding, Mock, Personality};
use redfish::{Bmc, Error, Power, Restart, Timing};

use crate::common::{
    MAINTENANCE, SERIAL, config, connect, endpoint, start, start_and_connect, timing, two_slots,
    variant,
};

/// Paths of all requests with this method and status.
fn paths(mock: &Mock, method: &Method, status: u16) -> Vec<String> {
    let requests = mock.requests().into_iter();
    requests.filter(|it| it.0 == method && it.2 == status).map(|it| it.1).collect()
}

#[tokio::test]
async fn power_on_is_retried_while_the_bmc_is_not_ready() {
    let (mock, bmc) = start_and_connect(config("idrac10")).await;
    let before = bmc.snapshot().await.unwrap();
    assert_eq!(bmc.restart(&before, false).await.unwrap(), Restart::Forced);
    assert_eq!(bmc.power().await.unwrap(), Power::On);
    assert_eq!(mock.resets(), ["ForceOff", "On"]);
    assert_eq!(paths(&mock, &Method::POST, 409).len(), 3);
}

#[tokio::test]
async fn a_host_that_stays_off_is_an_error() {
    let config = variant("idrac10", |it| it.on_conflicts = u32::MAX);
    let mock = start(config).await;
    let timing = Timing { power: Duration::from_millis(50), ..timing() };
    let bmc = Bmc::connect(&endpoint(&mock), SERIAL, None, timing).await.unwrap();
    let before = bmc.snapshot().await.unwrap();
    let error = bmc.restart(&before, false).await.unwrap_err();
    assert!(matches!(error, Error::NotTaken(_)) && error.is_transient(), "{error}");
    assert!(error.to_string().contains("409 Conflict: IDRAC.2.9.SYS428"), "{error}");
    assert_eq!(bmc.power().await.unwrap(), Power::Off);
}

#[tokio::test]
async fn a_boot_source_goes_where_the_bmc_takes_it() {
    for (requires_mode, refusals) in [(false, 1), (true, 2)] {
        let config = variant("ami", |it| it.requires_mode = requires_mode);
        let mock = start(config).await;
        connect(&mock).await.boot_cd_once().await.unwrap();
        assert_eq!(mock.boot_source(), ("Cd".to_owned(), "Once".to_owned()));
        assert_eq!(paths(&mock, &Method::PATCH, 400).len(), refusals);
        assert_eq!(paths(&mock, &Method::PATCH, 204), ["/redfish/v1/Systems/Self/SD"]);
    }
}

#[tokio::test]
async fn a_mode_that_is_required_is_sent_with_the_target() {
    let mock = start(variant("generic", |it| it.requires_mode = true)).await;
    connect(&mock).await.boot_cd_once().await.unwrap();
    assert_eq!(mock.boot_source(), ("Cd".to_owned(), "Once".to_owned()));
    // If the BMC both requires and rejects it, the rejection is reported, without a loop.
    let both = |it: &mut Personality| (it.requires_mode, it.mode_writable) = (true, false);
    let mock = start(variant("generic", both)).await;
    let error = connect(&mock).await.boot_cd_once().await.unwrap_err();
    assert!(error.is_refusal(), "{error}");
    assert_eq!(paths(&mock, &Method::PATCH, 400).len(), 2);
}

#[tokio::test]
async fn a_login_for_the_media_server_is_sent_where_it_is_required() {
    let (mock, bmc) = start_and_connect(variant("generic", |it| it.requires_login = true)).await;
    let (slot, _) = two_slots(&bmc);
    bmc.insert(&slot, MAINTENANCE).await.unwrap();
    assert_eq!(mock.images()[0].as_deref(), Some(MAINTENANCE));
}

#[tokio::test]
async fn a_session_without_its_token_is_deleted() {
    let (mock, bmc) = start_and_connect(variant("generic", |it| it.omits_token = true)).await;
    assert_eq!(mock.sessions(), 0);
    bmc.power().await.unwrap();
    bmc.close().await;
}

#[tokio::test]
async fn answers_are_decoded_whatever_their_encoding() {
    for encoding in [Encoding::Plain, Encoding::Marked, Encoding::Gzip] {
        let mock = start(variant("generic", |it| it.encoding = encoding)).await;
        assert_eq!(connect(&mock).await.power().await.unwrap(), Power::On, "{encoding:?}");
    }
}
