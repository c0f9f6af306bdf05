// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writes a request body to an upload.
//!
//! While one batch is hashed and written on a blocking thread, the next one is received: two
//! batches are in memory for any blob size, and a slow client holds no thread.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use tokio::task::{JoinError, JoinHandle};

use super::error::{ApiError, Code};
use crate::blocking::WRITES;
use crate::registry::storage::{Session, StorageError};

/// Bytes per batch; large enough to make the switch to another thread cheap.
const BATCH: usize = 256 * 1024;

type Written = Result<(Session, Result<(), StorageError>), JoinError>;
type Writing = JoinHandle<Written>;

/// Appends the body to the upload. If the body breaks off, the received bytes stay, so that the
/// client can resume.
pub(super) async fn receive(session: Session, body: Body) -> Result<Session, ApiError> {
    // A task of its own: it must run to its end even if the connection drops.
    let task = tokio::spawn(receive_all(session, body));
    task.await.map_err(|e| ApiError::internal(&e))?
}

async fn receive_all(session: Session, mut body: Body) -> Result<Session, ApiError> {
    let mut idle = Some(session);
    let mut writing: Option<Writing> = None;
    loop {
        let (batch, end) = next_batch(&mut body).await;
        if let Some(handle) = writing.take() {
            idle = Some(await_write(handle.await).await?);
        }
        let Some(session) = idle.take() else { return Err(ApiError::internal(&"upload lost")) };
        if batch.is_empty() {
            return finish(session, end).await;
        }
        let handle = write(session, batch);
        if end.is_some() {
            return finish(await_write(handle.await).await?, end).await;
        }
        writing = Some(handle);
    }
}

fn write(mut session: Session, batch: Vec<Bytes>) -> Writing {
    tokio::spawn(WRITES.run(move || {
        let result = session.append(&batch);
        (session, result)
    }))
}

async fn await_write(done: Result<Written, JoinError>) -> Result<Session, ApiError> {
    let (session, result) = done.flatten().map_err(|e| ApiError::internal(&e))?;
    match result {
        Ok(()) => Ok(session),
        Err(e) => {
            pause(session).await?;
            Err(e.into())
        }
    }
}

async fn finish(session: Session, end: Option<Result<(), ApiError>>) -> Result<Session, ApiError> {
    match end {
        Some(Err(e)) => {
            pause(session).await?;
            Err(e)
        }
        _ => Ok(session),
    }
}

/// Suspends the upload and syncs it to the disk. Returns its size.
pub(super) async fn pause(session: Session) -> Result<u64, ApiError> {
    let paused = WRITES.run(move || session.pause()).await;
    Ok(paused.map_err(|e| ApiError::internal(&e))??)
}

/// Returns the next chunks of the body, and its end or error if reached.
async fn next_batch(body: &mut Body) -> (Vec<Bytes>, Option<Result<(), ApiError>>) {
    let mut batch = Vec::new();
    let mut size = 0;
    while size < BATCH {
        match body.frame().await {
            None => return (batch, Some(Ok(()))),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    size += data.len();
                    batch.push(data);
                }
            }
            // A stalled client may resume the upload.
            Some(Err(e)) => {
                return (batch, Some(Err(ApiError::incomplete(Code::BlobUploadInvalid, &e))));
            }
        }
    }
    (batch, None)
}
