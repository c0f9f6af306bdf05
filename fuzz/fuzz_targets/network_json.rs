// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any bytes as `network.json`, which becomes files of systemd-networkd.
#![no_main]

use recipe::network::Network;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(network) = Network::from_slice(bytes) else { return };
    let written = network.to_json().unwrap();
    assert_eq!(Network::from_slice(&written).unwrap(), network);
    for (name, text) in network.units() {
        assert!(!name.contains('/'), "{name:?}");
        for line in text.lines().filter(|line| !line.is_empty()) {
            assert!(line.starts_with('[') || line.contains('='), "{line:?}");
        }
    }
});
