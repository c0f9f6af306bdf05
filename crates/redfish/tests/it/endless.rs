// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A BMC whose responses are each small but never end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use test_support::assert_contains;
use test_support::http::{self, Server};

use crate::common::{SERIAL, endpoint_at, timing};

const PAGE: usize = 1_900_000;

/// Serves the result of `answer` for each request path; counts the bytes.
fn serve(answer: fn(&str) -> Value) -> (String, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let server = Server::start(move |request| {
        let body = answer(&request.target).to_string();
        counter.fetch_add(body.len(), Ordering::Relaxed);
        http::answer(200).header("Content-Type", "application/json").body(body)
    });
    (server.url(), sent)
}

fn root() -> Value {
    json!({ "@odata.id": "/redfish/v1/", "Systems": { "@odata.id": "/redfish/v1/Systems" } })
}

#[tokio::test]
async fn answers_are_bounded_in_total() {
    let (address, sent) = serve(|path| {
        if path.starts_with("/redfish/v1/Systems") {
            let next = "/redfish/v1/Systems?$skip=1";
            json!({ "Members": [], "Members@odata.nextLink": next, "x": "x".repeat(PAGE) })
        } else {
            root()
        }
    });
    let error = redfish::Bmc::connect(&endpoint_at(&address), SERIAL, None, timing()).await;
    assert_contains(error.err().unwrap().to_string(), "in total");
    assert!(sent.load(Ordering::Relaxed) < 70 << 20);
}

#[tokio::test]
async fn members_are_bounded_and_so_is_their_part_of_an_error() {
    let (address, _) = serve(|path| match path {
        "/redfish/v1/Systems" => {
            let member = |n: u32| json!({ "@odata.id": format!("/redfish/v1/Systems/{n}") });
            json!({ "Members": (0..2000).map(member).collect::<Vec<_>>() })
        }
        _ => root(),
    });
    let connect = async |address: &str| {
        let connected = redfish::Bmc::connect(&endpoint_at(address), SERIAL, None, timing()).await;
        connected.err().unwrap().to_string()
    };
    assert_contains(connect(&address).await, "more than 1000 members");
    let (address, _) = serve(|path| match path {
        "/redfish/v1/Systems" => json!({ "Members": [{ "@odata.id": "/redfish/v1/Systems/1" }] }),
        "/redfish/v1/Systems/1" => json!({ "@odata.id": path, "SerialNumber": "9".repeat(PAGE) }),
        _ => root(),
    });
    let error = connect(&address).await;
    assert!(error.contains("999") && error.len() < 256, "{} bytes", error.len());
}
