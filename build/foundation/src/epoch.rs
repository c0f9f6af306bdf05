// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Formats the epoch, the only timestamp in artifacts.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result};

/// Formats `epoch`, in seconds since 1970, as RFC 3339 in UTC.
///
/// # Errors
/// When it is after the year 9999.
pub fn rfc3339(epoch: u64) -> Result<String> {
    // 9999-12-31T23:59:59Z, the formatter's maximum.
    const LAST: u64 = 253_402_300_799;
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(epoch)).filter(|_| epoch <= LAST);
    let time = time.with_context(|| format!("SOURCE_DATE_EPOCH {epoch} is out of range"))?;
    Ok(humantime::format_rfc3339_seconds(time).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_written_in_utc() {
        assert_eq!(rfc3339(0).unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_760_000_000).unwrap(), "2025-10-09T08:53:20Z");
        assert_eq!(rfc3339(253_402_300_799).unwrap(), "9999-12-31T23:59:59Z");
        assert!(rfc3339(253_402_300_800).is_err());
        assert!(rfc3339(u64::MAX).is_err());
    }
}
