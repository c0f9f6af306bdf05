// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/healthz`: the process answers. `/readyz`: it can do its work, which is to write to its disk.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::registry::storage::Storage;

/// The two routes.
pub(crate) fn router(storage: Arc<Storage>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(storage)
}

async fn ready(State(storage): State<Arc<Storage>>) -> (StatusCode, &'static str) {
    match tokio::task::spawn_blocking(move || storage.probe()).await {
        Ok(Ok(())) => (StatusCode::OK, "ok\n"),
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the registry's storage can't be written\n")
        }
        Err(error) => {
            tracing::error!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "internal error, see the log\n")
        }
    }
}
