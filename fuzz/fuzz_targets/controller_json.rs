// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any bytes as `controller.json`, which describes how a maintenance OS reaches its controller.
#![no_main]

use recipe::controller::ControllerAccess;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(access) = ControllerAccess::from_slice(bytes) else { return };
    let written = access.to_json().unwrap();
    let again = ControllerAccess::from_slice(&written).unwrap();
    assert_eq!(again.to_json().unwrap(), written);
    for (name, _) in access.files().unwrap() {
        assert!(!name.is_empty() && !name.contains('/'), "{name:?}");
    }
});
