// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! URL operations for the registry client.

use fluent_uri::UriRef;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::Uri;
use ureq::http::uri::Authority;

/// An absolute `http` or `https` URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// `http` or `https`.
    scheme: String,
    /// `HOST[:PORT]`.
    pub(super) host: String,
    /// Path and query, with a leading slash.
    rest: String,
}

impl Url {
    pub(super) fn new(scheme: &str, host: &str, rest: &str) -> Self {
        Self { scheme: scheme.to_owned(), host: host.to_owned(), rest: rest.to_owned() }
    }

    /// Resolves a `Location` header of a response from this URL (RFC 9110, section 10.2.2).
    ///
    /// `None` when it is malformed, has credentials, or downgrades https to http.
    pub(super) fn resolve(&self, location: &str) -> Option<Self> {
        // Registries send characters here that RFC 3986 forbids.
        if location.starts_with('/') && !location.starts_with("//") {
            let uri: Uri = location.parse().ok()?;
            return Some(Self { rest: uri.path_and_query()?.to_string(), ..self.clone() });
        }
        let relative = UriRef::parse(location).ok().filter(|it| !it.has_scheme());
        if let Some(reference) = relative.filter(|_| !location.is_empty()) {
            let base = self.to_string();
            let base = fluent_uri::Uri::parse(base.as_str()).ok()?;
            return self.resolve(reference.resolve_against(&base).ok()?.as_str());
        }
        let uri: Uri = location.parse().ok()?;
        let (scheme, authority) = (uri.scheme_str()?, uri.authority()?.as_str());
        let downgrade = self.scheme == "https" && scheme != "https";
        if !matches!(scheme, "http" | "https") || downgrade || authority.contains('@') {
            return None;
        }
        let rest = uri.path_and_query().map_or("/", |rest| rest.as_str());
        Some(Self::new(scheme, authority, rest))
    }

    /// Appends a query parameter.
    #[must_use]
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        self.with_query(&format!("{name}={}", encode(value)))
    }

    /// Appends `query`, which must be encoded.
    #[must_use]
    pub(super) fn with_query(&self, query: &str) -> Self {
        let separator = match (query, self.rest.contains('?')) {
            ("", _) => "",
            (_, true) => "&",
            (_, false) => "?",
        };
        Self { rest: format!("{}{separator}{query}", self.rest), ..self.clone() }
    }

    /// Replaces path and query.
    #[must_use]
    pub(super) fn with_path(&self, path: &str) -> Self {
        Self { rest: path.to_owned(), ..self.clone() }
    }

    /// The path without the query, which may contain secrets.
    pub(super) fn path(&self) -> &str {
        self.rest.split('?').next().unwrap_or_default()
    }

    /// Returns true if scheme, host and port are equal, so that credentials may be shared.
    pub(super) fn same_origin(&self, other: &Self) -> bool {
        let parts = |url: &Self| {
            let authority: Authority = url.host.parse().ok()?;
            let usual = if url.scheme == "https" { 443 } else { 80 };
            Some((authority.host().to_ascii_lowercase(), authority.port_u16().unwrap_or(usual)))
        };
        self.scheme == other.scheme && parts(self).is_some() && parts(self) == parts(other)
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.host, self.rest)
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986, section 2.3).
pub(super) fn encode(value: &str) -> String {
    const RESERVED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(value, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::new("https", "unused", "/").resolve(text).unwrap()
    }

    #[test]
    fn locations_are_resolved() {
        let base = url("https://r.example:5000/v2/a/blobs/uploads/1?state=x");
        for (location, expected) in [
            ("/v2/b?c=d", Some("https://r.example:5000/v2/b?c=d")),
            ("https://cdn.example/x", Some("https://cdn.example/x")),
            ("https://cdn.example", Some("https://cdn.example/")),
            ("//cdn.example/x", Some("https://cdn.example/x")),
            ("?n=1", Some("https://r.example:5000/v2/a/blobs/uploads/1?n=1")),
            ("http://cdn.example/x", None),
            ("https://user:password@cdn.example/x", None),
            ("ftp://cdn.example/x", None),
            ("file:///etc/passwd", None),
            ("", None),
            ("uploads/1", Some("https://r.example:5000/v2/a/blobs/uploads/uploads/1")),
            ("../../uploads/2?n=1", Some("https://r.example:5000/v2/a/uploads/2?n=1")),
            ("//user:password@cdn.example/x", None),
            ("/v2/b?c=d|e", Some("https://r.example:5000/v2/b?c=d|e")),
            ("uploads 1", None),
        ] {
            let found = base.resolve(location).map(|url| url.to_string());
            assert_eq!(found.as_deref(), expected, "{location:?}");
        }
    }

    #[test]
    fn parameters_are_appended_and_encoded() {
        let with = url("https://r.example/a").with("digest", "sha256:00").with("from", "a b/c&d");
        assert_eq!(with.to_string(), "https://r.example/a?digest=sha256%3A00&from=a%20b%2Fc%26d");
        assert_eq!(with.path(), "/a");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let base = url("https://r.example/v2/");
        for (other, same) in [
            ("https://r.example/other", true),
            ("https://R.example:443/", true),
            ("https://r.example:5000/", false),
            ("https://r.example.evil/", false),
            ("https://evil/r.example/", false),
        ] {
            assert_eq!(base.same_origin(&url(other)), same, "{other}");
        }
        assert!(!base.same_origin(&Url::new("http", "r.example", "/")));
        assert!(!Url::new("http", "127.0.0.1", "/").same_origin(&Url::new(
            "http",
            "127.0.0.2",
            "/"
        )));
        assert!(!Url::new("http", "[::1]", "/").same_origin(&Url::new("http", "[::2]", "/")));
    }
}
