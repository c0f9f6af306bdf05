// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A registry namespace of a release: a registry and a prefix of the repository names.

use std::fmt;
use std::str::FromStr;

use crate::reference::{ReferenceError, Registry, Repository};

/// Transport of a registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Transport {
    /// TLS, but plain HTTP for loopback addresses.
    #[default]
    Usual,
    /// Plain HTTP.
    PlainHttp,
    /// TLS, for loopback addresses too.
    Tls,
}

impl Transport {
    /// Returns true if `registry` is accessed with TLS.
    pub fn is_tls(self, registry: &Registry) -> bool {
        match self {
            Self::Usual => !registry.is_loopback(),
            Self::PlainHttp => false,
            Self::Tls => true,
        }
    }
}

/// A namespace, `[http://|https://]HOST[:PORT][/PREFIX]`. The scheme overrides
/// [`Transport::Usual`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Transport of the registry.
    pub transport: Transport,
    /// The registry.
    pub registry: Registry,
    /// Prefix of all repository names.
    pub prefix: Option<Repository>,
}

impl Namespace {
    /// The repository `name` in this namespace.
    ///
    /// # Errors
    /// When the result is not a valid repository name.
    pub fn repository(&self, name: &str) -> Result<Repository, ReferenceError> {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{name}").parse(),
            None => name.parse(),
        }
    }

    /// Returns true if the registry is accessed with TLS.
    pub fn is_tls(&self) -> bool {
        self.transport.is_tls(&self.registry)
    }

    /// The text form for [`FromStr`], with the scheme if one was given.
    pub fn with_scheme(&self) -> String {
        match self.transport {
            Transport::Usual => self.to_string(),
            Transport::PlainHttp => format!("http://{self}"),
            Transport::Tls => format!("https://{self}"),
        }
    }
}

impl FromStr for Namespace {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (transport, rest) = match text.split_once("://") {
            Some(("http", rest)) => (Transport::PlainHttp, rest),
            Some(("https", rest)) => (Transport::Tls, rest),
            Some(_) => return Err(ReferenceError::Registry(text.to_owned())),
            None => (Transport::Usual, text),
        };
        let (registry, prefix) = match rest.split_once('/') {
            Some((registry, prefix)) => (registry, Some(prefix.parse()?)),
            None => (rest, None),
        };
        Ok(Self { transport, registry: registry.parse()?, prefix })
    }
}

/// The prefix of image references, `HOST[:PORT][/PREFIX]`.
impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.prefix {
            Some(prefix) => write!(f, "{}/{prefix}", self.registry),
            None => self.registry.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_below_the_prefix() {
        for (text, expected, tls) in [
            ("r.example", "tools/a", true),
            ("r.example:5000/x", "x/tools/a", true),
            ("127.0.0.1:5000/x/y", "x/y/tools/a", false),
            ("https://127.0.0.1:5000/x", "x/tools/a", true),
            ("https://r.example", "tools/a", true),
            ("http://r.example/x", "x/tools/a", false),
        ] {
            let namespace: Namespace = text.parse().unwrap();
            assert_eq!(namespace.repository("tools/a").unwrap().as_str(), expected);
            assert_eq!(namespace.is_tls(), tls, "{text}");
            assert_eq!(namespace.with_scheme(), text);
            assert!(text.ends_with(&namespace.to_string()), "{text}");
        }
        for malformed in
            ["", "r.example/", "r.example/X", "ftp://r.example/x", "r.example/x:v1", "https://"]
        {
            assert!(malformed.parse::<Namespace>().is_err(), "{malformed}");
        }
    }
}
