// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Middleware for all requests: log line, metric, panic handler and limits of reserve connections.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;

use crate::api::WEBHOOK;
use crate::api::problem::Problem;
use crate::media;
use crate::metrics::Metrics;
use crate::same_origin;

// A panic in one request must not end others; the runtime can catch only unwinding panics.
const _: () =
    assert!(cfg!(panic = "unwind"), "the controller needs a profile with panic = \"unwind\"");

/// `Retry-After` in seconds for clients over a limit.
const RETRY: u64 = 5;
/// Routes served to reserve connections.
const RESERVED: [&str; 3] = ["/healthz", "/readyz", WEBHOOK];

/// Extension of requests on a reserve connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reserve;

pub(super) fn add_layers(router: Router, metrics: Arc<Metrics>) -> Router {
    router
        .layer(middleware::from_fn(catch_panics))
        .layer(middleware::from_fn(same_origin::require))
        .layer(middleware::from_fn(refuse_over_limit))
        .layer(middleware::from_fn_with_state(metrics, log))
}

async fn log(State(metrics): State<Arc<Metrics>>, request: Request, next: Next) -> Response<Body> {
    let start = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let path = media::redact_path(request.uri().path()).into_owned();
    let response = next.run(request).await;
    let status = response.status().as_u16();
    let elapsed = start.elapsed();
    metrics.request(
        method_label(&method),
        route.as_ref().map_or("none", |r| r.as_str()),
        status,
        elapsed,
    );
    if response.status().is_server_error() {
        tracing::error!(%method, path, status, ?elapsed, "request");
    } else if method.is_safe() {
        tracing::debug!(%method, path, status, ?elapsed, "request");
    } else {
        tracing::info!(%method, path, status, ?elapsed, "request");
    }
    response
}

/// Returns the method's name; unknown ones share one label.
fn method_label(method: &Method) -> &str {
    match method.as_str() {
        name @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => name,
        _ => "other",
    }
}

/// Answers 503 to other requests on a reserve connection.
async fn refuse_over_limit(request: Request, next: Next) -> Response<Body> {
    let over = request.extensions().get::<Reserve>().is_some();
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    if !over || route.is_some_and(|route| RESERVED.contains(&route)) {
        return next.run(request).await;
    }
    let message = "too many connections, in total or from this address";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", message)
        .header(header::RETRY_AFTER, HeaderValue::from(RETRY))
        .into_response()
}

/// Answers 500 if the handler panics.
async fn catch_panics(request: Request, next: Next) -> Response<Body> {
    let mut running = pin!(next.run(request));
    let outcome = poll_fn(|context| {
        // After a panic the future is dropped, never polled again.
        match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(response)) => Poll::Ready(Ok(response)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    });
    match outcome.await {
        Ok(response) => response,
        Err(panic) => Problem::internal(&text(&*panic)).into_response(),
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a handler panicked: {}", text.unwrap_or("without a text"))
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(router: &Router, path: &str, reserve: bool) -> StatusCode {
        let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
        if reserve {
            request.extensions_mut().insert(Reserve);
        }
        router.clone().oneshot(request).await.unwrap().status()
    }

    #[tokio::test]
    async fn a_panic_is_an_answer_and_the_next_request_is_served() {
        let broken = || async {
            let none: Option<&str> = std::hint::black_box(None);
            none.expect("a fault in a handler")
        };
        let router = Router::new().route("/broken", get(broken)).route("/good", get(|| async {}));
        let router = add_layers(router, Arc::default());
        assert_eq!(ask(&router, "/broken", false).await, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(ask(&router, "/good", false).await, StatusCode::OK);
    }

    #[tokio::test]
    async fn the_reserve_answers_only_health_checks_and_reports() {
        let mut router = Router::new().route("/metrics", get(|| async {}));
        for path in RESERVED {
            router = router.route(path, get(|| async {}));
        }
        let router = add_layers(router, Arc::default());
        for path in ["/healthz", "/readyz", "/api/v1/status-webhook/S1"] {
            assert_eq!(ask(&router, path, true).await, StatusCode::OK, "{path}");
        }
        for path in ["/metrics", "/elsewhere"] {
            assert_eq!(ask(&router, path, true).await, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        }
        assert_eq!(ask(&router, "/metrics", false).await, StatusCode::OK);
    }
}
