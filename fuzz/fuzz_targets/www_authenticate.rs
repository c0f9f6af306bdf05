// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any text as the challenge, the token and the links that a registry answers with.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    oci::fuzzing::challenge(&String::from_utf8_lossy(bytes));
    oci::fuzzing::token(bytes);
});
