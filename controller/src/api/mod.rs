// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/api/v1`: servers, jobs and the reports of machines, in JSON. `openapi.json` describes it, and a test holds
//! the two together.

mod audit;
pub mod auth;
mod jobs;
pub(crate) mod problem;
mod servers;
pub(crate) mod webhook;

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse as _;
use axum::routing::{MethodRouter, delete, get, post, put};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use self::auth::{Auth, Identity, Role};
use self::problem::Problem;
use self::webhook::Secrets;
use crate::audit::{Action, Audit, Entry};
use crate::database::Database;
use crate::jobs::runner::Runner;
use crate::limits::{Limit, address};
use crate::logins::Logins;
use crate::metrics::Metrics;
use crate::progress::is_stalled;

/// The description of this API, in version 3.1 of the `OpenAPI` specification.
pub const OPENAPI: &str = include_str!("openapi.json");

/// Where machines report how their task ended.
pub(crate) const WEBHOOK: &str = "/api/v1/status-webhook/{serial}";

/// The largest request that is no job.
const SMALL_BODY: usize = 64 * 1024;

/// Who may use the API, and where that is recorded.
pub(crate) struct Access {
    pub(crate) auth: Auth,
    pub(crate) logins: Arc<Logins>,
    pub(crate) audit: Audit,
}

/// What the API works with.
#[derive(Clone)]
pub(crate) struct Api(Arc<Parts>);

/// The parts of [`Api`].
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
    /// `rate`: requests of one address in a second.
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

    /// All routes.
    pub(crate) fn router(self) -> Router {
        self.some(|_| true)
    }

    /// The routes for machines.
    pub(crate) fn machine_router(self) -> Router {
        self.some(|path| path == WEBHOOK)
    }

    /// The routes for people and their programs.
    pub(crate) fn operator_router(self) -> Router {
        self.some(|path| path != WEBHOOK)
    }

    fn some(self, wanted: impl Fn(&str) -> bool) -> Router {
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

    /// Who sends a request; an address that fails too often is not listened to for a while.
    pub(crate) async fn identify(&self, caller: Caller<'_>) -> Result<Identity, Problem> {
        self.auth.identify(caller.headers, caller.address, &self.logins).await
    }

    /// Who sends a request, where that may be done with at least this role.
    async fn authorize(&self, caller: Caller<'_>, role: Role) -> Result<Identity, Problem> {
        let identity = self.identify(caller).await?;
        if let Err(problem) = identity.require(role) {
            let detail = Some(format!("{} needs {role:?}", caller.method));
            let actor = Actor { name: identity.name, address: caller.address };
            let entry = actor.entry(Action::Request, Some(caller.path.to_owned()));
            self.audit.refuse(Entry { detail, ..entry });
            return Err(problem);
        }
        Ok(identity)
    }
}

/// Every route, with its method. One route a line, because the description is held against this.
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
        (Method::POST, WEBHOOK, post(webhook::report)),
    ]
}

async fn openapi() -> Response<Body> {
    let mut response = Response::new(Body::from(OPENAPI));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Who does something, for the audit log.
#[derive(Debug, Clone)]
struct Actor {
    name: String,
    address: IpAddr,
}

impl Actor {
    fn of(request: &Request, identity: &Identity) -> Self {
        Self { name: identity.name.clone(), address: address(request) }
    }

    fn entry(&self, action: Action, object: Option<String>) -> Entry {
        Entry {
            actor: Some(self.name.clone()),
            address: self.address,
            action,
            object,
            detail: None,
        }
    }
}

/// Who sends a request, as far as the request says it.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    headers: &'a HeaderMap,
    address: IpAddr,
    method: &'a Method,
    path: &'a str,
}

impl<'a> Caller<'a> {
    pub(crate) fn of(request: &'a Request) -> Self {
        let (method, path) = (request.method(), request.uri().path());
        Self { headers: request.headers(), address: address(request), method, path }
    }
}

async fn limit(State(api): State<Api>, request: Request, next: Next) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    // Hosts and people may share an address; neither must use up what the other needs.
    let requests = if route == Some(WEBHOOK) { &api.reports } else { &api.requests };
    if let Err(exhausted) = requests.take(address(&request)) {
        return Problem::from(exhausted).into_response();
    }
    if !is_json_or_empty(&request) {
        let message = "expected a request with Content-Type: application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Problem::new(status, "unsupported_media_type", message).into_response();
    }
    let mut response = next.run(request).await;
    // What is shown here is a matter of this moment.
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(no_store);
    response
}

/// Whether a request has no body, or states that it is JSON. Another type is what a form of another
/// site's page can make a browser send.
fn is_json_or_empty(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    request.body().is_end_stream() || kind.trim().eq_ignore_ascii_case("application/json")
}

/// An answer in JSON.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{value}\n")));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Takes a request's body in, up to `limit` bytes.
async fn body(request: Request, limit: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let message = format!("expected a request of at most {limit} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
    };
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) if is_stalled(&*error) => {
            let status = StatusCode::REQUEST_TIMEOUT;
            Err(Problem::new(status, "timeout", "the request did not come in time"))
        }
        Err(error) => Err(Problem::bad_request(format!("the request did not come whole: {error}"))),
    }
}

/// Reads JSON. The place of a fault is told, and never what stands there.
fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let what = match error.classify() {
            serde_json::error::Category::Data => "a field is missing, unknown, or of another kind",
            _ => "the request is not JSON",
        };
        let place = format!("line {}, column {}", error.line(), error.column());
        Problem::bad_request(format!("{what}: {place}; /api/v1/openapi.json says what is expected"))
    })
}

/// What stands in the path after the collection: `/api/v1/COLLECTION/{this}`.
fn parameter(request: &Request) -> Result<String, Problem> {
    let part = request.uri().path().split('/').nth(4).unwrap_or_default();
    let text = percent_decode_str(part).decode_utf8();
    let text = text.map_err(|_| Problem::bad_request("the address is not UTF-8"))?;
    Ok(text.into_owned())
}

/// The parameters after the `?`.
struct Query(HashMap<String, String>);

impl Query {
    /// Reads them; `known` are the names that there are.
    fn parse(request: &Request, known: &[&str]) -> Result<Self, Problem> {
        let mut values = HashMap::new();
        let pairs = request.uri().query().unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            let value = percent_decode_str(&value).decode_utf8();
            let value = value.map_err(|_| Problem::bad_request("the query is not UTF-8"))?;
            if !known.contains(&name) {
                let expected = known.join(", ");
                return Err(Problem::bad_request(format!("query: expected {expected}")));
            }
            if values.insert(name.to_owned(), value.into_owned()).is_some() {
                return Err(Problem::bad_request(format!("query: {name} stands there twice")));
            }
        }
        Ok(Self(values))
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }

    fn read<T: FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let value = self.0.get(name).map(|text| text.parse::<T>()).transpose();
        value.map_err(|e| Problem::bad_request(format!("query: {name}: {e}")))
    }

    /// How many are wanted: the first of `page` unless told, and at most the second.
    fn limit(&self, page: (u32, u32)) -> Result<u32, Problem> {
        let limit = self.read::<u32>("limit")?.unwrap_or(page.0);
        if (1..=page.1).contains(&limit) {
            return Ok(limit);
        }
        Err(Problem::bad_request(format!("query: limit: expected 1 to {}", page.1)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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

    /// Every reference in the description leads somewhere, and every operation says what it answers.
    #[test]
    fn the_description_is_whole() {
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
