// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/healthz`: the process answers. `/readyz`: it can do its work, which is to write to its disk and its
//! database. `/metrics`: what Prometheus asks for.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::routing::get;
use tokio::sync::Semaphore;

use crate::database::Database;
use crate::inventory;
use crate::jobs::model::State as JobState;
use crate::jobs::runner::Runner;
use crate::jobs::store::{self, StoreError};
use crate::metrics::{Gauges, Metrics};
use crate::registry::storage::Storage;

/// What is looked at.
#[derive(Clone)]
pub(crate) struct Observed {
    pub(crate) storage: Arc<Storage>,
    pub(crate) database: Database,
    pub(crate) runner: Arc<Runner>,
    pub(crate) metrics: Arc<Metrics>,
    /// One for each connection that may be opened yet.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) max_connections: usize,
}

/// The three routes.
pub(crate) fn router(observed: Observed) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(observed)
}

async fn ready(State(observed): State<Observed>) -> (StatusCode, &'static str) {
    let unavailable = |message| (StatusCode::SERVICE_UNAVAILABLE, message);
    let storage = observed.storage;
    match tokio::task::spawn_blocking(move || storage.probe()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(%error, "not ready");
            return unavailable("the registry's storage can't be written\n");
        }
        Err(error) => {
            tracing::error!(%error, "not ready");
            return unavailable("internal error, see the log\n");
        }
    }
    match observed.database.write(|_| Ok::<_, StoreError>(())).await {
        Ok(()) => (StatusCode::OK, "ok\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            unavailable("the database can't be written\n")
        }
    }
}

async fn metrics(
    State(observed): State<Observed>,
) -> Result<([(HeaderName, HeaderValue); 1], String), StatusCode> {
    let counted = observed
        .database
        .read(|c| Ok::<_, StoreError>((store::counts(c)?, inventory::count(c)?)))
        .await;
    let (jobs, servers) = counted.map_err(|error| {
        tracing::warn!(%error, "no metrics");
        StatusCode::SERVICE_UNAVAILABLE
    })?;
    let mut gauges = Gauges {
        workers: observed.runner.at_work(),
        servers,
        connections: observed.max_connections.saturating_sub(observed.permits.available_permits()),
        ..Gauges::default()
    };
    for (state, outcome, count) in jobs {
        *gauges.jobs.entry(state.as_str()).or_default() += count;
        if let (JobState::Complete, Some(outcome)) = (state, outcome) {
            *gauges.outcomes.entry(outcome.as_str()).or_default() += count;
        }
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], observed.metrics.text(&gauges)))
}
