// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Parses paths of the distribution API. Repository names contain slashes, so a path is parsed from
//! its end.

use oci::digest::DigestError;
use oci::{Digest, Repository, Selector};

use super::error::{ApiError, Code};
use crate::registry::storage::UploadId;

/// An endpoint below `/v2/`, in the order of the OCI distribution specification 1.1, "Endpoints".
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// `/v2/`
    Base,
    /// `/v2/NAME/blobs/DIGEST`
    Blob(Repository, Digest),
    /// `/v2/NAME/manifests/REFERENCE`; None: not a valid reference, so no manifest has it.
    Manifest(Repository, Option<Selector>),
    /// `/v2/NAME/blobs/uploads/`
    Uploads(Repository),
    /// `/v2/NAME/blobs/uploads/ID`; None: not a valid upload id.
    Upload(Repository, Option<UploadId>),
    /// `/v2/NAME/tags/list`
    Tags(Repository),
    /// `/v2/NAME/referrers/DIGEST`
    Referrers(Repository, Digest),
    /// `/v2/_catalog`
    Catalog,
}

impl Endpoint {
    /// Parses a decoded path. None: not a path of this API.
    pub(super) fn parse(path: &str) -> Option<Result<Self, ApiError>> {
        let rest = path.strip_prefix("/v2")?;
        let rest = match rest {
            "" | "/" => return Some(Ok(Self::Base)),
            "/_catalog" => return Some(Ok(Self::Catalog)),
            rest => rest.strip_prefix('/')?,
        };
        let (before, last) = rest.rsplit_once('/')?;
        if let Some(name) = before.strip_suffix("/blobs/uploads") {
            return Some(repository(name).map(|name| match last {
                "" => Self::Uploads(name),
                id => Self::Upload(name, id.parse().ok()),
            }));
        }
        let (name, kind) = before.rsplit_once('/')?;
        let found = match (kind, last) {
            ("blobs", "uploads") => repository(name).map(Self::Uploads),
            ("blobs", text) => parse_both(name, text, Self::Blob),
            ("referrers", text) => parse_both(name, text, Self::Referrers),
            ("tags", "list") => repository(name).map(Self::Tags),
            ("manifests", text) => {
                let selector = if text.contains(':') {
                    digest(text).map(|digest| Some(Selector::Digest(digest)))
                } else {
                    Ok(text.parse().ok().map(Selector::Tag))
                };
                repository(name).and_then(|name| Ok(Self::Manifest(name, selector?)))
            }
            _ => return None,
        };
        Some(found)
    }
}

fn parse_both(
    name: &str,
    text: &str,
    make: fn(Repository, Digest) -> Endpoint,
) -> Result<Endpoint, ApiError> {
    Ok(make(repository(name)?, digest(text)?))
}

/// Parses a repository name from a path or a query.
pub(super) fn repository(name: &str) -> Result<Repository, ApiError> {
    name.parse().map_err(|e: oci::reference::ReferenceError| {
        ApiError::bad_request(Code::NameInvalid, e.to_string())
    })
}

/// Parses a digest from a path or a query.
pub(super) fn digest(text: &str) -> Result<Digest, ApiError> {
    text.parse().map_err(|e: DigestError| ApiError::bad_request(Code::DigestInvalid, e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn read(path: &str) -> Option<Endpoint> {
        Endpoint::parse(path)?.ok()
    }

    #[test]
    fn addresses_are_read_from_their_end() {
        let name = |text: &str| text.parse::<Repository>().unwrap();
        let digest: Digest = format!("sha256:{HEX}").parse().unwrap();
        let id = "0123456789abcdef0123456789abcdef";
        let tag = |text: &str| Some(Selector::Tag(text.parse().unwrap()));
        for (path, expected) in [
            ("/v2".to_owned(), Endpoint::Base),
            ("/v2/".to_owned(), Endpoint::Base),
            ("/v2/_catalog".to_owned(), Endpoint::Catalog),
            ("/v2/a/b/tags/list".to_owned(), Endpoint::Tags(name("a/b"))),
            ("/v2/a/manifests/v1".to_owned(), Endpoint::Manifest(name("a"), tag("v1"))),
            ("/v2/a/manifests/.no".to_owned(), Endpoint::Manifest(name("a"), None)),
            (
                format!("/v2/a/manifests/sha256:{HEX}"),
                Endpoint::Manifest(name("a"), Some(Selector::Digest(digest.clone()))),
            ),
            (format!("/v2/a/blobs/sha256:{HEX}"), Endpoint::Blob(name("a"), digest.clone())),
            (format!("/v2/a/referrers/sha256:{HEX}"), Endpoint::Referrers(name("a"), digest)),
            ("/v2/a/blobs/uploads/".to_owned(), Endpoint::Uploads(name("a"))),
            ("/v2/a/blobs/uploads".to_owned(), Endpoint::Uploads(name("a"))),
            (format!("/v2/a/blobs/uploads/{id}"), Endpoint::Upload(name("a"), id.parse().ok())),
            ("/v2/a/blobs/uploads/..".to_owned(), Endpoint::Upload(name("a"), None)),
            // Path components of the API are valid repository names.
            (
                "/v2/tags/blobs/manifests/list".to_owned(),
                Endpoint::Manifest(name("tags/blobs"), tag("list")),
            ),
        ] {
            assert_eq!(read(&path), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_is_no_address_or_no_name_is_refused() {
        for path in [
            "/v2/a",
            "/v2/a/b",
            "/v3/",
            "/v2x",
            "/v2/manifests/x",
            "/v2//manifests",
            "/v2/a/blobs/uploads/../x",
        ] {
            assert!(Endpoint::parse(path).is_none(), "{path}");
        }
        for path in ["/v2/../manifests/x", "/v2/A/tags/list", "/v2/a//b/tags/list", "/v2/a/blobs/x"]
        {
            assert!(matches!(Endpoint::parse(path), Some(Err(_))), "{path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "/v2/[a-z/.%_:]{0,60}") {
            let _endpoint = Endpoint::parse(&path);
        }
    }
}
