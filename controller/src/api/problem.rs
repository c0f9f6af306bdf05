// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Error replies: a status, a stable code, a message and optional details.
//! `{"error":"server_unknown","message":"…","step":"validation.server","details":[…]}`.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;

use super::reply::Json;
use super::views::{self, Detail};
use crate::database::DatabaseError;
use crate::jobs::model::{JobId, Step};
use crate::jobs::store::StoreError;
use crate::limits::RateLimited;

/// `Retry-After` in seconds for transient failures.
const RETRY_AFTER: &str = "5";

/// An error reply.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    body: Box<views::Problem>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// `code` is part of the API: its meaning never changes.
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl std::fmt::Display,
    ) -> Self {
        let body = Box::new(views::Problem {
            error: code.into(),
            message: message.to_string(),
            step: None,
            job_id: None,
            details: Vec::new(),
        });
        Self { status, body, headers: Vec::new() }
    }

    /// The request is malformed.
    pub(crate) fn bad_request(message: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", message)
    }

    /// The resource does not exist.
    pub(crate) fn not_found(code: &'static str, message: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// Internal failure, such as a panicked task.
    pub(crate) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        let message = "internal error, see the log of the controller";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The request is invalid.
    pub(crate) fn validation(message: impl std::fmt::Display, details: Vec<Detail>) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, "validation_error", message);
        problem.body.details = details;
        problem
    }

    /// The recipe is invalid.
    pub(crate) fn recipe(error: recipe::ValidationError) -> Self {
        let details = error.details.into_iter();
        let details = details.map(|fault| Detail::new(fault.path, fault.code, fault.message));
        Self::validation(error.message, details.collect()).step(&Step::ValidationSchema)
    }

    fn step(mut self, step: &Step) -> Self {
        self.body.step = Some(step.to_string());
        self
    }

    fn job(mut self, job: JobId) -> Self {
        self.body.job_id = Some(job);
        self
    }

    /// Adds a header to the reply.
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    fn with_retry_after(self) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER))
    }
}

impl From<RateLimited> for Problem {
    fn from(exhausted: RateLimited) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "retry later")
            .header(header::RETRY_AFTER, HeaderValue::from(exhausted.seconds()))
    }
}

impl From<DatabaseError> for Problem {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Full => Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", error),
            DatabaseError::Locked => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "database_locked", error)
                    .with_retry_after()
            }
            DatabaseError::Newer { .. } | DatabaseError::Key(_) | DatabaseError::Other(_) => {
                Self::internal(&error)
            }
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::NoJob => Self::not_found("job_unknown", error),
            StoreError::NoServer(_) => {
                Self::not_found("server_unknown", error).step(&Step::ValidationServer)
            }
            StoreError::Active { job, .. } => Self::new(StatusCode::CONFLICT, "active_job", &error)
                .step(&Step::ConflictActiveJob)
                .job(*job),
            StoreError::Operating { .. } => {
                Self::new(StatusCode::CONFLICT, "active_operation", error)
            }
            StoreError::OtherGroup(_) => Self::new(StatusCode::FORBIDDEN, "forbidden", error),
            StoreError::State(_) => Self::new(StatusCode::CONFLICT, "job_state", error),
            StoreError::KeyReused => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", error)
            }
            StoreError::Lost => Self::internal(&error),
            StoreError::Database(error) => error.clone().into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let mut response = Json(self.status, self.body).into_response();
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

/// Reply for paths without a route.
pub(crate) async fn no_such_address() -> Problem {
    Problem::not_found("not_found", "no such path")
}

/// Reply for unsupported methods; the router adds `Allow`.
pub(crate) async fn wrong_method() -> Problem {
    let message = "method not allowed";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
