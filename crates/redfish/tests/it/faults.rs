// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Faults of the network and of overloaded BMCs.

use hyper::Method;
use mock_bmc::{Fault, Rule};
use redfish::Error;

use crate::common::{
    MAINTENANCE, SERIAL, config, connect, endpoint_at, start, start_and_connect, timing,
    try_connect, two_slots,
};

fn status(status: u16, retry_after: Option<u64>) -> Fault {
    Fault::Status { status, retry_after, message: "Base.1.18.GeneralError" }
}

#[tokio::test]
async fn reads_are_made_again_until_they_come_through() {
    let mock = start(config("generic")).await;
    mock.fault(Rule::once(Method::GET, "/Systems", status(503, Some(0))));
    mock.fault(Rule::once(Method::GET, "/Systems", status(429, Some(0))));
    mock.fault(Rule::once(Method::GET, "/Systems", Fault::DropBefore));
    mock.fault(Rule::once(Method::GET, "/Systems", Fault::DropAfter));
    connect(&mock).await.close().await;
    // At most five attempts.
    mock.fault(Rule::once(Method::GET, "/Managers", status(500, None)).times(100));
    let error = try_connect(&mock).await.err().unwrap();
    assert!(error.is_transient(), "{error}");
    let tries = mock.requests().into_iter().filter(|it| it.2 == 500).count();
    assert_eq!(tries, 5);
}

#[tokio::test]
async fn a_refusal_is_not_asked_for_again() {
    let (mock, bmc) = start_and_connect(config("generic")).await;
    let (slot, _) = two_slots(&bmc);
    for code in [400, 403, 409] {
        mock.fault(Rule::once(Method::POST, "InsertMedia", status(code, None)).times(2));
        let error = bmc.insert(&slot, MAINTENANCE).await.unwrap_err();
        assert!(!error.is_transient(), "{error}");
        let tries = mock.requests().into_iter().filter(|it| it.2 == code).count();
        assert_eq!(tries, 1, "{code}");
        let error = bmc.insert(&slot, MAINTENANCE).await.unwrap_err();
        assert!(error.to_string().contains(&code.to_string()), "{error}");
    }
}

#[tokio::test]
async fn writes_whose_answer_got_lost_are_looked_at_and_not_made_twice() {
    let (mock, bmc) = start_and_connect(config("generic")).await;
    let (slot, _) = two_slots(&bmc);
    mock.fault(Rule::once(Method::POST, "InsertMedia", Fault::DropAfter));
    mock.fault(Rule::once(Method::PATCH, "/Systems/", Fault::DropAfter));
    mock.fault(Rule::once(Method::POST, "EjectMedia", Fault::DropAfter));
    bmc.insert(&slot, MAINTENANCE).await.unwrap();
    bmc.boot_cd_once().await.unwrap();
    bmc.eject(&slot).await.unwrap();
    let writes: Vec<_> = mock.requests().into_iter().filter(|it| it.0 != Method::GET).collect();
    // One login, and each write once.
    assert_eq!(writes.len(), 4, "{writes:?}");
}

#[tokio::test]
async fn writes_that_did_not_get_there_are_made_again() {
    let (mock, bmc) = start_and_connect(config("generic")).await;
    let (slot, _) = two_slots(&bmc);
    for fault in [Fault::DropBefore, status(503, Some(0)), status(500, None)] {
        mock.fault(Rule::once(Method::POST, "InsertMedia", fault.clone()));
        mock.fault(Rule::once(Method::PATCH, "/Systems/", fault.clone()));
        mock.fault(Rule::once(Method::POST, "EjectMedia", fault.clone()));
        bmc.insert(&slot, MAINTENANCE).await.unwrap();
        bmc.boot_cd_once().await.unwrap();
        bmc.eject(&slot).await.unwrap();
        bmc.boot_normally().await.unwrap();
        assert_eq!(mock.images(), [None, None], "{fault:?}");
    }
}

#[tokio::test]
async fn a_bmc_that_is_gone_is_a_fault_that_may_pass() {
    let (mock, bmc) = start_and_connect(config("generic")).await;
    mock.set_gone(true);
    let error = bmc.power().await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    mock.set_gone(false);
    bmc.power().await.unwrap();
    // Nothing listens on the port.
    let address = mock.url();
    drop(mock);
    let endpoint = endpoint_at(&address);
    let error = redfish::Bmc::connect(&endpoint, SERIAL, None, timing()).await.err().unwrap();
    assert!(matches!(error, Error::Transport { sent: false, .. }), "{error}");
}

#[tokio::test]
async fn paths_are_followed_where_they_lead() {
    let mock = start(config("generic")).await;
    // Not found without a trailing slash.
    mock.fault(Rule::once(Method::GET, "/redfish/v1/Systems", status(404, None)));
    connect(&mock).await.close().await;
    let asked = mock.requests();
    assert!(asked.iter().any(|it| it.1 == "/redfish/v1/Systems/" && it.2 == 200), "{asked:?}");
}
