// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Request extractors. A malformed request gets a problem with the location and the expected form.

use std::error::Error as _;
use std::marker::PhantomData;
use std::net::IpAddr;

use axum::body::Bytes;
use axum::extract::{self, FromRef, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use super::Api;
use super::auth::{Identity, Role};
use super::problem::Problem;
use crate::audit::{Action, Entry};
use crate::jobs::model::JobId;
use crate::labels::Scope;
use crate::limits;
use crate::progress::is_stalled;

/// Maximum length of an Idempotency-Key.
const LONGEST_KEY: usize = 255;

/// Minimum role of a handler.
pub(crate) trait RequiredRole: Send {
    const ROLE: Role;
}

macro_rules! needed {
    ($($role:ident),+) => { $(
        pub(crate) struct $role;

        impl RequiredRole for $role {
            const ROLE: Role = Role::$role;
        }
    )+ };
}

needed!(Reader, Operator, Admin);

/// The caller with at least role `R`. Extracted before the body, so that unauthenticated clients
/// get no details of its validation.
pub(crate) struct Caller<R> {
    pub(crate) name: String,
    /// Servers that the caller may access.
    pub(crate) scope: Scope,
    address: IpAddr,
    role: PhantomData<R>,
}

impl<R> Caller<R> {
    /// Makes an audit log entry for an action of this caller.
    pub(super) fn entry(&self, action: Action, object: Option<String>) -> Entry {
        let (actor, address) = (Some(self.name.clone()), self.address);
        Entry { actor, address, action, object, detail: None }
    }
}

impl<S: Sync, R: RequiredRole> FromRequestParts<S> for Caller<R>
where
    Api: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let api = Api::from_ref(state);
        let address = limits::address(&parts.extensions);
        let identity = api.auth.identify(&parts.headers, address, &api.logins).await?;
        let allowed = identity.require(R::ROLE);
        let Identity { name, scope, role: _ } = identity;
        let caller = Self { name, scope, address, role: PhantomData };
        if let Err(problem) = allowed {
            let detail = Some(format!("{} needs {:?}", parts.method, R::ROLE));
            let entry = caller.entry(Action::Request, Some(parts.uri.path().to_owned()));
            api.audit.refuse(Entry { detail, ..entry });
            return Err(problem);
        }
        Ok(caller)
    }
}

/// The path parameter.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = extract::Path::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0)).map_err(|e| Problem::bad_request(format!("path: {e}")))
    }
}

/// The job id in the path. A malformed id is reported as an unknown job.
pub(crate) struct JobPath(pub(crate) JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await?;
        id.parse().map(Self).map_err(|expected| {
            Problem::not_found("job_unknown", format!("unknown job: id: {expected}"))
        })
    }
}

/// The query parameters. Unknown and repeated ones are refused.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if percent_decode_str(parts.uri.query().unwrap_or_default()).decode_utf8().is_err() {
            return Err(Problem::bad_request("query: expected UTF-8"));
        }
        match extract::Query::try_from_uri(&parts.uri) {
            Ok(extract::Query(query)) => Ok(Self(query)),
            Err(error) => {
                let place = error.source().map_or_else(|| error.to_string(), ToString::to_string);
                Err(Problem::bad_request(format!("query: {place}")))
            }
        }
    }
}

/// Maximum number of items in a reply: `USUAL`, or as requested, up to `MOST`.
#[derive(Clone, Copy)]
pub(super) struct Limit<const USUAL: u32, const MOST: u32>(u32);

impl<const USUAL: u32, const MOST: u32> Default for Limit<USUAL, MOST> {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl<'de, const USUAL: u32, const MOST: u32> Deserialize<'de> for Limit<USUAL, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = String::deserialize(deserializer)?.parse().ok();
        let limit = limit.filter(|limit| (1..=MOST).contains(limit)).map(Self);
        limit.ok_or_else(|| D::Error::custom(format_args!("expected 1 to {MOST}")))
    }
}

impl<const USUAL: u32, const MOST: u32> Limit<USUAL, MOST> {
    pub(super) fn get(self) -> u32 {
        self.0
    }

    /// Returns where the next page starts if the page of `items` is full.
    pub(super) fn next<T, K>(self, items: &[T], key: impl FnOnce(&T) -> K) -> Option<K> {
        let full = usize::try_from(self.0).is_ok_and(|limit| items.len() == limit);
        items.last().filter(|_| full).map(key)
    }
}

/// The Idempotency-Key of the request.
pub(super) struct IdempotencyKey(pub(super) Option<String>);

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get("idempotency-key") else { return Ok(Self(None)) };
        let key = value.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
        let wrong =
            || Problem::bad_request("Idempotency-Key: expected 1 to 255 characters of ASCII");
        key.map(|key| Self(Some(key.to_owned()))).ok_or_else(wrong)
    }
}

/// The request body, up to `LIMIT` bytes.
pub(super) struct RawBody<const LIMIT: usize>(pub(super) Bytes);

impl<S: Sync, const LIMIT: usize> FromRequest<S> for RawBody<LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let too_large = || {
            let message = format!("expected a request of at most {LIMIT} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
        };
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > LIMIT) {
            return Err(too_large());
        }
        match Limited::new(request.into_body(), LIMIT).collect().await {
            Ok(collected) => Ok(Self(collected.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
            Err(error) if is_stalled(&*error) => {
                let status = StatusCode::REQUEST_TIMEOUT;
                Err(Problem::new(status, "timeout", "the request body stalled"))
            }
            Err(error) => Err(Problem::bad_request(format!("incomplete request body: {error}"))),
        }
    }
}

impl<const LIMIT: usize> RawBody<LIMIT> {
    /// Parses JSON. Errors contain the location, never the content.
    pub(super) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        serde_json::from_slice(&self.0).map_err(|error| {
            let what = match error.classify() {
                serde_json::error::Category::Data => {
                    "a field is missing, unknown or of the wrong type"
                }
                _ => "the request is not JSON",
            };
            let place = format!("line {}, column {}", error.line(), error.column());
            Problem::bad_request(format!("{what}: {place}; see /api/v1/openapi.json"))
        })
    }
}
