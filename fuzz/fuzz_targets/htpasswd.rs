// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any text as an htpasswd file, and any bytes as the header `Authorization`.
#![no_main]

use controller::registry::users::{Credentials, Users};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(Users::parse(&String::from_utf8_lossy(bytes)));
    if let Credentials::Basic { user, .. } = Credentials::parse(Some(bytes)) {
        assert!(!user.contains(':'));
    }
});
