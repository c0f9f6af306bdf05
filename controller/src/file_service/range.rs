// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Which bytes a request asks for.
//!
//! RFC 9110, section 14. As nginx does: what is not understood is ignored and the whole file is sent,
//! and so it is when the ranges together are longer than the file.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use bytes::Bytes;

use super::body::Part;

/// Ranges accepted in one request: more make an answer larger than the file for no use.
const MOST_RANGES: usize = 64;

/// What is to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything.
    Whole,
    /// One part, not empty.
    One(Range<u64>),
    /// Several parts, in the order in which they were asked for.
    Several(Vec<Range<u64>>),
    /// Nothing that was asked for exists.
    Unsatisfiable,
}

/// Reads `Range` and `If-Range`.
pub(super) fn wanted(request: &HeaderMap, etag: &HeaderValue, size: u64) -> Wanted {
    let Some(text) = request.get(header::RANGE).and_then(|value| value.to_str().ok()) else {
        return Wanted::Whole;
    };
    // A date in If-Range can't match either: a strong comparison needs the entity tag (13.1.5).
    if request.get(header::IF_RANGE).is_some_and(|condition| condition != etag) {
        return Wanted::Whole;
    }
    parse(text, size)
}

fn parse(text: &str, size: u64) -> Wanted {
    let Some((unit, set)) = text.split_once('=') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let mut ranges = Vec::new();
    let specs = set.split(',').map(str::trim).filter(|spec| !spec.is_empty());
    for (number, spec) in specs.enumerate() {
        match parse_one(spec, size) {
            Some(range) if number < MOST_RANGES => ranges.push(range),
            _ => return Wanted::Whole,
        }
    }
    ranges.retain(|range| !range.is_empty());
    let length = ranges.iter().try_fold(0_u64, |sum, r| sum.checked_add(r.end - r.start));
    match (ranges.as_slice(), length) {
        ([], _) => Wanted::Unsatisfiable,
        ([_], _) => ranges.pop().map_or(Wanted::Unsatisfiable, Wanted::One),
        (_, Some(length)) if length <= size => Wanted::Several(ranges),
        _ => Wanted::Whole,
    }
}

/// None: not a range. Empty: one that the file does not reach.
fn parse_one(spec: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = spec.split_once('-')?;
    let range = if first.is_empty() {
        let suffix = number(last)?;
        size.saturating_sub(suffix)..size
    } else {
        let first = number(first)?;
        let end = if last.is_empty() {
            size
        } else {
            let last = number(last)?;
            if last < first {
                return None;
            }
            last.saturating_add(1).min(size)
        };
        first..end
    };
    Some(range)
}

/// Digits only; a number that no file reaches counts as the largest one.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// Whether a condition such as `If-None-Match` lists the entity tag, or is `*`.
pub(super) fn matches(request: &HeaderMap, condition: HeaderName, etag: &HeaderValue) -> bool {
    let Ok(etag) = etag.to_str() else { return false };
    let weak = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag) == etag;
    request
        .get_all(condition)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || weak(tag))
}

/// All of a file.
pub(super) fn whole(size: u64) -> Vec<Part> {
    if size == 0 { Vec::new() } else { vec![Part::File(0..size)] }
}

/// An answer with several ranges.
pub(super) struct Multipart {
    pub(super) content_type: HeaderValue,
    pub(super) parts: Vec<Part>,
}

/// RFC 9110, section 14.6. The boundary must not occur in the file; nobody can promise that without
/// reading it, so every part has its length in `Content-Range`, as everywhere.
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
    fn ranges_are_read_as_the_rfc_has_them() {
        let several = |ranges: &[Range<u64>]| Wanted::Several(ranges.to_vec());
        for (text, expected) in [
            ("bytes=0-0", Wanted::One(0..1)),
            ("bytes=0-99", Wanted::One(0..100)),
            ("bytes=10-", Wanted::One(10..100)),
            ("bytes=-5", Wanted::One(95..100)),
            ("bytes=-500", Wanted::One(0..100)),
            ("bytes=90-500", Wanted::One(90..100)),
            ("Bytes = 1-2", Wanted::One(1..3)),
            ("bytes=0-1, 5-6", several(&[0..2, 5..7])),
            ("bytes=5-6,0-1,,", several(&[5..7, 0..2])),
            // One of two is there.
            ("bytes=200-300,1-1", Wanted::One(1..2)),
            ("bytes=100-", Wanted::Unsatisfiable),
            ("bytes=-0", Wanted::Unsatisfiable),
            ("bytes=", Wanted::Unsatisfiable),
            ("bytes=99999999999999999999-", Wanted::Unsatisfiable),
            // Overlaps that are longer than the file.
            ("bytes=0-,0-", Wanted::Whole),
            // Not understood: ignored.
            ("bytes=5-2", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
        ] {
            assert_eq!(parse(text, 100), expected, "{text}");
        }
        assert_eq!(parse("bytes=0-", 0), Wanted::Unsatisfiable);
        let many = format!("bytes={}", vec!["0-0"; MOST_RANGES + 1].join(","));
        assert_eq!(parse(&many, 1000), Wanted::Whole);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_a_range_outside_the_file(text in ".{0,40}", size in 0_u64..200) {
            let text = format!("bytes={text}");
            let inside = |r: &Range<u64>| r.start < r.end && r.end <= size;
            match parse(&text, size) {
                Wanted::One(range) => proptest::prop_assert!(inside(&range)),
                Wanted::Several(ranges) => proptest::prop_assert!(ranges.iter().all(inside)),
                Wanted::Whole | Wanted::Unsatisfiable => {}
            }
        }
    }
}
