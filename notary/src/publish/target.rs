// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Where a release is published: a registry, and what stands in front of every repository's name.

use std::fmt;
use std::str::FromStr;

use oci::reference::ReferenceError;
use oci::{Registry, Repository};

/// `REGISTRY[:PORT][/PREFIX]`.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(super) registry: Registry,
    prefix: Option<Repository>,
}

impl Target {
    /// The repository that `name` has there.
    pub(super) fn repository(&self, name: &str) -> Result<Repository, ReferenceError> {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{name}").parse(),
            None => name.parse(),
        }
    }
}

impl FromStr for Target {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let (registry, prefix) = match text.split_once('/') {
            Some((registry, prefix)) => (registry, Some(prefix.parse()?)),
            None => (text, None),
        };
        Ok(Self { registry: registry.parse()?, prefix })
    }
}

impl fmt::Display for Target {
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
    fn repositories_lie_below_the_prefix() {
        for (target, expected) in [
            ("r.example", "tools/a"),
            ("r.example:5000/x", "x/tools/a"),
            ("127.0.0.1:5000/x/y", "x/y/tools/a"),
        ] {
            let target: Target = target.parse().unwrap();
            assert_eq!(target.repository("tools/a").unwrap().as_str(), expected);
        }
        for malformed in ["", "r.example/", "r.example/X", "https://r.example/x", "r.example/x:v1"]
        {
            assert!(malformed.parse::<Target>().is_err(), "{malformed}");
        }
    }
}
