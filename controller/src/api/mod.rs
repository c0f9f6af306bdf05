// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/api/v1`: servers, jobs and host reports, in JSON. `openapi.json` describes it; a test compares
//! the two.

mod audit;
pub mod auth;
#[cfg(test)]
mod document;
pub(crate) mod extract;
mod import;
pub(crate) mod jobs;
mod operations;
pub(crate) mod problem;
mod reply;
#[cfg(test)]
mod schemas;
pub(crate) mod servers;
pub(crate) mod views;
pub(crate) mod webhook;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use axum::routing::{MethodRouter, delete, get, post, put};
use http_body::Body as _;

use self::auth::Auth;
use self::problem::Problem;
use self::webhook::Secrets;
use crate::audit::Audit;
use crate::database::Database;
use crate::jobs::runner::Runner;
use crate::limits::{Limit, address};
use crate::logins::Logins;
use crate::metrics::Metrics;

/// `OpenAPI` 3.1 description of this API.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Route of host reports.
pub(crate) const WEBHOOK: &str = "/api/v1/status-webhook/{serial}";

/// Maximum request size in bytes, except for jobs.
const SMALL_BODY: usize = 64 * 1024;

/// Authentication and audit log.
pub(crate) struct Access {
    pub(crate) auth: Auth,
    pub(crate) logins: Arc<Logins>,
    pub(crate) audit: Audit,
}

/// State of the API handlers.
#[derive(Clone)]
pub(crate) struct Api(Arc<Parts>);

/// Fields of [`Api`].
pub(crate) struct Parts {
    pub(crate) database: Database,
    pub(crate) runner: Arc<Runner>,
    pub(crate) auth: Auth,
    pub(crate) webhook: Secrets,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) profiles: Vec<&'static str>,
    pub(crate) requests: Limit,
    pub(crate) reports: Limit,
    pub(crate) logins: Arc<Logins>,
    pub(crate) audit: Audit,
}

impl Deref for Api {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Api {
    /// `rate`: requests per second and address.
    pub(crate) fn new(
        database: Database,
        runner: Arc<Runner>,
        access: Access,
        webhook: Secrets,
        metrics: Arc<Metrics>,
        rate: f64,
    ) -> Self {
        let Access { auth, logins, audit } = access;
        let profiles = runner.profiles();
        let [requests, reports] = [(); 2].map(|()| Limit::new(rate, rate * 2.0));
        Self(Arc::new(Parts {
            database,
            runner,
            auth,
            webhook,
            metrics,
            profiles,
            requests,
            reports,
            logins,
            audit,
        }))
    }

    /// Returns all routes.
    pub(crate) fn router(self) -> Router {
        self.filter_routes(|_| true)
    }

    /// Returns the routes for hosts.
    pub(crate) fn machine_router(self) -> Router {
        self.filter_routes(|path| path == WEBHOOK)
    }

    /// Returns the routes for users and their programs.
    pub(crate) fn operator_router(self) -> Router {
        self.filter_routes(|path| path != WEBHOOK)
    }

    fn filter_routes(self, wanted: impl Fn(&str) -> bool) -> Router {
        let mut router = Router::new();
        for (_, path, route) in routes().into_iter().filter(|(_, path, _)| wanted(path)) {
            router = router.route(path, route);
        }
        router
            .route("/api/{*rest}", axum::routing::any(problem::no_such_address))
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(middleware::from_fn_with_state(self.clone(), limit))
            .with_state(self)
    }
}

/// Every route with its method. One per line, because a test compares them with `openapi.json`.
fn routes() -> Vec<(Method, &'static str, MethodRouter<Api>)> {
    vec![
        (Method::GET, "/api/v1/openapi.json", get(openapi)),
        (Method::POST, "/api/v1/jobs", post(jobs::create)),
        (Method::GET, "/api/v1/jobs", get(jobs::list)),
        (Method::GET, "/api/v1/jobs/{id}", get(jobs::get)),
        (Method::POST, "/api/v1/jobs/{id}/cancel", post(jobs::cancel)),
        (Method::POST, "/api/v1/jobs/{id}/retry", post(jobs::retry)),
        (Method::GET, "/api/v1/audit", get(audit::list)),
        (Method::GET, "/api/v1/servers", get(servers::list)),
        (Method::GET, "/api/v1/servers/{serial}", get(servers::get)),
        (Method::PUT, "/api/v1/servers/{serial}", put(servers::put)),
        (Method::DELETE, "/api/v1/servers/{serial}", delete(servers::remove)),
        (Method::POST, "/api/v1/servers", post(import::import)),
        (Method::POST, "/api/v1/servers/{serial}/operations", post(operations::create)),
        (Method::GET, "/api/v1/servers/{serial}/hardware", get(operations::hardware)),
        (Method::POST, WEBHOOK, post(webhook::report)),
    ]
}

async fn openapi() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI)
}

async fn limit(State(api): State<Api>, request: Request, next: Next) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    // Hosts and users may share an address; neither must exhaust the limit of the other.
    let requests = if route == Some(WEBHOOK) { &api.reports } else { &api.requests };
    if let Err(exhausted) = requests.take(address(request.extensions())) {
        return Problem::from(exhausted).into_response();
    }
    if !is_json_or_empty(&request) {
        let message = "expected a request with Content-Type: application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Problem::new(status, "unsupported_media_type", message).into_response();
    }
    let mut response = next.run(request).await;
    // Replies are a snapshot.
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(no_store);
    response
}

/// Returns whether a request has no body, or one of type JSON. Other types are refused because HTML
/// forms of another site can send them (CSRF).
fn is_json_or_empty(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    request.body().is_end_stream() || kind.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_description_has_the_routes_and_no_others() {
        let described: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut documented = BTreeSet::new();
        for (path, methods) in described["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                documented.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        let routed: BTreeSet<String> =
            routes().into_iter().map(|(method, path, _)| format!("{method} {path}")).collect();
        let beside: BTreeSet<String> = documented
            .iter()
            .filter(|operation| !operation.contains(" /api/v1/"))
            .cloned()
            .collect();
        assert_eq!(
            beside.iter().map(String::as_str).collect::<Vec<_>>(),
            ["GET /healthz", "GET /metrics", "GET /readyz"]
        );
        assert_eq!(&documented - &beside, routed);
    }

    /// Every reference in the description resolves, and every operation describes its replies.
    #[test]
    fn the_description_is_complete() {
        let described: Value = serde_json::from_str(OPENAPI).unwrap();
        let mut waiting = vec![&described];
        while let Some(value) = waiting.pop() {
            match value {
                Value::Object(fields) => {
                    if let Some(target) = fields.get("$ref") {
                        let pointer = target.as_str().unwrap().strip_prefix('#').unwrap();
                        assert!(described.pointer(pointer).is_some(), "{pointer}");
                    }
                    waiting.extend(fields.values());
                }
                Value::Array(items) => waiting.extend(items),
                _ => {}
            }
        }
        for (path, methods) in described["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                if method != "parameters" {
                    assert!(operation["operationId"].is_string(), "{method} {path}");
                    assert!(operation["responses"].is_object(), "{method} {path}");
                }
            }
        }
    }
}
