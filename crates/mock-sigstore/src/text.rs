// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Base64 and PEM helpers.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use signing::PublicKey;

/// Base64 of `bytes`.
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Decodes base64.
pub(crate) fn from_base64(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// The `SubjectPublicKeyInfo` of a key, DER.
pub(crate) fn spki(key: &PublicKey) -> Vec<u8> {
    let pem = key.to_pem().unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    from_base64(&body).unwrap()
}

/// A certificate in PEM.
pub(crate) fn pem(der: &[u8]) -> String {
    let body = base64(der);
    let lines = body.as_bytes().chunks(64).map(|it| std::str::from_utf8(it).unwrap());
    let lines: Vec<_> = lines.collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
