// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Answers GET and HEAD with a file or ranges of it.
//!
//! Serves registry blobs and virtual media images: RFC 9110, section 13 (conditional requests) and
//! section 14 (ranges).

mod body;
mod condition;
mod handover;
mod range;
mod socket;

use std::fs::File;
use std::sync::Arc;
use std::time::SystemTime;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, Request, Response, StatusCode, header};

use body::FileBody;
use condition::Verdict;
pub(crate) use condition::is_current;
pub(crate) use handover::Handover;
use range::RequestedRange;
pub(crate) use socket::Socket;

/// Parses the `Range` header for a file of `size` bytes.
#[cfg(fuzzing)]
pub fn ranges(header: &[u8], size: u64) -> Option<Vec<std::ops::Range<u64>>> {
    let header = HeaderValue::from_bytes(header).ok()?;
    let headers = std::iter::once((header::RANGE, header)).collect();
    match range::evaluate(&headers, &HeaderValue::from_static("\"x\""), None, size) {
        RequestedRange::Whole | RequestedRange::Unsatisfiable => None,
        RequestedRange::One(range) => Some(vec![range]),
        RequestedRange::Several(ranges) => {
            let kind = HeaderValue::from_static("application/octet-stream");
            drop(range::multipart(&ranges, size, &kind));
            Some(ranges)
        }
    }
}

/// A file and its metadata for clients.
#[derive(Debug)]
pub(crate) struct ServedFile {
    /// Content; immutable as long as `etag` is the same.
    pub(crate) pieces: Vec<Piece>,
    /// Media type.
    pub(crate) content_type: HeaderValue,
    /// Strong entity tag, with quotes.
    pub(crate) etag: HeaderValue,
    /// Modification time; None if the file has only its time of arrival.
    pub(crate) modified: Option<SystemTime>,
}

/// A piece of a served file.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// A file and its size in bytes.
    File(Arc<File>, u64),
    /// Bytes between files.
    Memory(Bytes),
}

impl Piece {
    /// Returns the length in bytes.
    pub(crate) fn length(&self) -> u64 {
        match self {
            Self::File(_, length) => *length,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }
}

/// Answers a request for `served`. Uses the [`Handover`] in the request's extensions if there is
/// one.
pub(crate) fn respond<B>(request: &Request<B>, served: ServedFile) -> Response<Body> {
    let ServedFile { pieces, content_type, etag, modified } = served;
    let size = pieces.iter().map(Piece::length).sum();
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, etag.clone());
    if let Some(modified) = modified {
        headers.insert(header::LAST_MODIFIED, value(httpdate::fmt_http_date(modified)));
    }
    match condition::check(request.headers(), &etag, modified) {
        Verdict::Proceed => {}
        Verdict::NotModified => {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        Verdict::Failed => {
            *response.status_mut() = StatusCode::PRECONDITION_FAILED;
            return response;
        }
    }
    let wanted = range::evaluate(request.headers(), &etag, modified, size);
    let (status, content_type, parts) = match wanted {
        RequestedRange::Unsatisfiable => {
            headers.insert(header::CONTENT_RANGE, value(format!("bytes */{size}")));
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return response;
        }
        RequestedRange::Whole => (StatusCode::OK, content_type, range::whole_file(size)),
        RequestedRange::One(part) => {
            let text = format!("bytes {}-{}/{size}", part.start, part.end - 1);
            headers.insert(header::CONTENT_RANGE, value(text));
            (StatusCode::PARTIAL_CONTENT, content_type, vec![part.into()])
        }
        RequestedRange::Several(ranges) => {
            let multipart = range::multipart(&ranges, size, &content_type);
            (StatusCode::PARTIAL_CONTENT, multipart.content_type, multipart.parts)
        }
    };
    let length: u64 = parts.iter().map(body::Part::length).sum();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CONTENT_LENGTH, length.into());
    *response.status_mut() = status;
    if request.method() != Method::HEAD {
        let handover = request.extensions().get().cloned();
        *response.body_mut() = Body::new(FileBody::new(&pieces, parts, length, handover));
    }
    response
}

/// Makes a header value of digits and ASCII text.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
