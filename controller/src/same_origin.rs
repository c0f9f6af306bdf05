// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Refuses cross-site requests (CSRF).
//!
//! A browser adds stored credentials to every request for this service, whichever page causes it.
//! So a request that changes something is accepted only if the browser reports this service's own
//! origin, by `Sec-Fetch-Site` (Fetch Metadata) or else by `Origin` (RFC 6454). Clients other than
//! browsers send neither.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Response, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::IntoResponse as _;

use crate::api::problem::Problem;
use crate::registry;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const MESSAGE: &str = "cross-site request refused";

/// Answers 403 to a cross-site request that changes something.
pub(crate) async fn require(request: Request, next: Next) -> Response<Body> {
    if request.method().is_safe() || is_same_origin(request.headers(), request.uri()) {
        return next.run(request).await;
    }
    tracing::warn!(path = request.uri().path(), "cross-site request refused");
    if request.uri().path().starts_with("/v2") {
        return registry::http::deny(MESSAGE);
    }
    Problem::new(StatusCode::FORBIDDEN, "cross_site", MESSAGE).into_response()
}

fn is_same_origin(headers: &HeaderMap, uri: &Uri) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        // "none": caused by the user, not by a page.
        return matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return true };
    let host = headers.get(header::HOST).map(axum::http::HeaderValue::as_bytes);
    let host = host.or_else(|| uri.authority().map(|authority| authority.as_str().as_bytes()));
    // The scheme is not compared: a proxy may terminate TLS.
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let Some(((_, authority), host)) = authority.zip(host) else { return false };
    authority.as_bytes().eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_the_own_origin_is_accepted() {
        for (site, origin, expected) in [
            (None, None, true),
            (Some("same-origin"), Some("https://behind-a-proxy.example"), true),
            (Some("none"), None, true),
            (Some("cross-site"), None, false),
            (Some("cross-site"), Some("http://c.example:8080"), false),
            (Some("same-site"), None, false),
            (Some("later-invention"), None, false),
            (None, Some("http://c.example:8080"), true),
            (None, Some("https://C.example:8080"), true),
            (None, Some("http://c.example"), false),
            (None, Some("http://c.example:8081"), false),
            (None, Some("http://evil.example"), false),
            (None, Some("http://c.example:8080.evil.example"), false),
            (None, Some("null"), false),
            (None, Some(""), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("c.example:8080"));
            for (name, value) in [(SEC_FETCH_SITE, site), (header::ORIGIN, origin)] {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            }
            let uri = Uri::from_static("/api/v1/jobs");
            assert_eq!(is_same_origin(&headers, &uri), expected, "{site:?} {origin:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static("http://c.example"));
        assert!(!is_same_origin(&headers, &Uri::from_static("/")));
    }
}
