// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! sushy, the Redfish library of `OpenStack`, as a client of the mock.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use mock_bmc::{Config, Mock, PERSONALITIES, Source};
use tokio::process::Command;

/// The Python interpreter with sushy: the one of sushy-tools.
fn python() -> Option<PathBuf> {
    let emulator = test_support::find("sushy-emulator")?;
    Some(emulator.canonicalize().ok()?.with_file_name("python3"))
}

#[tokio::test]
async fn sushy_installs_a_machine_of_every_vendor() {
    let Some(python) = python() else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sushy_client.py");
    // sushy itself fails with the others: it sends resets that are not offered, requires a session
    // token, does not use settings resources, and does not skip slots without actions.
    let personalities = || {
        PERSONALITIES.iter().filter(|it| {
            it.resets.contains(&"ForceRestart")
                && !it.boot_in_settings
                && !it.omits_token
                && it.prefix.0.is_empty()
                && !it.slots.iter().any(|slot| slot.inert)
                && it.name != "refusing-slot"
        })
    };
    let mut mocks = Vec::new();
    let mut arguments = Vec::new();
    for personality in personalities() {
        let mock = Mock::start(Config::new(personality, "SN-0042")).await.unwrap();
        arguments.push(format!("{}={}", personality.name, mock.url()));
        mocks.push(mock);
    }
    let output = Command::new(python).arg(script).args(&arguments).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    for (mock, personality) in mocks.iter().zip(personalities()) {
        let boots: Vec<_> = mock.boots().into_iter().map(|boot| boot.source).collect();
        let image = "http://media.test/maintenance.iso".to_owned();
        assert_eq!(boots, [Source::Cd(image)], "{}", personality.name);
        assert!(mock.images().iter().all(Option::is_none), "{}", personality.name);
        assert_eq!(mock.sessions(), 0, "{}", personality.name);
    }
}
