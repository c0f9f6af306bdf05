// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Conditional requests: RFC 9110, section 13. Dates must be equal, as in nginx: after a clock was
//! set back, older content must not count as current.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Result of evaluating the conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Process the request.
    Proceed,
    /// The client has the current content: 304.
    NotModified,
    /// A precondition failed: 412.
    Failed,
}

/// Evaluates the conditions in the order of section 13.2.2.
pub(super) fn check(
    request: &HeaderMap,
    etag: &HeaderValue,
    modified: Option<SystemTime>,
) -> Verdict {
    if request.contains_key(header::IF_MATCH) {
        if !lists(request, header::IF_MATCH, |tag| tag.as_bytes() == etag.as_bytes()) {
            return Verdict::Failed;
        }
    } else if let Some(limit) = request.get(header::IF_UNMODIFIED_SINCE).and_then(date)
        && modified.is_some_and(|modified| seconds(modified) > seconds(limit))
    {
        return Verdict::Failed;
    }
    let current = if request.contains_key(header::IF_NONE_MATCH) {
        is_current(request, etag)
    } else {
        let condition = request.get(header::IF_MODIFIED_SINCE);
        condition.is_some_and(|condition| is_date(condition, modified))
    };
    if current { Verdict::NotModified } else { Verdict::Proceed }
}

/// Returns whether `If-None-Match` lists this entity tag (section 13.1.2).
pub(crate) fn is_current(request: &HeaderMap, etag: &HeaderValue) -> bool {
    lists(request, header::IF_NONE_MATCH, |tag| {
        tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes()
    })
}

/// Returns whether a header value is the modification date.
pub(super) fn is_date(value: &HeaderValue, modified: Option<SystemTime>) -> bool {
    let pair = date(value).zip(modified);
    pair.is_some_and(|(date, modified)| seconds(date) == seconds(modified))
}

/// Returns whether a list of entity tags is `*` or has a tag for which `matches` is true.
fn lists(request: &HeaderMap, name: HeaderName, matches: impl Fn(&str) -> bool) -> bool {
    request
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || matches(tag))
}

fn date(value: &HeaderValue) -> Option<SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

/// Truncates to whole seconds, as in header dates.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_judged_in_their_order() {
        const NOW: &str = "Mon, 23 Nov 2026 20:00:00 GMT";
        const LATER: &str = "Mon, 23 Nov 2026 20:00:01 GMT";
        const EARLIER: &str = "Mon, 23 Nov 2026 19:59:59 GMT";
        let etag = HeaderValue::from_static("\"a\"");
        let modified = httpdate::parse_http_date(NOW).unwrap() + Duration::from_millis(300);
        for (conditions, expected) in [
            (&[][..], Verdict::Proceed),
            (&[("if-none-match", "\"a\"")], Verdict::NotModified),
            (&[("if-none-match", "\"b\", W/\"a\"")], Verdict::NotModified),
            (&[("if-none-match", "*")], Verdict::NotModified),
            (&[("if-none-match", "\"b\"")], Verdict::Proceed),
            (&[("if-modified-since", NOW)], Verdict::NotModified),
            (&[("if-modified-since", LATER)], Verdict::Proceed),
            (&[("if-modified-since", "yesterday")], Verdict::Proceed),
            (&[("if-none-match", "\"b\""), ("if-modified-since", NOW)], Verdict::Proceed),
            (&[("if-match", "\"a\"")], Verdict::Proceed),
            (&[("if-match", "W/\"a\"")], Verdict::Failed),
            (&[("if-match", "\"b\"")], Verdict::Failed),
            (&[("if-unmodified-since", NOW)], Verdict::Proceed),
            (&[("if-unmodified-since", EARLIER)], Verdict::Failed),
            (&[("if-match", "\"a\""), ("if-unmodified-since", EARLIER)], Verdict::Proceed),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in conditions {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(check(&headers, &etag, Some(modified)), expected, "{conditions:?}");
        }
    }

    #[test]
    fn without_a_date_no_date_matches() {
        let mut headers = HeaderMap::new();
        headers
            .append("if-modified-since", HeaderValue::from_static("Thu, 01 Jan 1970 00:00:00 GMT"));
        assert_eq!(check(&headers, &HeaderValue::from_static("\"a\""), None), Verdict::Proceed);
    }
}
