// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Parses dates in Debian's format.

/// Parses `Sat, 10 Jan 2026 09:15:30 UTC` to seconds since 1970 (RFC 5322, 3.3). Debian's indexes
/// are in UTC; for changelogs a precision of a day suffices, so the zone is ignored.
pub(crate) fn rfc5322(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let (day, month, year, time) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let day: u32 = day.parse().ok()?;
    let rfc3339 = format!("{year}-{month:02}-{day:02}T{time}Z");
    let time = humantime::parse_rfc3339(&rfc3339).ok()?;
    Some(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read() {
        assert_eq!(rfc5322("Sat, 10 Jan 2026 09:15:30 UTC"), Some(1_768_036_530));
        assert_eq!(rfc5322("Thu, 1 Jan 1970 00:00:01 UTC"), Some(1));
        assert_eq!(rfc5322("Thu, 01 Jan 1970 00:00:01 +0000"), Some(1));
        for bad in ["yesterday", "Thu, 32 Jan 1970 00:00:01 UTC", "Thu, 1 Foo 1970 00:00:01 UTC"] {
            assert_eq!(rfc5322(bad), None, "{bad}");
        }
    }
}
