// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Dates (RFC 3339) of seconds since 1970.

use std::time::{Duration, UNIX_EPOCH};

/// 9999-12-31T23:59:59Z, the last second of RFC 3339.
pub(crate) const LAST_SECOND: u64 = 253_402_300_799;

/// Formats `seconds` since 1970, at most [`LAST_SECOND`].
pub(crate) fn rfc3339(seconds: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(seconds.min(LAST_SECOND));
    humantime::format_rfc3339_seconds(time).to_string()
}
