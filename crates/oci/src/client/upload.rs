// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Blobs to a registry: mounted, sent whole, or sent in pieces that go on after a broken connection.
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

/// Up to this size a blob is sent whole with the call that ends the upload: two calls instead of three,
/// and little to send again after a failure.
const WHOLE: u64 = 4 * 1024 * 1024;
/// So many bytes between two failures are progress: the count of failures starts anew.
const PROGRESS: u64 = 1024 * 1024;

/// What it took to get a blob into a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// Nothing: it was there.
    Present,
    /// The registry took it from another of its repositories.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// A blob on its way, as it is known to both sides.
struct Upload<'a> {
    repository: &'a Repository,
    digest: &'a Digest,
    size: u64,
    source: &'a mut dyn Source,
}

/// Where the registry takes the rest of an upload, and how much it has.
struct Session {
    url: Url,
    offset: u64,
    /// The smallest piece that it takes, except for the last.
    minimum: u64,
}

impl Client {
    /// Puts a blob of `size` bytes into a repository, unless it is there. `mount_from` names a
    /// repository of the same registry that may hold it.
    ///
    /// # Errors
    /// When the registry refuses it, `source` can't be read, or the failures last longer than the
    /// policy allows.
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
                // 404: the upload is not known any more. 416: the pieces don't follow one another.
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

    /// Starts an upload, or has the registry mount the blob: then there is no session.
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
            let Scope(scopes) = Action::Pull.on(from);
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

    /// Makes the next call of an upload. Answers whether it was the last.
    fn advance(&self, upload: &mut Upload<'_>, session: &mut Session) -> Result<bool, ClientError> {
        let rest = upload.size.saturating_sub(session.offset);
        let mut request = Request {
            method: Method::PUT,
            url: session.url.clone(),
            headers: vec![(CONTENT_TYPE, "application/octet-stream".to_owned())],
            body: Body::Bytes(&[]),
            scope: Action::Push.on(upload.repository),
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
        // The form of this header has no unit here (the same specification, "Pushing a blob in chunks").
        request.headers.push((CONTENT_RANGE, format!("{}-{}", session.offset, end - 1)));
        request.body = Body::Stream { source: upload.source, start: session.offset, length };
        let response = self.call_once(&mut request, &[202])?;
        session.url = location(&request, response.headers())?;
        session.offset = end;
        Ok(false)
    }

    /// Finds out how far a broken upload got. `None` when the blob is complete after all.
    fn resume(
        &self,
        upload: &Upload<'_>,
        session: Session,
    ) -> Result<Option<Session>, ClientError> {
        // The answer to the last call may be what got lost.
        if self.has_blob(upload.repository, upload.digest)? {
            return Ok(None);
        }
        let mut request = Request {
            method: Method::GET,
            url: session.url.clone(),
            headers: Vec::new(),
            body: Body::None,
            scope: Action::Push.on(upload.repository),
        };
        match self.call(&mut request, &[204]) {
            Ok(parts) => {
                // `0-0` stands for one byte and, in some registries, for none: nothing is lost by starting anew.
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
            // Whatever is wrong with this upload, another one may work.
            Err(ClientError::Status { .. }) => {}
            Err(e) => return Err(e),
        }
        self.begin(upload.repository, None)
    }
}

fn location(request: &Request<'_>, headers: &HeaderMap) -> Result<Url, ClientError> {
    header(headers, LOCATION.as_str())
        .and_then(|location| request.url.resolve(location))
        .ok_or_else(|| request.protocol_error("the answer has no usable Location"))
}
