// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Error responses of the distribution API: a status and `{"errors":[{code, message, detail}]}`.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use oci::Digest;
use serde::Serialize;
use serde_json::{Value, json};

use crate::limits::RateLimited;
use crate::progress::is_stalled;
use crate::registry::storage::StorageError;

/// Codes of the OCI distribution specification 1.1, "Error Codes", and three that Docker added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Code {
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameInvalid,
    NameUnknown,
    SizeInvalid,
    Unauthorized,
    Denied,
    Unsupported,
    PaginationNumberInvalid,
    #[serde(rename = "TOOMANYREQUESTS")]
    TooManyRequests,
    Unavailable,
    Unknown,
}

/// An error response.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    errors: Vec<(Code, String, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ApiError {
    /// Returns a response with one error.
    pub(super) fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { status, errors: vec![(code, message.into(), Value::Null)], headers: Vec::new() }
    }

    /// Adds a header to the response.
    #[must_use]
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Returns a 400 response.
    pub(super) fn bad_request(code: Code, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// Returns the response to an incomplete body: 408 if the client stalled.
    pub(super) fn incomplete(code: Code, error: &(dyn std::error::Error + 'static)) -> Self {
        let status =
            if is_stalled(error) { StatusCode::REQUEST_TIMEOUT } else { StatusCode::BAD_REQUEST };
        Self::new(status, code, format!("incomplete request body: {error}"))
    }

    /// Returns a 405 response with the allowed methods.
    pub(super) fn method(allowed: &'static str) -> Self {
        let message = format!("method not allowed: expected {allowed}");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported, message)
            .with_header(header::ALLOW, HeaderValue::from_static(allowed))
    }

    /// Returns the response to an internal failure, such as a panicked task.
    pub(super) fn internal(error: &dyn std::fmt::Display) -> Self {
        tracing::error!(%error, "request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Unknown, "internal error, see the log")
    }
}

/// `Retry-After` in seconds for a busy upload.
const UPLOAD_RETRY: u64 = 5;
/// `Retry-After` in seconds for a change blocked by garbage collection.
const COLLECTION_RETRY: u64 = 30;

impl From<RateLimited> for ApiError {
    fn from(exhausted: RateLimited) -> Self {
        let message = "too many failed logins from this address";
        Self::new(StatusCode::TOO_MANY_REQUESTS, Code::TooManyRequests, message)
            .with_header(header::RETRY_AFTER, HeaderValue::from(exhausted.seconds()))
    }
}

impl From<StorageError> for ApiError {
    fn from(error: StorageError) -> Self {
        let (status, code) = match &error {
            StorageError::RepositoryUnknown(_) => (StatusCode::NOT_FOUND, Code::NameUnknown),
            StorageError::BlobUnknown(_) => (StatusCode::NOT_FOUND, Code::BlobUnknown),
            StorageError::ManifestUnknown(_) => (StatusCode::NOT_FOUND, Code::ManifestUnknown),
            StorageError::UploadUnknown(_) => (StatusCode::NOT_FOUND, Code::BlobUploadUnknown),
            StorageError::ManifestInvalid(_) => (StatusCode::BAD_REQUEST, Code::ManifestInvalid),
            StorageError::DigestMismatch { .. } => (StatusCode::BAD_REQUEST, Code::DigestInvalid),
            StorageError::OutOfOrder { .. } => {
                (StatusCode::RANGE_NOT_SATISFIABLE, Code::BlobUploadInvalid)
            }
            StorageError::TagImmutable(_) | StorageError::Protected { .. } => {
                (StatusCode::FORBIDDEN, Code::Denied)
            }
            StorageError::UploadBusy(_) => {
                return Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    Code::TooManyRequests,
                    error.to_string(),
                )
                .with_header(header::RETRY_AFTER, HeaderValue::from(UPLOAD_RETRY));
            }
            StorageError::Collecting => {
                return Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    Code::Unavailable,
                    error.to_string(),
                )
                .with_header(header::RETRY_AFTER, HeaderValue::from(COLLECTION_RETRY));
            }
            StorageError::ReferencesUnknown(missing) => return references_unknown(missing),
            StorageError::File(file) if file.is_full() => {
                tracing::error!(%error, "disk full");
                let message = "the registry's disk is full";
                return Self::new(StatusCode::INSUFFICIENT_STORAGE, Code::Unknown, message);
            }
            // Server paths belong in the log, not in a response.
            StorageError::InUse(_)
            | StorageError::NoRegistry(_)
            | StorageError::Layout { .. }
            | StorageError::Damaged(_)
            | StorageError::File(_) => {
                return Self::internal(&error);
            }
        };
        Self::new(status, code, error.to_string())
    }
}

fn references_unknown(missing: &[Digest]) -> ApiError {
    let error = |digest: &Digest| {
        let message = format!("{digest} is not in this repository: push it first");
        (Code::ManifestBlobUnknown, message, json!({ "digest": digest.to_string() }))
    };
    ApiError {
        status: StatusCode::NOT_FOUND,
        errors: missing.iter().map(error).collect(),
        headers: Vec::new(),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let errors = self.errors.into_iter().map(
            |(code, message, detail)| json!({ "code": code, "message": message, "detail": detail }),
        );
        let errors: Vec<_> = errors.collect();
        let body = json!({ "errors": errors }).to_string();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response.headers_mut().extend(self.headers);
        response
    }
}
