// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Parses query strings: percent-encoded `name=value` pairs.

use oci::digest::Algorithm;

use super::error::{ApiError, Code};

/// Default and maximum number of entries per page.
const PAGE: usize = 1000;

/// Parameters in their order.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(text.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    /// Returns the first value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns all values of a parameter.
    pub(super) fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Parses `n`, the requested number of entries per page.
    pub(super) fn page_size(&self) -> Result<usize, ApiError> {
        let Some(text) = self.get("n") else { return Ok(PAGE) };
        text.parse::<usize>().map(|n| n.min(PAGE)).map_err(|_| {
            let message = format!("n={text:?}: expected a number of entries, such as 100");
            ApiError::bad_request(Code::PaginationNumberInvalid, message)
        })
    }

    /// Parses the digest algorithm of an upload; SHA-256 if absent.
    pub(super) fn digest_algorithm(&self) -> Result<Algorithm, ApiError> {
        match self.get("digest-algorithm") {
            None | Some("sha256") => Ok(Algorithm::Sha256),
            Some("sha512") => Ok(Algorithm::Sha512),
            Some(other) => {
                let message = format!("digest-algorithm={other:?}: expected sha256 or sha512");
                Err(ApiError::bad_request(Code::DigestInvalid, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded_and_may_repeat() {
        let query = Query::parse(Some("tag=a&tag=b%2Fc&digest=sha256%3Aab&x&&y=1+2"));
        assert_eq!(query.values("tag").collect::<Vec<_>>(), ["a", "b/c"]);
        assert_eq!(query.get("digest"), Some("sha256:ab"));
        assert_eq!(query.get("x"), Some(""));
        assert_eq!(query.get("y"), Some("1 2"));
        assert_eq!(query.get("absent"), None);
        assert!(Query::parse(None).get("x").is_none());
    }

    #[test]
    fn a_page_has_a_limit() {
        let size = |text: &str| Query::parse(Some(text)).page_size();
        assert_eq!(size("").unwrap(), PAGE);
        assert_eq!(size("n=0").unwrap(), 0);
        assert_eq!(size("n=7").unwrap(), 7);
        assert_eq!(size("n=999999").unwrap(), PAGE);
        assert!(size("n=-1").is_err());
        assert!(size("n=x").is_err());
    }
}
