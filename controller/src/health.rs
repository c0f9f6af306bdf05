// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/healthz`: the process answers and its blocking pool runs. `/readyz`: disk and database accept
//! writes. `/metrics`: Prometheus metrics.
//!
//! `/readyz` needs no login, so its result is cached: a request does not cause a write of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::routing::get;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::admission::ConnectionLimiter;
use crate::blocking::{PROBES, PoolWatchdog};
use crate::database::Database;
use crate::inventory;
use crate::jobs::model::State as JobState;
use crate::jobs::runner::Runner;
use crate::jobs::store::{self, StoreError};
use crate::metrics::{Gauges, Metrics};
use crate::operations;
use crate::registry::storage::Storage;

/// How long a result of `/readyz` is cached.
const FRESH: Duration = Duration::from_secs(2);
/// Time limit of the write probes of disk and database.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The process is reported dead if the blocking pool ran nothing for this long.
const DEAD_AFTER: Duration = Duration::from_secs(15);

/// Status and one line of text.
type Answer = (StatusCode, &'static str);

/// Sources of health and metrics.
#[derive(Clone)]
pub(crate) struct HealthSources {
    storage: Arc<Storage>,
    database: Database,
    runner: Arc<Runner>,
    metrics: Arc<Metrics>,
    /// One per listener.
    limiters: Vec<Arc<ConnectionLimiter>>,
    watchdog: Arc<PoolWatchdog>,
    readiness: Arc<Cached<Answer>>,
}

impl HealthSources {
    pub(crate) fn new(
        storage: Arc<Storage>,
        database: Database,
        runner: Arc<Runner>,
        metrics: Arc<Metrics>,
        limiters: Vec<Arc<ConnectionLimiter>>,
        watchdog: Arc<PoolWatchdog>,
    ) -> Self {
        let readiness = Arc::default();
        Self { storage, database, runner, metrics, limiters, watchdog, readiness }
    }
}

/// Router for `/healthz` and `/readyz`.
pub(crate) fn router(observed: HealthSources) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(observed)
}

pub(crate) fn metrics_router(observed: HealthSources) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(observed)
}

async fn healthz(State(observed): State<HealthSources>) -> Answer {
    liveness(observed.watchdog.age())
}

fn liveness(pulse_age: Duration) -> Answer {
    if pulse_age < DEAD_AFTER {
        return (StatusCode::OK, "ok\n");
    }
    tracing::error!(?pulse_age, "the thread pool does not respond");
    (StatusCode::SERVICE_UNAVAILABLE, "the thread pool does not respond\n")
}

async fn readyz(State(observed): State<HealthSources>) -> Answer {
    // A task of its own: the result is cached even if the client disconnects during the probe.
    let readiness = Arc::clone(&observed.readiness);
    let probed = tokio::spawn(async move { readiness.get(FRESH, || probe(&observed)).await });
    probed.await.unwrap_or((StatusCode::SERVICE_UNAVAILABLE, "internal error, see the log\n"))
}

async fn probe(observed: &HealthSources) -> Answer {
    timeout(PROBE_TIMEOUT, write(observed)).await.unwrap_or_else(|_| {
        tracing::warn!("not ready: the disk probe timed out");
        (StatusCode::SERVICE_UNAVAILABLE, "the disk probe timed out\n")
    })
}

async fn write(observed: &HealthSources) -> Answer {
    let unavailable = |message| (StatusCode::SERVICE_UNAVAILABLE, message);
    let storage = Arc::clone(&observed.storage);
    match PROBES.run(move || storage.probe()).await {
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

/// A cached value. One caller at a time computes it.
struct Cached<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Copy> Cached<T> {
    async fn get<F: Future<Output = T>>(&self, fresh: Duration, compute: impl Fn() -> F) -> T {
        let mut last = self.0.lock().await;
        if let Some((at, value)) = *last
            && at.elapsed() < fresh
        {
            return value;
        }
        let value = compute().await;
        *last = Some((Instant::now(), value));
        value
    }
}

async fn metrics(
    State(observed): State<HealthSources>,
) -> Result<([(HeaderName, HeaderValue); 1], String), StatusCode> {
    let counted = observed
        .database
        .read(|c| {
            let operations = operations::count_running(c)?;
            Ok::<_, StoreError>((store::counts(c)?, inventory::count(c)?, operations))
        })
        .await;
    let (jobs, servers, operations) = counted.map_err(|error| {
        tracing::warn!(%error, "cannot read metrics from the database");
        StatusCode::SERVICE_UNAVAILABLE
    })?;
    let mut gauges = Gauges {
        workers: observed.runner.active_jobs(),
        operations,
        servers,
        connections: observed.limiters.iter().map(|limiter| limiter.open()).sum(),
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_process_with_a_blocked_pool_is_not_alive() {
        assert_eq!(liveness(Duration::from_secs(1)).0, StatusCode::OK);
        assert_eq!(liveness(DEAD_AFTER).0, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn one_probe_serves_many_requests() {
        let probes = AtomicUsize::new(0);
        let count = || async { probes.fetch_add(1, Ordering::Relaxed) };
        let cached = Cached::default();
        for _ in 0..100 {
            assert_eq!(cached.get(Duration::from_hours(1), count).await, 0);
        }
        assert_eq!(cached.get(Duration::ZERO, count).await, 1);
    }
}
