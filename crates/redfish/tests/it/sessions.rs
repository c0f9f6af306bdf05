// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Sessions: created, renewed, unavailable, closed.

use std::time::Duration;

use hyper::Method;
use mock_bmc::{Fault, Rule};
use redfish::{Bmc, Error};

use crate::common::{
    MAINTENANCE, SERIAL, config, connect, endpoint, start, start_and_connect, timing, try_connect,
    two_slots,
};

fn logins(mock: &mock_bmc::Mock) -> usize {
    let requests = mock.requests();
    let login = |it: &&(Method, String, u16)| it.0 == Method::POST && it.1.ends_with("/Sessions");
    requests.iter().filter(login).count()
}

#[tokio::test]
async fn one_session_serves_all_calls_and_is_closed() {
    let (mock, bmc) = start_and_connect(config("idrac")).await;
    let (slot, _) = two_slots(&bmc);
    bmc.insert(&slot, MAINTENANCE).await.unwrap();
    assert_eq!((mock.sessions(), logins(&mock)), (1, 1));
    bmc.close().await;
    assert_eq!(mock.sessions(), 0);
}

#[tokio::test]
async fn a_session_that_ended_is_renewed() {
    let (mock, bmc) = start_and_connect(config("idrac")).await;
    mock.end_sessions();
    bmc.power().await.unwrap();
    assert_eq!(logins(&mock), 2);
    // Sessions that expire at once are an error, not a loop.
    let mut config = config("idrac");
    config.behaviour.session = Duration::ZERO;
    let mock = start(config).await;
    let error = try_connect(&mock).await.err().unwrap();
    assert!(matches!(error, Error::Credentials), "{error}");
    assert_eq!(logins(&mock), 2);
}

#[tokio::test]
async fn without_sessions_each_request_carries_the_password() {
    // No session service, and no free session.
    let none = start(config("one-slot")).await;
    connect(&none).await.close().await;
    let full = start(config("idrac")).await;
    full.take_all_sessions();
    connect(&full).await.power().await.unwrap();
    assert_eq!(logins(&full), 1);
}

#[tokio::test]
async fn a_wrong_password_is_tried_once() {
    for name in ["idrac", "one-slot"] {
        let mock = start(config(name)).await;
        let mut endpoint = endpoint(&mock);
        endpoint.credentials.password = "wrong".to_owned();
        let error = Bmc::connect(&endpoint, SERIAL, None, timing()).await.err().unwrap();
        assert!(matches!(error, Error::Credentials), "{name}: {error}");
        let refused = mock.requests().into_iter().filter(|it| it.2 == 401).count();
        assert_eq!(refused, 1, "{name}: BMCs lock users out");
    }
}

#[tokio::test]
async fn a_service_root_behind_the_login_is_no_obstacle() {
    let mock = start(config("generic")).await;
    let closed =
        Fault::Status { status: 401, retry_after: None, message: "Base.1.18.NoValidSession" };
    mock.fault(Rule::once(Method::GET, "/redfish/v1/", closed));
    connect(&mock).await.close().await;
    assert_eq!(mock.sessions(), 0);
}

#[tokio::test]
async fn a_call_that_is_broken_off_leaves_no_session() {
    let (mock, bmc) = start_and_connect(config("idrac")).await;
    let slow = Fault::Slow(Duration::from_mins(1));
    mock.fault(Rule::once(Method::GET, "/Systems/", slow));
    let call = async move { bmc.power().await };
    assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
    while mock.sessions() > 0 {
        tokio::task::yield_now().await;
    }
}
