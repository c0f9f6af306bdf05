// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! URIs by RFC 3986, for `"format": "uri"`, and their redaction for logs.

use fluent_uri::Uri;

/// Whether `text` is a URI with a scheme.
pub(crate) fn is_uri(text: &str) -> bool {
    Uri::parse(text).is_ok()
}

/// Whether `text` is an http or https URL with a host, and with a valid port if it has one.
pub(crate) fn is_http(text: &str) -> bool {
    let Ok(uri) = Uri::parse(text) else { return false };
    let Some(authority) = uri.authority() else { return false };
    let scheme = uri.scheme().as_str();
    let is_http = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    let has_port = matches!(authority.port_to_u16(), Ok(None | Some(1..)));
    is_http && !authority.host().is_empty() && has_port
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
