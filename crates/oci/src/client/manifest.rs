// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Manifest and tag requests.
//!
//! OCI distribution specification 1.1, "Pulling manifests", "Pushing Manifests", "Listing Tags".

use oci_spec::image::Descriptor;
use serde::Deserialize;
use ureq::http::Method;
use ureq::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, LINK};

use super::error::ClientError;
use super::http::{Body, Request, header};
use super::url::Url;
use super::{Action, Client};
use crate::artifact;
use crate::digest::{Digest, Hasher, Mismatch};
use crate::layout::MANIFEST_LIMIT;
use crate::media_type;
use crate::reference::{Repository, Selector, Tag};

/// Maximum number of pages in a list; more indicate a loop of links.
const PAGES: usize = 10_000;
/// Maximum bytes of a list, over all pages: some hundred thousand entries.
const LIST_LIMIT: u64 = 64 * 1024 * 1024;

/// A manifest from a registry.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Media type, digest and size of `bytes`, verified or computed.
    pub descriptor: Descriptor,
    /// The manifest exactly as served, matching the digest.
    pub bytes: Vec<u8>,
}

impl Client {
    /// Fetches a manifest or index, and verifies the digest if `selector` has one.
    ///
    /// # Errors
    /// When it does not exist (status 404), or is not the requested one.
    pub fn manifest(
        &self,
        repository: &Repository,
        selector: &Selector,
    ) -> Result<Fetched, ClientError> {
        let mut request = self.manifest_request(Method::GET, repository, selector, Action::Pull);
        request.headers.push((ACCEPT, accept_header()));
        let (parts, bytes) = self.call_for_bytes(&mut request, &[200], MANIFEST_LIMIT)?;
        let announced =
            header(&parts.headers, "Docker-Content-Digest").and_then(|d| d.parse().ok());
        let expected = match selector {
            Selector::Digest(digest) => Some(digest.clone()),
            Selector::Tag(_) => announced,
        };
        let digest = match &expected {
            Some(expected) => {
                let mut hasher = Hasher::new(expected.algorithm());
                hasher.update(&bytes);
                hasher.finish()
            }
            None => Digest::sha256(&bytes),
        };
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            let mismatch = Box::new(Mismatch::Digest { expected, found: digest });
            return Err(ClientError::Content { call: request.call(), mismatch });
        }
        let media_type = media_type_of(&request, &parts.headers, &bytes)?;
        let descriptor = artifact::descriptor(&media_type, &digest, bytes.len() as u64);
        Ok(Fetched { descriptor, bytes })
    }

    /// Returns the digest of a manifest by tag or digest; `None` if it does not exist.
    pub fn head_manifest(
        &self,
        repository: &Repository,
        selector: &Selector,
    ) -> Result<Option<Digest>, ClientError> {
        let mut request = self.manifest_request(Method::HEAD, repository, selector, Action::Pull);
        request.headers.push((ACCEPT, accept_header()));
        let parts = self.call(&mut request, &[200, 404])?;
        if parts.status == 404 {
            return Ok(None);
        }
        if let Some(text) = header(&parts.headers, "Docker-Content-Digest") {
            return text
                .parse()
                .map(Some)
                .map_err(|e| request.protocol_error(format!("Docker-Content-Digest: {e}")));
        }
        // The header is optional; without it, compute the digest from the manifest.
        let fetched = self.manifest(repository, selector)?;
        Digest::try_from(fetched.descriptor.digest())
            .map(Some)
            .map_err(|e| request.protocol_error(e.to_string()))
    }

    /// Pushes a manifest or index by digest or tag. Returns true if the registry processed its
    /// `subject`.
    ///
    /// # Errors
    /// When the registry rejects it, for example because a blob is missing or the tag is immutable.
    pub fn put_manifest(
        &self,
        repository: &Repository,
        selector: &Selector,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, ClientError> {
        let mut request = self.manifest_request(Method::PUT, repository, selector, Action::Push);
        request.headers.push((CONTENT_TYPE, media_type.to_owned()));
        request.body = Body::Bytes(bytes);
        let parts = self.call(&mut request, &[201])?;
        Ok(parts.headers.contains_key("OCI-Subject"))
    }

    /// Deletes a manifest by digest, or a tag. Returns false if it did not exist.
    ///
    /// # Errors
    /// When the registry refuses; many do not support deletion.
    pub fn delete_manifest(
        &self,
        repository: &Repository,
        selector: &Selector,
    ) -> Result<bool, ClientError> {
        let mut request =
            self.manifest_request(Method::DELETE, repository, selector, Action::Delete);
        Ok(self.call(&mut request, &[202, 404])?.status != 404)
    }

    /// Lists all tags of a repository, in the registry's order.
    ///
    /// # Errors
    /// When the repository does not exist (status 404), or the list is malformed.
    pub fn tags(&self, repository: &Repository) -> Result<Vec<Tag>, ClientError> {
        #[derive(Deserialize)]
        struct Page {
            // Some registries write null for an empty list.
            tags: Option<Vec<String>>,
        }
        let mut tags = Vec::new();
        let mut request = self.request(Method::GET, repository, "tags/list", Action::Pull);
        request.url = request.url.with("n", "1000");
        self.pages(request, |request, bytes| {
            let page: Page = serde_json::from_slice(bytes).map_err(|e| {
                request.protocol_error(format!("the list of tags is malformed: {e}"))
            })?;
            for tag in page.tags.unwrap_or_default() {
                tags.push(tag.parse().map_err(|e| request.protocol_error(format!("{e}")))?);
            }
            Ok(())
        })?;
        Ok(tags)
    }

    /// Reads a paginated list (RFC 8288 links with the relation `next`).
    pub(super) fn pages(
        &self,
        mut request: Request<'_>,
        mut read: impl FnMut(&Request<'_>, &[u8]) -> Result<(), ClientError>,
    ) -> Result<(), ClientError> {
        let mut left = LIST_LIMIT;
        for _ in 0..PAGES {
            let (parts, bytes) = self.call_for_bytes(&mut request, &[200], MANIFEST_LIMIT)?;
            left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
                request.protocol_error(format!("the list has more than {LIST_LIMIT} bytes"))
            })?;
            read(&request, &bytes)?;
            match next_page(&request.url, &parts.headers) {
                // Credentials go to this registry only.
                Some(next) if next.same_origin(self.base()) && next != request.url => {
                    request.url = next;
                }
                Some(_) => {
                    return Err(request.protocol_error(
                        "the link to the next page is not another page of this registry",
                    ));
                }
                None => return Ok(()),
            }
        }
        Err(request.protocol_error(format!("the list has more than {PAGES} pages")))
    }

    fn manifest_request<'a>(
        &self,
        method: Method,
        repository: &Repository,
        selector: &Selector,
        action: Action,
    ) -> Request<'a> {
        self.request(method, repository, &format!("manifests/{selector}"), action)
    }
}

/// Value of `Accept`: a registry converts or rejects other types.
fn accept_header() -> String {
    [
        media_type::IMAGE_INDEX,
        media_type::IMAGE_MANIFEST,
        media_type::DOCKER_MANIFEST_LIST,
        media_type::DOCKER_MANIFEST,
    ]
    .join(", ")
}

/// The media type of a manifest. Header and document must agree if both have it, so that a manifest
/// can't be confused with another type ("Pulling manifests").
fn media_type_of(
    request: &Request<'_>,
    headers: &HeaderMap,
    bytes: &[u8],
) -> Result<String, ClientError> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "mediaType")]
        media_type: Option<String>,
    }
    let document: Document = serde_json::from_slice(bytes)
        .map_err(|e| request.protocol_error(format!("the manifest is malformed: {e}")))?;
    let served = header(headers, CONTENT_TYPE.as_str())
        .map(|value| value.split(';').next().unwrap_or_default().trim().to_owned());
    match (served, document.media_type) {
        (Some(served), Some(written)) if served != written => Err(request
            .protocol_error(format!("served as {served:?}, but its mediaType is {written:?}"))),
        (_, Some(media_type)) | (Some(media_type), None) => Ok(media_type),
        (None, None) => Err(request.protocol_error("the response has no Content-Type")),
    }
}

/// Parses the URL in `Link: <URL>; rel="next"`.
fn next_page(current: &Url, headers: &HeaderMap) -> Option<Url> {
    headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(|value| {
        let (target, parameters) = value.trim().strip_prefix('<')?.split_once('>')?;
        let is_next =
            parameters.split(';').any(|p| matches!(p.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| current.resolve(target)).flatten()
    })
}
