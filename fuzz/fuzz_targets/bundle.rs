// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Any bytes as a Sigstore bundle. An unsigned one is never verified.
#![no_main]

use std::sync::LazyLock;

use signing::{Bundle, Identity, PrivateKey, PublicKey, Trust, TrustedRoot};

static KEY: LazyLock<PublicKey> = LazyLock::new(|| PrivateKey::generate().public());
static IDENTITY: LazyLock<Identity> = LazyLock::new(|| Identity {
    subject: "nobody@example.org".to_owned(),
    issuer: "https://issuer.example.org".to_owned(),
    root: TrustedRoot::public_good().unwrap(),
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(bundle) = Bundle::parse(bytes) else { return };
    let written = bundle.to_json().unwrap();
    assert_eq!(Bundle::parse(&written).unwrap().to_json().unwrap(), written);
    let digest = signing::sha256(bytes);
    for trust in [Trust::Key(&KEY), Trust::Identity(&IDENTITY)] {
        assert!(bundle.verify_file(trust, &digest).is_err());
        assert!(bundle.verify_any_statement(trust).is_err());
    }
    drop(bundle.claimed_identity());
});
