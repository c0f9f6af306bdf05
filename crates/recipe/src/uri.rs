// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! URIs by RFC 3986, for `"format": "uri"`, and their redaction for logs.

use std::sync::LazyLock;

use regex_lite::Regex;

/// RFC 3986, appendix A: scheme, then authority component and path, or a path alone, query,
/// fragment. [`is_uri`] checks a host in brackets.
static URI: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const PCHAR: &str = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})";
    const USER: &str = r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})*";
    const NAME: &str = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*";
    let query = format!("(?:{PCHAR}|[/?])*");
    Regex::new(&format!(
        r"^[A-Za-z][A-Za-z0-9+.-]*:(?://(?:{USER}@)?(?:\[(?<ip>[^\]]*)\]|{NAME})(?::[0-9]*)?(?:/{PCHAR}*)*|/(?:{PCHAR}+(?:/{PCHAR}*)*)?|{PCHAR}+(?:/{PCHAR}*)*|)(?:\?{query})?(?:#{query})?$"
    ))
    .ok()
});

/// A future address literal: `v1.name`.
static IP_FUTURE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^[vV][0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+$").ok());

/// Whether `text` is a URI with a scheme.
pub(crate) fn is_uri(text: &str) -> bool {
    let Some(found) = URI.as_ref().and_then(|uri| uri.captures(text)) else { return false };
    found.name("ip").is_none_or(|ip| {
        ip.as_str().parse::<std::net::Ipv6Addr>().is_ok()
            || IP_FUTURE.as_ref().is_some_and(|future| future.is_match(ip.as_str()))
    })
}

/// Whether `text` is an http or https URL with a host, and with a valid port if it has one.
pub(crate) fn is_http(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let is_http = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (name, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((name, rest)) => (name, rest.strip_prefix(':').unwrap_or_default()),
        None => host.split_once(':').unwrap_or((host, "")),
    };
    // An empty port is the default (RFC 3986, section 3.2.3).
    is_http && !name.is_empty() && (port.is_empty() || is_port(port)) && is_uri(text)
}

/// Whether `text` is the number of a TCP port, 1 to 65535.
pub(crate) fn is_port(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// `text` without user part, query and fragment, which may contain secrets.
pub(crate) fn redact(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (shown, _) = text.split_at(end);
    let Some((scheme, rest)) = shown.split_once("://") else { return shown.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// Whether `text` contains a user name or a password.
pub(crate) fn has_credentials(text: &str) -> bool {
    text.split_once("://")
        .and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
        .is_some_and(|authority| authority.contains('@'))
}
