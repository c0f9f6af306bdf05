// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The address of a BMC, parsed once at the edge: scheme, host, port and, behind a proxy, a path prefix.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;

use crate::error::{Error, Result};

/// Suffixes that users paste after the host: the service root (DSP0266, section 6.4) or a part of
/// it.
const SERVICE_ROOT: [&str; 2] = ["/redfish/v1", "/redfish"];

/// An address such as `https://192.0.2.7:8443` or `https://proxy.example/bmc7`. The default scheme
/// is https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    origin: Uri,
    /// Empty, or `/` and segments without a trailing slash.
    prefix: String,
}

impl Address {
    /// `https` or `http`, host and port, without a path.
    pub fn origin(&self) -> &Uri {
        &self.origin
    }

    /// The URL of a path from the BMC. A proxy may have added its prefix already.
    pub(crate) fn url(&self, path: &str) -> Option<Uri> {
        let rest = path.strip_prefix(self.prefix.as_str());
        let prefixed = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let whole = if prefixed { path.to_owned() } else { format!("{}{path}", self.prefix) };
        let mut parts = self.origin.clone().into_parts();
        parts.path_and_query = Some(whole.parse().ok().filter(|_| path.starts_with('/'))?);
        Uri::from_parts(parts).ok()
    }

    /// The path of `link`, which is a path or a URL of the same host.
    pub(crate) fn local(&self, link: &str) -> Option<String> {
        if link.starts_with('/') && !link.starts_with("//") {
            return Some(link.to_owned());
        }
        let uri: Uri = link.parse().ok()?;
        let same = uri.scheme() == self.origin.scheme()
            && uri.host()?.eq_ignore_ascii_case(self.origin.host()?)
            && uri.port_u16() == self.origin.port_u16();
        same.then(|| uri.path_and_query().map(ToString::to_string))?
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            |reason: &str| Error::Address { address: text.to_owned(), reason: reason.to_owned() };
        let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
        let uri = fluent_uri::Uri::parse(whole.as_str()).map_err(|_| wrong("it is not a URL"))?;
        let scheme = uri.scheme().as_str().to_ascii_lowercase();
        if !matches!(scheme.as_str(), "https" | "http") {
            return Err(wrong("the scheme must be https or http"));
        }
        let authority = uri.authority().ok_or_else(|| wrong("the host is missing"))?;
        if authority.has_userinfo() {
            return Err(wrong("user and password must not be part of it"));
        }
        if authority.host().is_empty() {
            return Err(wrong("the host is missing"));
        }
        if !matches!(authority.port_to_u16(), Ok(None | Some(1..))) {
            return Err(wrong("the port must be a number from 1 to 65535"));
        }
        if uri.has_query() || uri.has_fragment() {
            return Err(wrong("it must not have a query or a fragment"));
        }
        let path = uri.path().as_str().trim_end_matches('/');
        if path.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(wrong("the path must not have `.` or `..` in it"));
        }
        let prefix = SERVICE_ROOT.iter().find_map(|root| path.strip_suffix(root)).unwrap_or(path);
        // An empty port means the default port; hyper refuses to connect to it.
        let host = authority.as_str().trim_end_matches(':');
        let origin = format!("{scheme}://{host}").parse().map_err(|_| wrong("it is not a URL"))?;
        Ok(Self { origin, prefix: prefix.to_owned() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin.to_string().trim_end_matches('/'), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_normalised() {
        for (text, normal) in [
            ("bmc", "https://bmc"),
            ("192.0.2.7:8443", "https://192.0.2.7:8443"),
            ("HTTPS://bmc/", "https://bmc"),
            ("http://[::1]:80", "http://[::1]:80"),
            ("https://bmc:/", "https://bmc"),
            ("https://bmc/redfish/v1/", "https://bmc"),
            ("https://bmc/redfish", "https://bmc"),
            ("https://proxy/bmc7", "https://proxy/bmc7"),
            ("https://proxy/a/bmc7/redfish/v1", "https://proxy/a/bmc7"),
        ] {
            assert_eq!(address(text).to_string(), normal, "{text}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for bad in [
            "",
            "ftp://bmc",
            "https://",
            "https://u:p@bmc",
            "bmc?x",
            "bmc#x",
            "a b",
            "https://bmc:99999",
            "https://bmc:-1",
            "https://bmc:0",
            "https://[]",
            "https://bmc/../x",
            "https://bmc:65536/x",
        ] {
            let result = bad.parse::<Address>();
            assert!(matches!(result, Err(Error::Address { .. })), "{bad}: {result:?}");
        }
    }

    #[test]
    fn paths_get_the_prefix_once() {
        let plain = address("https://bmc");
        assert_eq!(plain.url("/redfish/v1/").unwrap(), "https://bmc/redfish/v1/");
        assert_eq!(plain.url("redfish"), None);
        let behind = address("https://proxy/bmc7");
        let root = "https://proxy/bmc7/redfish/v1/";
        assert_eq!(behind.url("/redfish/v1/").unwrap(), root);
        assert_eq!(behind.url("/bmc7/redfish/v1/").unwrap(), root);
        assert_eq!(behind.url("/bmc77/x").unwrap(), "https://proxy/bmc7/bmc77/x");
    }

    #[test]
    fn links_stay_on_the_host() {
        let own = address("https://bmc:8443");
        assert_eq!(own.local("/redfish/v1/x").as_deref(), Some("/redfish/v1/x"));
        assert_eq!(own.local("https://BMC:8443/x?y").as_deref(), Some("/x?y"));
        for other in ["https://bmc/x", "http://bmc:8443/x", "https://evil:8443/x", "//evil/x", "x"]
        {
            assert_eq!(own.local(other), None, "{other}");
        }
    }
}
