// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/v2/NAME/blobs/DIGEST`: GET with ranges, HEAD, DELETE.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use oci::{Digest, Repository};

use super::error::ApiError;
use super::{CONTENT_DIGEST, Registry, empty, etag, insert};
use crate::blocking::{CHANGES, READS};
use crate::file_service::{self, Piece, ServedFile};

impl Registry {
    pub(super) async fn blob(
        self: Arc<Self>,
        request: Request,
        name: Repository,
        digest: Digest,
    ) -> Result<Response<Body>, ApiError> {
        match *request.method() {
            Method::GET | Method::HEAD => {
                let wanted = digest.clone();
                let head = *request.method() == Method::HEAD;
                let blob = self
                    .run_blocking(&READS, move |store| {
                        if head {
                            store.note_interest(&name, &wanted)?;
                        }
                        store.open_blob(&name, &wanted)
                    })
                    .await?;
                let served = ServedFile {
                    pieces: vec![Piece::File(Arc::new(blob.file), blob.size)],
                    content_type: HeaderValue::from_static("application/octet-stream"),
                    etag: etag(&digest),
                    modified: None,
                };
                let mut response = file_service::respond(&request, served);
                insert(&mut response, [(CONTENT_DIGEST, digest.to_string())]);
                Ok(response)
            }
            Method::DELETE => {
                let registry = Arc::clone(&self);
                self.run_blocking(&CHANGES, move |store| {
                    store.delete_blob(&name, &digest, &registry.immutability())
                })
                .await?;
                Ok(empty(StatusCode::ACCEPTED, []))
            }
            _ => Err(ApiError::method("GET, HEAD, DELETE")),
        }
    }
}
