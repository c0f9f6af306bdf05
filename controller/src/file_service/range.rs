// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Parses range requests.
//!
//! RFC 9110, section 14, with nginx's behaviour where the RFC leaves a choice: units other than
//! bytes are ignored; malformed ranges are answered with 416; the whole file is sent if the ranges
//! together are longer than it.

use std::ops::Range;
use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;

use super::body::Part;

/// Maximum ranges per request: more would only enlarge the response.
const MOST_RANGES: usize = 64;

/// Requested part of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestedRange {
    /// The whole file.
    Whole,
    /// One non-empty range.
    One(Range<u64>),
    /// Several ranges in the requested order.
    Several(Vec<Range<u64>>),
    /// No range is satisfiable.
    Unsatisfiable,
}

/// Evaluates `Range` and `If-Range`.
pub(super) fn evaluate(
    request: &HeaderMap,
    etag: &HeaderValue,
    modified: Option<SystemTime>,
    size: u64,
) -> RequestedRange {
    let Some(text) = request.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return RequestedRange::Whole;
    };
    if let Some(condition) = request.get(header::IF_RANGE)
        && condition != etag
        && !super::condition::is_date(condition, modified)
    {
        return RequestedRange::Whole;
    }
    parse(text, size)
}

fn parse(text: &str, size: u64) -> RequestedRange {
    const UNIT: &str = "bytes=";
    let set = match text.split_at_checked(UNIT.len()) {
        Some((unit, set)) if unit.eq_ignore_ascii_case(UNIT) && !set.is_empty() => set,
        _ => return RequestedRange::Whole,
    };
    let mut ranges = Vec::new();
    for spec in set.split(',') {
        let Some(range) = parse_one(spec, size) else { return RequestedRange::Unsatisfiable };
        if !range.is_empty() {
            ranges.push(range);
            if ranges.len() > MOST_RANGES {
                return RequestedRange::Whole;
            }
        } else if range.start == 0 {
            // The first byte of an empty file.
            return RequestedRange::Whole;
        }
    }
    let length = ranges.iter().fold(0_u64, |sum, r| sum.saturating_add(r.end - r.start));
    match ranges.as_slice() {
        [] => RequestedRange::Unsatisfiable,
        _ if length > size => RequestedRange::Whole,
        [one] => RequestedRange::One(one.clone()),
        _ => RequestedRange::Several(ranges),
    }
}

/// None: malformed. Empty: unsatisfiable, or ends before it starts.
fn parse_one(spec: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = spec.split_once('-')?;
    let last = last.trim_end_matches(' ');
    let first = first.trim_start_matches(' ');
    if first.is_empty() {
        let suffix = number(last)?;
        return Some(size.saturating_sub(suffix)..size);
    }
    let start = number(first.trim_end_matches(' '))?;
    let last = last.trim_start_matches(' ');
    let end = if last.is_empty() { size } else { number(last)?.saturating_add(1).min(size) };
    Some(start..end)
}

/// Parses a number of digits only, with a limit against overflow.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse::<i64>().ok().filter(|_| digits)?;
    u64::try_from(number).ok()
}

/// Returns the parts of the whole file.
pub(super) fn whole_file(size: u64) -> Vec<Part> {
    if size == 0 { Vec::new() } else { vec![Part::File(0..size)] }
}

/// A `multipart/byteranges` body.
pub(super) struct Multipart {
    pub(super) content_type: HeaderValue,
    pub(super) parts: Vec<Part>,
}

/// Builds a multipart response (RFC 9110, section 14.6). The boundary could occur in the file;
/// checking would mean reading it. So every part has its length in `Content-Range`.
pub(super) fn multipart(ranges: &[Range<u64>], size: u64, content_type: &HeaderValue) -> Multipart {
    const BOUNDARY: &str = "7c9b5e1f0a3d4286b1c7e5d8f9a06e42";
    let kind = content_type.to_str().unwrap_or("application/octet-stream");
    let mut parts = Vec::with_capacity(ranges.len() * 2 + 1);
    for range in ranges {
        let last = range.end - 1;
        let head = format!(
            "\r\n--{BOUNDARY}\r\nContent-Type: {kind}\r\nContent-Range: bytes {}-{last}/{size}\r\n\r\n",
            range.start
        );
        parts.push(Part::Memory(head.into()));
        parts.push(range.clone().into());
    }
    parts.push(Part::Memory(Bytes::from(format!("\r\n--{BOUNDARY}--\r\n"))));
    let content_type = super::value(format!("multipart/byteranges; boundary={BOUNDARY}"));
    Multipart { content_type, parts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_nginx_reads_them() {
        let several = |ranges: &[Range<u64>]| RequestedRange::Several(ranges.to_vec());
        for (text, expected) in [
            ("bytes=0-0", RequestedRange::One(0..1)),
            ("bytes=0-99", RequestedRange::One(0..100)),
            ("bytes=10-", RequestedRange::One(10..100)),
            ("bytes=-5", RequestedRange::One(95..100)),
            ("bytes=-500", RequestedRange::One(0..100)),
            ("bytes=90-500", RequestedRange::One(90..100)),
            ("Bytes= 1 - 2 ", RequestedRange::One(1..3)),
            ("bytes=0-1, 5-6", several(&[0..2, 5..7])),
            ("bytes=5-6,0-1", several(&[5..7, 0..2])),
            // One of two is satisfiable.
            ("bytes=200-300,1-1", RequestedRange::One(1..2)),
            ("bytes=5-2,1-1", RequestedRange::One(1..2)),
            ("bytes=100-", RequestedRange::Unsatisfiable),
            ("bytes=-0", RequestedRange::Unsatisfiable),
            ("bytes=5-2", RequestedRange::Unsatisfiable),
            ("bytes=99999999999999999999-", RequestedRange::Unsatisfiable),
            // Overlapping ranges longer than the file.
            ("bytes=0-,0-", RequestedRange::Whole),
            // Malformed.
            ("bytes=a-b", RequestedRange::Unsatisfiable),
            ("bytes=+1-2", RequestedRange::Unsatisfiable),
            ("bytes=1-2,", RequestedRange::Unsatisfiable),
            ("bytes=- 5", RequestedRange::Unsatisfiable),
            // Not byte ranges: ignored.
            ("bytes=", RequestedRange::Whole),
            ("bytes", RequestedRange::Whole),
            ("bytes =1-2", RequestedRange::Whole),
            ("lines=1-2", RequestedRange::Whole),
            ("é=1-2", RequestedRange::Whole),
        ] {
            assert_eq!(parse(text, 100), expected, "{text}");
        }
        assert_eq!(parse("bytes=0-", 0), RequestedRange::Whole);
        assert_eq!(parse("bytes=-5", 0), RequestedRange::Whole);
        assert_eq!(parse("bytes=1-", 0), RequestedRange::Unsatisfiable);
        let many = format!("bytes={}", vec!["0-0"; MOST_RANGES + 1].join(","));
        assert_eq!(parse(&many, 1000), RequestedRange::Whole);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_range_outside_the_file(text in ".{0,40}", size in 0_u64..200) {
            let text = format!("bytes={text}");
            let inside = |r: &Range<u64>| r.start < r.end && r.end <= size;
            match parse(&text, size) {
                RequestedRange::One(range) => proptest::prop_assert!(inside(&range)),
                RequestedRange::Several(ranges) => proptest::prop_assert!(ranges.iter().all(inside)),
                RequestedRange::Whole | RequestedRange::Unsatisfiable => {}
            }
        }
    }
}
