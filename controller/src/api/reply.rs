// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Replies in JSON.

use axum::body::Body;
use axum::http::{Response, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;

/// A JSON reply.
pub(super) struct Json<T>(pub(super) StatusCode, pub(super) T);

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response<Body> {
        match serde_json::to_string(&self.1) {
            Ok(text) => {
                let kind = [(header::CONTENT_TYPE, "application/json")];
                (self.0, kind, text + "\n").into_response()
            }
            Err(error) => {
                tracing::error!(%error, "cannot serialize a reply");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }
}
