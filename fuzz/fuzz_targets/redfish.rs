// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any bytes as the answer of a BMC: its content coding, its text and its messages; and as its address.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (coding, body) = input;
    let coding = ["", "gzip", "deflate", "identity", "br"][usize::from(coding) % 5];
    redfish::fuzzing::answer(coding, body, 1 << 16);
    drop(String::from_utf8_lossy(body).parse::<redfish::Address>());
});
