// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/v2/NAME/blobs/uploads/`: POST starts, PATCH adds, PUT finishes, GET queries, DELETE cancels.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use oci::{Digest, Repository};
use tokio::time::{Instant, sleep};

use super::error::{ApiError, Code};
use super::query::Query;
use super::receive::{pause, receive};
use super::{CONTENT_DIGEST, Registry, empty, endpoint};
use crate::blocking::{CHANGES, READS, WRITES};
use crate::registry::access::Action;
use crate::registry::storage::{Session, StorageError, UploadId};

/// How long a request waits for another one that holds the upload, before it is answered with 429.
const BUSY: Duration = Duration::from_secs(2);
/// Pause between two attempts to lock the upload.
const BUSY_PAUSE: Duration = Duration::from_millis(50);

impl Registry {
    pub(super) async fn uploads(
        self: Arc<Self>,
        request: Request,
        query: &Query,
        name: Repository,
        user: Option<&str>,
    ) -> Result<Response<Body>, ApiError> {
        if request.method() != Method::POST {
            return Err(ApiError::method("POST"));
        }
        if let Some(digest) = query.get("mount") {
            let digest = endpoint::digest(digest)?;
            let from = query.get("from").map(endpoint::repository).transpose()?;
            if self.mount(from, &name, &digest, user).await? {
                return Ok(respond_created(&name, &digest));
            }
        }
        let digest = query.get("digest").map(endpoint::digest).transpose()?;
        let algorithm = match &digest {
            Some(digest) => digest.algorithm(),
            None => query.digest_algorithm()?,
        };
        let repository = name.clone();
        let id = self
            .run_blocking(&WRITES, move |store| store.start_upload(&repository, algorithm))
            .await?;
        match digest {
            Some(digest) => {
                let session = self.lock_upload(&name, &id).await?;
                self.complete(session, request.into_body(), &name, digest).await
            }
            None => Ok(upload_status(StatusCode::ACCEPTED, &name, &id, 0)),
        }
    }

    pub(super) async fn upload(
        &self,
        request: Request,
        query: &Query,
        name: Repository,
        id: Option<UploadId>,
    ) -> Result<Response<Body>, ApiError> {
        let Some(id) = id else {
            let message = "invalid upload id: start an upload with POST";
            return Err(ApiError::new(StatusCode::NOT_FOUND, Code::BlobUploadUnknown, message));
        };
        match *request.method() {
            Method::GET | Method::HEAD => {
                let session = self.lock_upload(&name, &id).await?;
                Ok(upload_status(StatusCode::NO_CONTENT, &name, &id, session.offset()))
            }
            Method::PATCH => {
                let session = self.lock_upload(&name, &id).await?;
                check_content_range(&session, &name, request.headers())?;
                let session = receive(session, request.into_body()).await?;
                let offset = pause(session).await?;
                Ok(upload_status(StatusCode::ACCEPTED, &name, &id, offset))
            }
            Method::PUT => {
                let digest = query.get("digest").ok_or_else(|| {
                    let message = "expected ?digest=ALGORITHM:HEX";
                    ApiError::bad_request(Code::DigestInvalid, message)
                })?;
                let digest = endpoint::digest(digest)?;
                let session = self.lock_upload(&name, &id).await?;
                check_content_range(&session, &name, request.headers())?;
                self.complete(session, request.into_body(), &name, digest).await
            }
            Method::DELETE => {
                let session = self.lock_upload(&name, &id).await?;
                self.run_blocking(&WRITES, move |_| session.cancel()).await?;
                Ok(empty(StatusCode::NO_CONTENT, []))
            }
            _ => Err(ApiError::method("GET, HEAD, PATCH, PUT, DELETE")),
        }
    }

    /// Locks an upload. The holder may be a request whose client has just disconnected, so this
    /// retries for a short time, without occupying a blocking thread in between.
    async fn lock_upload(&self, name: &Repository, id: &UploadId) -> Result<Session, ApiError> {
        let deadline = Instant::now() + BUSY;
        loop {
            let (name, id) = (name.clone(), id.clone());
            let taken = READS.run({
                let storage = Arc::clone(&self.storage);
                move || storage.resume_upload(&name, &id)
            });
            match taken.await.map_err(|e| ApiError::internal(&e))? {
                Err(StorageError::UploadBusy(_)) if Instant::now() < deadline => {
                    sleep(BUSY_PAUSE).await;
                }
                taken => return Ok(taken?),
            }
        }
    }

    /// Mounts a blob from a repository that `user` may read; if `from` is absent, from any. Returns
    /// whether the blob was found.
    async fn mount(
        self: &Arc<Self>,
        from: Option<Repository>,
        to: &Repository,
        digest: &Digest,
        user: Option<&str>,
    ) -> Result<bool, ApiError> {
        let (to, digest, user) = (to.clone(), digest.clone(), user.map(str::to_owned));
        let registry = Arc::clone(self);
        self.run_blocking(&CHANGES, move |store| {
            let readable =
                |name: &Repository| registry.rules.allow(user.as_deref(), Action::Pull, name);
            let from = match from {
                Some(from) => Some(from).filter(readable),
                None => store.find_blob(&digest, &readable)?,
            };
            match from.map(|from| store.mount_blob(&from, &to, &digest)) {
                Some(Ok(())) => Ok(true),
                None | Some(Err(StorageError::BlobUnknown(_))) => Ok(false),
                Some(Err(e)) => Err(e),
            }
        })
        .await
    }

    async fn complete(
        &self,
        session: Session,
        body: Body,
        name: &Repository,
        digest: Digest,
    ) -> Result<Response<Body>, ApiError> {
        let session = receive(session, body).await?;
        let expected = digest.clone();
        self.run_blocking(&CHANGES, move |_| session.finish(&expected)).await?;
        Ok(respond_created(name, &digest))
    }
}

fn respond_created(name: &Repository, digest: &Digest) -> Response<Body> {
    let location = format!("/v2/{name}/blobs/{digest}");
    let headers = [(header::LOCATION, location), (CONTENT_DIGEST, digest.to_string())];
    empty(StatusCode::CREATED, headers)
}

/// Returns the status of an upload. Its id is in the path: clients drop the query of a `Location`.
fn upload_status(
    status: StatusCode,
    name: &Repository,
    id: &UploadId,
    offset: u64,
) -> Response<Body> {
    // An empty range cannot be written; registries send `0-0`.
    let range = format!("0-{}", offset.saturating_sub(1));
    let location = format!("/v2/{name}/blobs/uploads/{id}");
    let upload = header::HeaderName::from_static("docker-upload-uuid");
    let headers = [(header::LOCATION, location), (header::RANGE, range), (upload, id.to_string())];
    empty(status, headers)
}

/// Checks `Content-Range: START-END`, if present, against the size of the upload.
fn check_content_range(
    session: &Session,
    name: &Repository,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else { return Ok(()) };
    let parsed = value.to_str().ok().and_then(content_range);
    let Some((start, length)) = parsed else {
        let message = "Content-Range: expected START-END, such as 0-1023";
        return Err(ApiError::bad_request(Code::BlobUploadInvalid, message));
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.is_some_and(|text| text.parse() != Ok(length)) {
        let message = "Content-Range and Content-Length differ in size";
        return Err(ApiError::bad_request(Code::SizeInvalid, message));
    }
    session.expect_start(start).map_err(|e| {
        // Includes the offset from which the client can resume.
        let state =
            upload_status(StatusCode::RANGE_NOT_SATISFIABLE, name, session.id(), session.offset());
        let header = |name| state.headers().get(name).cloned();
        let value = |name| header(name).unwrap_or(HeaderValue::from_static(""));
        ApiError::from(e)
            .with_header(header::LOCATION, value(header::LOCATION))
            .with_header(header::RANGE, value(header::RANGE))
    })
}

/// Parses start and length. The specification has no unit, HTTP has: both forms are accepted.
fn content_range(text: &str) -> Option<(u64, u64)> {
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches(['=', ' ']));
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let (start, end) = text.split_once('-')?;
    let (start, end) = (start.trim().parse::<u64>().ok()?, end.trim().parse::<u64>().ok()?);
    let length = end.checked_sub(start)?.checked_add(1)?;
    Some((start, length))
}

#[cfg(test)]
mod tests {
    use super::content_range;

    #[test]
    fn chunks_state_where_they_start() {
        for (text, expected) in [
            ("0-0", Some((0, 1))),
            ("5-9", Some((5, 5))),
            ("bytes 5-9/100", Some((5, 5))),
            ("bytes=5-9", Some((5, 5))),
            ("9-5", None),
            ("-5", None),
            ("5-", None),
            ("x", None),
            ("0-18446744073709551615", None),
        ] {
            assert_eq!(content_range(text), expected, "{text}");
        }
    }
}
