// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A mock BMC, a client, and time limits for tests.

use std::time::Duration;

use mock_bmc::{Config, Mock, Personality, find_personality};
use redfish::{Bmc, Credentials, Endpoint, Error, Slot, Timing, TlsPolicy};

pub(crate) const SERIAL: &str = "SN-0042";
pub(crate) const MAINTENANCE: &str = "http://media.test/static/1/token/maintenance.iso";
pub(crate) const TASK: &str = "http://media.test/tasks/1/token/7d3c/task.iso";

/// Limits: long for expected events, short for unexpected ones.
pub(crate) fn timing() -> Timing {
    Timing {
        request: Duration::from_secs(10),
        attempts: 5,
        backoff: Duration::from_millis(2),
        backoff_max: Duration::from_millis(20),
        poll: Duration::from_millis(2),
        settle: Duration::from_millis(200),
        graceful: Duration::from_millis(200),
        power: Duration::from_secs(10),
        post: Duration::from_millis(200),
        task: Duration::from_secs(10),
    }
}

pub(crate) fn config(personality: &str) -> Config {
    Config::new(find_personality(personality).unwrap(), SERIAL)
}

/// A vendor with one modified property.
pub(crate) fn variant(personality: &str, change: impl FnOnce(&mut Personality)) -> Config {
    let mut personality = find_personality(personality).unwrap().clone();
    change(&mut personality);
    Config::new(Box::leak(Box::new(personality)), SERIAL)
}

pub(crate) async fn start(config: Config) -> Mock {
    Mock::start(config).await.unwrap()
}

pub(crate) fn endpoint(mock: &Mock) -> Endpoint {
    endpoint_at(&mock.url())
}

pub(crate) fn endpoint_at(address: &str) -> Endpoint {
    let credentials = Credentials { user: "admin".to_owned(), password: "password".to_owned() };
    Endpoint { address: address.parse().unwrap(), credentials, tls: TlsPolicy::Insecure }
}

pub(crate) async fn connect(mock: &Mock) -> Bmc {
    try_connect(mock).await.unwrap()
}

/// A mock and a client of it.
pub(crate) async fn start_and_connect(config: Config) -> (Mock, Bmc) {
    let mock = start(config).await;
    let bmc = connect(&mock).await;
    (mock, bmc)
}

pub(crate) async fn try_connect(mock: &Mock) -> Result<Bmc, Error> {
    Bmc::connect(&endpoint(mock), SERIAL, None, timing()).await
}

pub(crate) fn two_slots(bmc: &Bmc) -> (Slot, Slot) {
    match bmc.slots() {
        [maintenance, task, ..] => (maintenance.clone(), task.clone()),
        other => panic!("expected two slots: {other:?}"),
    }
}
