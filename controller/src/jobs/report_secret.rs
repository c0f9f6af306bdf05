// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Per-job webhook secret, derived from the one in `webhook.secrets`.
//!
//! The task ISO is readable by anyone with access to the host or its BMC. So its secret must not be
//! valid for other jobs, and must not reveal the secret it is derived from.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::bmc::Secret;
use super::model::JobId;

/// Domain separation from other uses of the secret.
const PURPOSE: &str = "provisioner webhook 1";

/// Derives the secret of `job`: base64url(HMAC-SHA256(`fleet`, `"provisioner webhook 1\nJOB\n"`)).
///
/// Deterministic, so nothing is stored for it. None if HMAC rejects the key, which it does for no
/// length (RFC 2104, section 2).
pub fn derive(fleet: &Secret, job: JobId) -> Option<Secret> {
    let mac = Hmac::<Sha256>::new_from_slice(fleet.expose().as_bytes()).ok()?;
    let mac = mac.chain_update(format!("{PURPOSE}\n{job}\n")).finalize();
    Some(Secret::new(BASE64_URL_SAFE_NO_PAD.encode(mac.into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_job_has_its_own_secret() {
        let job = |text: &str| text.parse::<JobId>().unwrap();
        let one = job("f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
        let other = job("f81d4fae-7dec-11d0-a765-00a0c91e6bf7");
        let fleet = Secret::new("0123456789abcdef");
        let secret = |fleet: &Secret, job| derive(fleet, job).unwrap().expose().to_owned();
        // With OpenSSL: printf 'provisioner webhook 1\nf81d…\n' |
        // openssl dgst -sha256 -hmac KEY -binary | basenc --base64url
        assert_eq!(secret(&fleet, one), "NoLXhZfXscmtaEvsSSapBnbJ4OAfuYWTlvleBk1pJxc");
        assert_ne!(secret(&fleet, one), secret(&fleet, other));
        assert_ne!(secret(&fleet, one), secret(&Secret::new("0123456789abcdeg"), one));
    }
}
