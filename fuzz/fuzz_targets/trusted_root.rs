// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any bytes as a Sigstore trusted root.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    drop(signing::TrustedRoot::parse(bytes));
});
