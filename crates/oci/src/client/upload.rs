// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Blob uploads: cross-repository mounts, monolithic and chunked uploads that resume after
//! failures.
//!
//! OCI distribution specification 1.1, "Pushing Blobs" and "Mounting a blob from another repository".

use ureq::http::Method;
use ureq::http::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, LOCATION, RANGE};

use super::auth::Scope;
use super::error::ClientError;
use super::http::{Body, Request, Source, header};
use super::url::Url;
use super::{Action, Client};
use crate::digest::Digest;
use crate::reference::Repository;

/// Maximum size of a monolithic upload: two requests instead of three, and little to resend after a
/// failure.
const WHOLE: u64 = 4 * 1024 * 1024;
/// Bytes transferred between two failures that reset the failure count.
const PROGRESS: u64 = 1024 * 1024;

/// Result of a blob push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// The repository already had the blob.
    Present,
    /// The registry mounted it from another repository.
    Mounted,
    /// The blob was uploaded.
    Uploaded,
}

/// The blob of an upload.
struct Upload<'a> {
    repository: &'a Repository,
    digest: &'a Digest,
    size: u64,
    source: &'a mut dyn Source,
}

/// State of an upload session: URL and offset.
struct Session {
    url: Url,
    offset: u64,
    /// Minimum chunk size (`OCI-Chunk-Min-Length`), except for the last chunk.
    minimum: u64,
}

impl Client {
    /// Pushes a blob of `size` bytes to a repository, unless it exists there. `mount_from` names a
    /// repository of the same registry to mount it from.
    ///
    /// # Errors
    /// When the registry rejects it, `source` can't be read, or retries are exhausted.
    pub fn push_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        size: u64,
        mount_from: Option<&Repository>,
        source: &mut dyn Source,
    ) -> Result<Pushed, ClientError> {
        if self.has_blob(repository, digest)? {
            return Ok(Pushed::Present);
        }
        let Some(mut session) = self.begin(repository, mount_from.map(|from| (digest, from)))?
        else {
            return Ok(Pushed::Mounted);
        };
        let mut upload = Upload { repository, digest, size, source };
        let (mut failures, mut failed_at) = (0, 0);
        loop {
            let error = match self.advance(&mut upload, &mut session) {
                Ok(true) => return Ok(Pushed::Uploaded),
                Ok(false) => continue,
                // 404: the upload session is gone. 416: the chunks are out of order.
                Err(e) if e.is_transient() || matches!(e.status(), Some(404 | 416)) => e,
                Err(e) => return Err(e),
            };
            if session.offset >= failed_at + PROGRESS {
                failures = 0;
            }
            failures += 1;
            self.pause(failures, error)?;
            match self.resume(&upload, session)? {
                Some(resumed) => session = resumed,
                None => return Ok(Pushed::Uploaded),
            }
            failed_at = session.offset;
        }
    }

    /// Checks push permission for a repository: starts an upload session and cancels it.
    ///
    /// # Errors
    /// When the registry rejects it.
    pub fn check_push(&self, repository: &Repository) -> Result<(), ClientError> {
        let Some(session) = self.begin(repository, None)? else { return Ok(()) };
        let mut request = Request {
            method: Method::DELETE,
            url: session.url,
            headers: Vec::new(),
            body: Body::None,
            scope: Action::Push.scope_for(repository),
            deadline: self.deadline(),
        };
        match self.call(&mut request, &[200, 202, 204]) {
            // Registries that can't cancel an upload drop it after some time.
            Ok(_) | Err(ClientError::Status { status: 400..=499, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Starts an upload session; returns `None` if the registry mounted the blob.
    fn begin(
        &self,
        repository: &Repository,
        mount: Option<(&Digest, &Repository)>,
    ) -> Result<Option<Session>, ClientError> {
        let mut request = self.request(Method::POST, repository, "blobs/uploads/", Action::Push);
        request.body = Body::Bytes(&[]);
        if let Some((digest, from)) = mount {
            let digest = digest.to_string();
            request.url = request.url.with("mount", &digest).with("from", from.as_str());
            let Scope(scopes) = Action::Pull.scope_for(from);
            request.scope.0.extend(scopes);
        }
        let parts = self.call(&mut request, &[201, 202])?;
        if parts.status == 201 {
            return Ok(None);
        }
        let url = location(&request, &parts.headers)?;
        let minimum = header(&parts.headers, "OCI-Chunk-Min-Length").and_then(|n| n.parse().ok());
        Ok(Some(Session { url, offset: 0, minimum: minimum.unwrap_or(0) }))
    }

    /// Sends the next request of an upload. Returns true if it was the last.
    fn advance(&self, upload: &mut Upload<'_>, session: &mut Session) -> Result<bool, ClientError> {
        let rest = upload.size.saturating_sub(session.offset);
        let mut request = Request {
            method: Method::PUT,
            url: session.url.clone(),
            headers: vec![(CONTENT_TYPE, "application/octet-stream".to_owned())],
            body: Body::Bytes(&[]),
            scope: Action::Push.scope_for(upload.repository),
            deadline: None,
        };
        let whole = session.offset == 0 && upload.size <= WHOLE;
        if whole || rest == 0 {
            request.url = session.url.with("digest", &upload.digest.to_string());
            if rest > 0 {
                request.body = Body::Stream { source: upload.source, start: 0, length: rest };
            }
            self.call_once(&mut request, &[201])?;
            return Ok(true);
        }
        let length =
            self.options().chunk.map_or(rest, |chunk| rest.min(chunk.max(session.minimum).max(1)));
        let end = session.offset + length;
        request.method = Method::PATCH;
        // `Content-Range` has no unit here (the same specification, "Pushing a blob in chunks").
        request.headers.push((CONTENT_RANGE, format!("{}-{}", session.offset, end - 1)));
        request.body = Body::Stream { source: upload.source, start: session.offset, length };
        let response = self.call_once(&mut request, &[202])?;
        session.url = location(&request, response.headers())?;
        session.offset = end;
        Ok(false)
    }

    /// Queries the offset of an interrupted upload. Returns `None` if the blob is complete.
    fn resume(
        &self,
        upload: &Upload<'_>,
        session: Session,
    ) -> Result<Option<Session>, ClientError> {
        // Only the response to the last request may have been lost.
        if self.has_blob(upload.repository, upload.digest)? {
            return Ok(None);
        }
        let mut request = Request {
            method: Method::GET,
            url: session.url.clone(),
            headers: Vec::new(),
            body: Body::None,
            scope: Action::Push.scope_for(upload.repository),
            deadline: self.deadline(),
        };
        match self.call(&mut request, &[204]) {
            Ok(parts) => {
                // `0-0` means one byte or, in some registries, none: start a new upload.
                let last = header(&parts.headers, RANGE.as_str())
                    .and_then(|range| {
                        range.trim_start_matches("bytes=").strip_prefix("0-")?.parse::<u64>().ok()
                    })
                    .filter(|last| *last > 0 && *last < upload.size);
                if let Some(last) = last {
                    let url = location(&request, &parts.headers).unwrap_or(session.url);
                    return Ok(Some(Session { url, offset: last + 1, minimum: session.minimum }));
                }
            }
            // For any other error, try a new upload.
            Err(ClientError::Status { .. }) => {}
            Err(e) => return Err(e),
        }
        self.begin(upload.repository, None)
    }
}

fn location(request: &Request<'_>, headers: &HeaderMap) -> Result<Url, ClientError> {
    header(headers, LOCATION.as_str())
        .and_then(|location| request.url.resolve(location))
        .ok_or_else(|| request.protocol_error("the response has no valid Location"))
}
