// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/v2/NAME/manifests/REFERENCE`: GET, HEAD, PUT, DELETE.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Method, Response, StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use oci::{Repository, Selector, Tag};

use super::error::{ApiError, Code};
use super::query::Query;
use super::{CONTENT_DIGEST, Registry, empty, endpoint, etag, insert};
use crate::blocking::{CHANGES, READS};
use crate::file_service;
use crate::registry::storage::{Manifest, NewManifest};

/// Maximum size of a manifest in bytes: the minimum that registries must accept, and the maximum
/// that clients expect (OCI distribution specification 1.1, "Pushing Manifests").
const LARGEST: usize = 4 * 1024 * 1024;
/// Maximum tags per push.
const MOST_TAGS: usize = 64;
/// Digest of the manifest's subject; its presence states that the registry supports referrers.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
/// A tag that the push has set.
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

impl Registry {
    pub(super) async fn manifest(
        self: Arc<Self>,
        request: Request,
        query: &Query,
        name: Repository,
        selector: Option<Selector>,
    ) -> Result<Response<Body>, ApiError> {
        let method = request.method().clone();
        let Some(selector) = selector else {
            return Err(match method {
                Method::PUT => ApiError::bad_request(
                    Code::ManifestInvalid,
                    "not a tag: expected up to 128 of A-Z, a-z, 0-9, '_', '.' and '-', not starting with '.' or '-'",
                ),
                _ => ApiError::new(
                    StatusCode::NOT_FOUND,
                    Code::ManifestUnknown,
                    "not a valid tag or digest, so no manifest has it",
                ),
            });
        };
        match method {
            Method::GET | Method::HEAD => {
                self.get_manifest(request.headers(), name, selector).await
            }
            Method::PUT => self.put_manifest(request, query, name, selector).await,
            Method::DELETE => self.delete_manifest(name, selector).await,
            _ => Err(ApiError::method("GET, HEAD, PUT, DELETE")),
        }
    }

    async fn get_manifest(
        &self,
        request: &HeaderMap,
        name: Repository,
        selector: Selector,
    ) -> Result<Response<Body>, ApiError> {
        let cached = match &selector {
            Selector::Digest(digest) => self.storage.cached_manifest(&name, digest),
            Selector::Tag(_) => None,
        };
        let manifest = match cached {
            Some(manifest) => manifest,
            None => {
                self.run_blocking(&READS, move |store| store.manifest(&name, &selector)).await?
            }
        };
        Ok(answer(request, &manifest))
    }

    async fn put_manifest(
        self: Arc<Self>,
        request: Request,
        query: &Query,
        name: Repository,
        selector: Selector,
    ) -> Result<Response<Body>, ApiError> {
        let content_type = content_type(request.headers())?;
        let mut tags: Vec<Tag> = Vec::new();
        for text in query.values("tag") {
            tags.push(text.parse().map_err(|e: oci::reference::ReferenceError| {
                ApiError::bad_request(Code::ManifestInvalid, e.to_string())
            })?);
        }
        let digest = match selector {
            Selector::Digest(digest) => Some(digest),
            Selector::Tag(tag) => {
                tags.insert(0, tag);
                query.get("digest").map(endpoint::digest).transpose()?
            }
        };
        if tags.len() > MOST_TAGS {
            let message = format!("{} tags at once: expected at most {MOST_TAGS}", tags.len());
            return Err(ApiError::bad_request(Code::ManifestInvalid, message));
        }
        let content = read(request.into_body()).await?;
        let registry = Arc::clone(&self);
        let repository = name.clone();
        let set = tags.clone();
        let put = self
            .run_blocking(&CHANGES, move |store| {
                let new = NewManifest {
                    content: &content,
                    digest,
                    content_type: content_type.as_deref(),
                    tags: &set,
                    immutable: &|tag| registry.rules.is_immutable(&repository, tag),
                };
                store.put_manifest(&repository, &new)
            })
            .await?;
        let digest = put.digest.to_string();
        let mut headers = vec![
            (header::LOCATION, format!("/v2/{name}/manifests/{digest}")),
            (CONTENT_DIGEST, digest),
        ];
        headers.extend(put.subject.map(|subject| (OCI_SUBJECT, subject.to_string())));
        headers.extend(tags.into_iter().map(|tag| (OCI_TAG, tag.to_string())));
        Ok(empty(StatusCode::CREATED, headers))
    }

    async fn delete_manifest(
        self: Arc<Self>,
        name: Repository,
        selector: Selector,
    ) -> Result<Response<Body>, ApiError> {
        let registry = Arc::clone(&self);
        self.run_blocking(&CHANGES, move |store| {
            let immutable = registry.immutability();
            match &selector {
                Selector::Tag(tag) => store.delete_tag(&name, tag, &immutable),
                Selector::Digest(digest) => store.delete_manifest(&name, digest, &immutable),
            }
        })
        .await?;
        Ok(empty(StatusCode::ACCEPTED, []))
    }
}

/// Returns a manifest whatever `Accept` lists: clients report unsupported types themselves.
fn answer(request: &HeaderMap, manifest: &Manifest) -> Response<Body> {
    let etag = etag(&manifest.digest);
    let mut response = if file_service::is_current(request, &etag) {
        empty(StatusCode::NOT_MODIFIED, [])
    } else {
        let mut response = Response::new(Body::from(manifest.content.clone()));
        response.headers_mut().insert(header::CONTENT_LENGTH, manifest.content.len().into());
        insert(&mut response, [(header::CONTENT_TYPE, manifest.media_type.clone())]);
        response
    };
    insert(&mut response, [(CONTENT_DIGEST, manifest.digest.to_string())]);
    response.headers_mut().insert(header::ETAG, etag);
    response
}

/// Returns the media type without its parameters.
fn content_type(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(None) };
    let text = value.to_str().map_err(|_| {
        ApiError::bad_request(Code::ManifestInvalid, "Content-Type: expected a media type in ASCII")
    })?;
    let kind = text.split(';').next().unwrap_or_default().trim();
    Ok((!kind.is_empty()).then(|| kind.to_owned()))
}

async fn read(body: Body) -> Result<bytes::Bytes, ApiError> {
    match Limited::new(body, LARGEST).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => {
            let message = format!("a manifest has at most {LARGEST} bytes");
            Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, Code::ManifestInvalid, message))
        }
        Err(e) => Err(ApiError::incomplete(Code::ManifestInvalid, &*e)),
    }
}
