// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/v2/NAME/tags/list`, `/v2/NAME/referrers/DIGEST` and `/v2/_catalog`: paginated lists.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, Response, header};
use oci::{Digest, Repository, media_type};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::error::ApiError;
use super::query::Query;
use super::{Registry, endpoint, insert, unauthorized};
use crate::blocking::READS;
use crate::registry::access::Action;

/// States that the `artifactType` filter was applied (OCI distribution specification 1.1, "Listing
/// Referrers").
const OCI_FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

impl Registry {
    pub(super) async fn tags(
        &self,
        request: Request,
        query: &Query,
        name: Repository,
    ) -> Result<Response<Body>, ApiError> {
        require_read(&request)?;
        let limit = query.page_size()?;
        let last = query.get("last").map(str::to_owned);
        let repository = name.clone();
        let page = self
            .run_blocking(&READS, move |store| store.tags(&repository, last.as_deref(), limit))
            .await?;
        let tags: Vec<&str> = page.items.iter().map(oci::Tag::as_str).collect();
        let mut response =
            json("application/json", &json!({ "name": name.as_str(), "tags": tags }));
        if let (true, Some(last)) = (page.more, tags.last()) {
            link(&mut response, &format!("/v2/{name}/tags/list"), limit, last, "");
        }
        Ok(response)
    }

    pub(super) async fn catalog(
        self: Arc<Self>,
        request: Request,
        query: &Query,
        user: Option<&str>,
    ) -> Result<Response<Body>, ApiError> {
        require_read(&request)?;
        if user.is_none() && !self.rules.admit_anonymous() {
            return Err(unauthorized());
        }
        let limit = query.page_size()?;
        let last = query.get("last").map(str::to_owned);
        let user = user.map(str::to_owned);
        let registry = Arc::clone(&self);
        let page = self
            .run_blocking(&READS, move |store| {
                let visible =
                    |name: &Repository| registry.rules.allow(user.as_deref(), Action::Pull, name);
                store.repositories(&visible, last.as_deref(), limit)
            })
            .await?;
        let names: Vec<&str> = page.items.iter().map(Repository::as_str).collect();
        let mut response = json("application/json", &json!({ "repositories": names }));
        if let (true, Some(last)) = (page.more, names.last()) {
            link(&mut response, "/v2/_catalog", limit, last, "");
        }
        Ok(response)
    }

    pub(super) async fn referrers(
        &self,
        request: Request,
        query: &Query,
        name: Repository,
        subject: Digest,
    ) -> Result<Response<Body>, ApiError> {
        require_read(&request)?;
        let limit = query.page_size()?;
        let wanted = query.get("artifactType").filter(|text| !text.is_empty()).map(str::to_owned);
        let last = query.get("last").map(endpoint::digest).transpose()?;
        let address = format!("/v2/{name}/referrers/{subject}");
        let filter = wanted.clone();
        let page = self
            .run_blocking(&READS, move |store| {
                store.referrers(&name, &subject, filter.as_deref(), last.as_ref(), limit)
            })
            .await?;
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::IMAGE_INDEX,
            "manifests": page.items,
        });
        let mut response = json(media_type::IMAGE_INDEX, &index);
        let mut more = String::new();
        if let Some(wanted) = wanted {
            insert(&mut response, [(OCI_FILTERS_APPLIED, "artifactType".to_owned())]);
            more = format!("&artifactType={}", utf8_percent_encode(&wanted, NON_ALPHANUMERIC));
        }
        if let (true, Some(last)) = (page.more, page.items.last()) {
            link(&mut response, &address, limit, &last.digest.to_string(), &more);
        }
        Ok(response)
    }
}

fn require_read(request: &Request) -> Result<(), ApiError> {
    match *request.method() {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(ApiError::method("GET, HEAD")),
    }
}

fn json(content_type: &'static str, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Adds the `Link` header for the next page (RFC 8288).
fn link(response: &mut Response<Body>, address: &str, limit: usize, last: &str, more: &str) {
    let last = utf8_percent_encode(last, NON_ALPHANUMERIC);
    let text = format!("<{address}?n={limit}&last={last}{more}>; rel=\"next\"");
    insert(response, [(header::LINK, text)]);
}
