// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Dates in the two forms of the format, always UTC.
//!
//! ECMA-119 8.4.26.1 (17 bytes, volume descriptors) and 9.1.5 (7 bytes, directory records and
//! the Rock Ridge TF field).

/// Last second a 7-byte date can hold: 2155-12-31 23:59:59 UTC. Earlier than 1970 is refused
/// because Linux shows such dates as 1970.
pub(crate) const MAX: u64 = 5_869_583_999;

const DAY: i64 = 86_400;

/// A calendar date and time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: i64,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: u8) -> u8 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to the first of January of `year`.
fn days_before_year(year: i64) -> i64 {
    let y = year - 1;
    // Leap days up to and including year y of the proleptic Gregorian calendar.
    let leaps = |y: i64| y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    (year - 1970) * 365 + leaps(y) - leaps(1969)
}

/// `seconds` is at most [`MAX`]; larger values give the last date.
fn civil(seconds: u64) -> Civil {
    let seconds = i64::try_from(seconds.min(MAX)).unwrap_or_default();
    let (mut days, rest) = (seconds / DAY, seconds % DAY);
    // A year is at least 365 days, so this guess is at most one year late in this range.
    let mut year = 1970 + days / 366;
    while days_before_year(year + 1) <= days {
        year += 1;
    }
    days -= days_before_year(year);
    let mut month = 1;
    while days >= i64::from(days_in_month(year, month)) {
        days -= i64::from(days_in_month(year, month));
        month += 1;
    }
    let small = |value: i64| u8::try_from(value).unwrap_or_default();
    Civil {
        year,
        month,
        day: small(days + 1),
        hour: small(rest / 3600),
        minute: small(rest / 60 % 60),
        second: small(rest % 60),
    }
}

/// Seconds since 1970 of a date as read, or `None` if there is no such date.
fn seconds(date: Civil, quarter_hours_east: i8) -> Option<i64> {
    let valid = (1..=12).contains(&date.month)
        && (1..=days_in_month(date.year, date.month)).contains(&date.day)
        && date.hour < 24
        && date.minute < 60
        && date.second < 60
        && (-52..=52).contains(&quarter_hours_east);
    if !valid {
        return None;
    }
    let months: i64 = (1..date.month).map(|month| i64::from(days_in_month(date.year, month))).sum();
    let days = days_before_year(date.year) + months + i64::from(date.day) - 1;
    let clock = i64::from(date.hour) * 3600 + i64::from(date.minute) * 60 + i64::from(date.second);
    Some(days * DAY + clock - i64::from(quarter_hours_east) * 900)
}

/// The 7-byte form.
pub(crate) fn encode_short(epoch: u64) -> [u8; 7] {
    let date = civil(epoch);
    let year = u8::try_from(date.year - 1900).unwrap_or(u8::MAX);
    [year, date.month, date.day, date.hour, date.minute, date.second, 0]
}

/// The 17-byte form: sixteen digits and the offset from UTC.
pub(crate) fn encode_long(epoch: u64) -> [u8; 17] {
    let date = civil(epoch);
    let digits = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}00",
        date.year, date.month, date.day, date.hour, date.minute, date.second
    );
    let mut out = [0; 17];
    for (to, from) in out.iter_mut().zip(digits.bytes()) {
        *to = from;
    }
    out
}

/// The 17-byte form of an unspecified date.
pub(crate) const LONG_UNSPECIFIED: [u8; 17] = *b"0000000000000000\0";

/// Seconds since 1970 of a 7-byte date, or `None` for an unspecified one.
pub(crate) fn parse_short(bytes: [u8; 7]) -> Option<i64> {
    let [year, month, day, hour, minute, second, offset] = bytes;
    let date = Civil { year: 1900 + i64::from(year), month, day, hour, minute, second };
    seconds(date, offset.cast_signed())
}

/// Seconds since 1970 of a 17-byte date, or `None` for an unspecified one.
pub(crate) fn parse_long(bytes: &[u8; 17]) -> Option<i64> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let text = std::str::from_utf8(bytes.get(from..to)?).ok()?;
        if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None }
    };
    let small = |from, to| number(from, to).and_then(|value| u8::try_from(value).ok());
    let date = Civil {
        year: number(0, 4)?,
        month: small(4, 6)?,
        day: small(6, 8)?,
        hour: small(8, 10)?,
        minute: small(10, 12)?,
        second: small(12, 14)?,
    };
    seconds(date, bytes[16].cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates_have_their_known_bytes() {
        assert_eq!(encode_short(0), [70, 1, 1, 0, 0, 0, 0]);
        assert_eq!(encode_short(1_709_210_096), [124, 2, 29, 12, 34, 56, 0]);
        assert_eq!(&encode_long(1_709_210_096), b"2024022912345600\0");
        assert_eq!(encode_short(MAX), [255, 12, 31, 23, 59, 59, 0]);
    }

    #[test]
    fn an_offset_east_of_utc_is_subtracted() {
        assert_eq!(parse_short([70, 1, 1, 1, 0, 0, 4]), Some(0));
        assert_eq!(parse_long(b"1970010101000000\x04"), Some(0));
    }

    #[test]
    fn what_is_no_date_is_none() {
        assert_eq!(parse_short([0; 7]), None);
        assert_eq!(parse_short([123, 2, 29, 0, 0, 0, 0]), None);
        assert_eq!(parse_long(&LONG_UNSPECIFIED), None);
        assert_eq!(parse_long(b"19700101+1000000\0"), None);
    }

    proptest::proptest! {
        #[test]
        fn both_forms_round_trip(epoch in 0..=MAX) {
            let expected = i64::try_from(epoch).ok();
            proptest::prop_assert_eq!(parse_short(encode_short(epoch)), expected);
            proptest::prop_assert_eq!(parse_long(&encode_long(epoch)), expected);
        }
    }
}
