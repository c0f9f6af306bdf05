// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/v2/`: the OCI distribution API 1.1. Parses and authorizes requests and runs storage operations
//! on blocking threads.

mod blobs;
mod endpoint;
mod error;
mod lists;
mod manifests;
mod query;
mod receive;
mod uploads;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use axum::routing::any;
use oci::{Digest, Repository, Selector, Tag};
use percent_encoding::percent_decode_str;

use self::endpoint::Endpoint;
use self::error::{ApiError, Code};
use self::query::Query;
use super::access::{Action, Rules};
use super::storage::{Storage, StorageError};
use super::users::{Credentials, Users};
use crate::audit::{self, Audit, Entry};
use crate::blocking::WorkLimit;
use crate::limits;
use crate::logins::Logins;
use crate::metrics::Interface;

/// Digest of the response's content (OCI distribution specification 1.1, "Pulling manifests").
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// A registry: storage, users and access rules.
pub(crate) struct Registry {
    storage: Arc<Storage>,
    rules: Rules,
    users: RwLock<Option<Arc<Users>>>,
    logins: Arc<Logins>,
    audit: Audit,
}

impl Registry {
    /// `users`: None if no login is possible.
    pub(crate) fn new(
        storage: Arc<Storage>,
        rules: Rules,
        users: Option<Users>,
        logins: Arc<Logins>,
        audit: Audit,
    ) -> Self {
        Self { storage, rules, users: RwLock::new(users.map(Arc::new)), logins, audit }
    }

    /// Returns the users as loaded last.
    fn users(&self) -> Option<Arc<Users>> {
        self.users.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn replace_users(&self, users: Option<Users>) {
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = users.map(Arc::new);
    }

    /// Records a deletion in the audit log.
    async fn record_deletion(&self, user: Option<&str>, address: IpAddr, object: String) {
        let actor = user.map(str::to_owned);
        let (action, object) = (audit::Action::RegistryDelete, Some(object));
        self.audit.record(Entry { actor, address, action, object, detail: None }).await;
    }

    /// Router for `/v2`.
    pub(crate) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/v2", any(handle))
            .route("/v2/", any(handle))
            .route("/v2/{*path}", any(handle))
            .with_state(self)
    }

    /// Like [`router`](Self::router), for read access only.
    pub(crate) fn pull_router(self: Arc<Self>) -> Router {
        self.router().layer(middleware::from_fn(pulls_only))
    }

    /// Returns the predicate for immutable tags.
    fn immutability(&self) -> impl Fn(&Repository, &Tag) -> bool {
        |repository, tag| self.rules.is_immutable(repository, tag)
    }

    /// Runs `work` on the storage, on a thread of `lane`.
    async fn run_blocking<T: Send + 'static>(
        &self,
        limit: &'static WorkLimit,
        work: impl FnOnce(&Arc<Storage>) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let storage = Arc::clone(&self.storage);
        let done = limit.run(move || work(&storage)).await;
        Ok(done.map_err(|e| ApiError::internal(&e))??)
    }

    /// Authenticates a request. None: anonymous.
    async fn user(&self, headers: &HeaderMap, address: IpAddr) -> Result<Option<String>, ApiError> {
        let header = headers.get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
        let login = match Credentials::parse(header) {
            Credentials::None => return Ok(None),
            Credentials::Basic { user, password } => Some((user, password)),
            Credentials::Malformed => None,
        };
        // Credentials that cannot be checked are wrong, not absent.
        let Some(((user, password), users)) = login.zip(self.users()) else {
            self.logins.attempt(Interface::Registry, address)?.fail(None);
            return Err(unauthorized());
        };
        let right =
            self.logins.password(Interface::Registry, address, &users, (&user, &password)).await?;
        if right { Ok(Some(user)) } else { Err(unauthorized()) }
    }

    fn authorize(
        &self,
        user: Option<&str>,
        action: Action,
        repository: &Repository,
    ) -> Result<(), ApiError> {
        if self.rules.allow(user, action, repository) {
            Ok(())
        } else if user.is_none() {
            Err(unauthorized())
        } else {
            let message = format!("access to {repository} denied");
            Err(ApiError::new(StatusCode::FORBIDDEN, Code::Denied, message))
        }
    }

    async fn route(self: Arc<Self>, request: Request) -> Result<Response<Body>, ApiError> {
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
        let not_found =
            || ApiError::new(StatusCode::NOT_FOUND, Code::Unsupported, "not a path of this API");
        let endpoint = Endpoint::parse(&path).ok_or_else(not_found)?;
        let address = limits::address(request.extensions());
        let user = self.user(request.headers(), address).await?;
        let query = Query::parse(request.uri().query());
        let user = user.as_deref();
        let action = match *request.method() {
            Method::GET | Method::HEAD => Action::Pull,
            Method::DELETE => Action::Delete,
            _ => Action::Push,
        };
        let may = |action, name: &Repository| self.authorize(user, action, name);
        match endpoint? {
            Endpoint::Base => self.base(user),
            Endpoint::Catalog => self.catalog(request, &query, user).await,
            Endpoint::Tags(name) => {
                may(Action::Pull, &name)?;
                self.tags(request, &query, name).await
            }
            Endpoint::Referrers(name, subject) => {
                may(Action::Pull, &name)?;
                self.referrers(request, &query, name, subject).await
            }
            Endpoint::Manifest(name, selector) => {
                may(action, &name)?;
                let deletes = action == Action::Delete;
                let object = deletes.then(|| reference(&name, selector.as_ref()));
                let registry = Arc::clone(&self);
                let response = registry.manifest(request, &query, name, selector).await?;
                if let Some(object) = object {
                    self.record_deletion(user, address, object).await;
                }
                Ok(response)
            }
            Endpoint::Blob(name, digest) => {
                may(action, &name)?;
                let object = (action == Action::Delete).then(|| format!("{name}@{digest}"));
                let response = Arc::clone(&self).blob(request, name, digest).await?;
                if let Some(object) = object {
                    self.record_deletion(user, address, object).await;
                }
                Ok(response)
            }
            // Push access includes the status and the cancellation of uploads.
            Endpoint::Uploads(name) => {
                may(Action::Push, &name)?;
                self.uploads(request, &query, name, user).await
            }
            Endpoint::Upload(name, id) => {
                may(Action::Push, &name)?;
                self.upload(request, &query, name, id).await
            }
        }
    }

    /// Answers `/v2/`: states that this is a registry, and how to log in.
    fn base(&self, user: Option<&str>) -> Result<Response<Body>, ApiError> {
        if user.is_none() && !self.rules.admit_anonymous() {
            return Err(unauthorized());
        }
        let mut response = Response::new(Body::from("{}"));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if user.is_none() && self.users().is_some() {
            // Clients look for the challenge here only.
            headers.insert(header::WWW_AUTHENTICATE, CHALLENGE);
        }
        Ok(response)
    }
}

/// Formats `NAME:TAG` or `NAME@DIGEST`.
fn reference(name: &Repository, selector: Option<&Selector>) -> String {
    match selector {
        Some(Selector::Tag(tag)) => format!("{name}:{tag}"),
        Some(Selector::Digest(digest)) => format!("{name}@{digest}"),
        None => name.to_string(),
    }
}

const CHALLENGE: HeaderValue =
    HeaderValue::from_static("Basic realm=\"provisioner\", charset=\"UTF-8\"");

fn unauthorized() -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, Code::Unauthorized, "authentication required")
        .with_header(header::WWW_AUTHENTICATE, CHALLENGE)
}

async fn pulls_only(request: Request, next: Next) -> Response<Body> {
    match *request.method() {
        Method::GET | Method::HEAD => next.run(request).await,
        _ => ApiError::method("GET, HEAD").into_response(),
    }
}

/// Returns a 403 response in the format of this API.
pub(crate) fn deny(message: &str) -> Response<Body> {
    ApiError::new(StatusCode::FORBIDDEN, Code::Denied, message).into_response()
}

async fn handle(State(registry): State<Arc<Registry>>, request: Request) -> Response<Body> {
    let mut response = registry.route(request).await.unwrap_or_else(ApiError::into_response);
    response.headers_mut().insert(
        HeaderName::from_static("docker-distribution-api-version"),
        HeaderValue::from_static("registry/2.0"),
    );
    response
}

/// Returns a response without a body.
fn empty(
    status: StatusCode,
    headers: impl IntoIterator<Item = (HeaderName, String)>,
) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    insert(&mut response, headers);
    response
}

/// Adds headers whose values are names or digests, so ASCII.
fn insert(response: &mut Response<Body>, headers: impl IntoIterator<Item = (HeaderName, String)>) {
    for (name, text) in headers {
        if let Ok(value) = HeaderValue::try_from(text) {
            response.headers_mut().append(name, value);
        }
    }
}

/// Returns the entity tag: the digest, which is a strong validator.
fn etag(digest: &Digest) -> HeaderValue {
    HeaderValue::try_from(format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}
