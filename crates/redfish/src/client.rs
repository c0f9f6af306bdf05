// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Requests to one BMC: redirects, retries and tasks.

mod login;

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCEPT, ALLOW, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH, LOCATION,
    RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::address::Address;
use crate::error::{Error, Refusal, Result};
use crate::message;
use crate::profile;
use crate::session::{Auth, Credentials, TOKEN};
use crate::timing::Timing;
use crate::tls::TlsPolicy;
use crate::transport::{Response, Transport};

/// The service root (DSP0266, section 6.4).
pub(crate) const ROOT: &str = "/redfish/v1/";
/// Longest chain of redirects.
const REDIRECTS: u32 = 5;
const ODATA: HeaderName = HeaderName::from_static("odata-version");

/// A BMC and the credentials for it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its address.
    pub address: Address,
    /// The user.
    pub credentials: Credentials,
    /// How its certificate is checked.
    pub tls: TlsPolicy,
}

/// A resource and its version.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) value: Value,
    etag: Option<HeaderValue>,
    /// The allowed methods (`Allow`; RFC 9110, section 10.2.1), if the BMC lists them.
    allow: Option<HeaderValue>,
}

impl Resource {
    #[cfg(test)]
    pub(crate) fn without_headers(value: Value) -> Self {
        Self { value, etag: None, allow: None }
    }

    /// Whether PATCH is allowed; `None` if the BMC does not list its methods.
    pub(crate) fn allows_patch(&self) -> Option<bool> {
        let methods = self.allow.as_ref()?.to_str().ok()?;
        Some(methods.split(',').any(|method| method.trim().eq_ignore_ascii_case("PATCH")))
    }
}

/// How a task ended, apart from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskEnd {
    /// The BMC reports its success.
    Completed,
    /// The BMC no longer knows the task.
    Unknown,
}

pub(crate) struct Client {
    transport: Transport,
    address: Address,
    credentials: Credentials,
    auth: Mutex<Option<Auth>>,
    pub(crate) timing: Timing,
}

impl Client {
    pub(crate) fn new(endpoint: &Endpoint, timing: Timing) -> Result<Self> {
        Ok(Self {
            transport: Transport::new(&endpoint.tls, timing.request)?,
            address: endpoint.address.clone(),
            credentials: endpoint.credentials.clone(),
            auth: Mutex::new(None),
            timing,
        })
    }

    /// Reads a resource, with retries.
    pub(crate) async fn get(&self, path: &str) -> Result<Resource> {
        let response = self.read(path).await?;
        let value = serde_json::from_slice(&response.body).map_err(|error| Error::Answer {
            call: format!("GET {path}"),
            reason: format!("invalid JSON: {error}"),
        })?;
        let header = |name| response.headers.get(name).cloned();
        Ok(Resource { value, etag: header(ETAG), allow: header(ALLOW) })
    }

    /// Calls an action. It is retried only if the first call was certainly not carried out; after
    /// any other error the caller has to check first.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<()> {
        let response = self.write(&Method::POST, path, body, &HeaderMap::new()).await?;
        self.finish(path, &response).await
    }

    /// Same, without waiting for the task. Returns its monitor, if there is one.
    pub(crate) async fn start(&self, path: &str, body: &Value) -> Result<Option<String>> {
        let response = self.write(&Method::POST, path, body, &HeaderMap::new()).await?;
        Ok(self.monitor(&response))
    }

    /// Changes a resource, bound to its version if it has one (DSP0266, section 7.7).
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<()> {
        let mut bind = Bind::AsGiven;
        loop {
            let etag = self.get(path).await?.etag;
            let mut headers = HeaderMap::new();
            if let Some(value) = etag.and_then(|etag| bind.apply(&etag)) {
                headers.insert(IF_MATCH, value);
            }
            let bound = !headers.is_empty();
            match self.write(&Method::PATCH, path, body, &headers).await {
                Ok(response) => return self.finish(path, &response).await,
                Err(error) if error.status() == Some(StatusCode::PRECONDITION_FAILED) && bound => {
                    // Somebody else changed it, or the BMC does not recognise its own ETag.
                    bind = bind.next().ok_or(error)?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// How long to wait for the effect of a write that was answered with `sent`. What was certainly
    /// not carried out is not awaited.
    pub(crate) fn patience(&self, sent: &Result<()>) -> Duration {
        match sent {
            Err(error) if error.is_undone() || !error.is_transient() => Duration::ZERO,
            _ => self.timing.settle,
        }
    }

    /// Whether there may be a session to close.
    pub(crate) fn has_session(&self) -> bool {
        self.auth.try_lock().is_ok_and(|auth| matches!(*auth, Some(Auth::Session { .. })))
    }

    /// Closes the session. A BMC that is away drops it when it expires, which is no error.
    pub(crate) async fn close(&self) {
        let auth = self.auth.lock().await.take();
        let Some(Auth::Session { token, location: Some(location) }) = auth else { return };
        let mut headers = HeaderMap::new();
        headers.insert(TOKEN, token);
        let path = self.address.local(&location).unwrap_or(location);
        if let Err(error) = self.follow(&Method::DELETE, &path, None, &headers).await {
            tracing::debug!(%error, "session not closed");
        }
    }

    async fn read(&self, path: &str) -> Result<Response> {
        self.insist(Error::is_transient, &Method::GET, path, None, &HeaderMap::new()).await
    }

    async fn write(
        &self,
        method: &Method,
        path: &str,
        body: &Value,
        headers: &HeaderMap,
    ) -> Result<Response> {
        self.insist(Error::is_undone, method, path, Some(body), headers).await
    }

    /// Sends a request, and retries while the error is `worth` it.
    async fn insist(
        &self,
        worth: fn(&Error) -> bool,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        headers: &HeaderMap,
    ) -> Result<Response> {
        let mut attempt = 0;
        loop {
            let error = match self.exchange(method, path, body, headers).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if !worth(&error) || attempt + 1 >= self.timing.attempts {
                return Err(error);
            }
            let pause = self.timing.pause(attempt, error.retry_after());
            tracing::debug!(%error, ?pause, "retrying after a pause");
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Sends one request with credentials; an expired session is renewed once.
    async fn exchange(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        headers: &HeaderMap,
    ) -> Result<Response> {
        let mut renewed = false;
        loop {
            let auth = self.authenticate().await?;
            let (name, value) = auth.header();
            let mut headers = headers.clone();
            headers.insert(name, value);
            match self.follow(method, path, body, &headers).await {
                Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
                    if renewed || matches!(auth, Auth::Basic(_)) {
                        return Err(Error::Credentials);
                    }
                    renewed = true;
                    let mut current = self.auth.lock().await;
                    if current.as_ref() == Some(&auth) {
                        *current = None;
                    }
                }
                result => return result,
            }
        }
    }

    /// Sends one request and follows redirects on the same host. On 404, it adds a trailing slash.
    async fn follow(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        headers: &HeaderMap,
    ) -> Result<Response> {
        let mut path = path.to_owned();
        let mut redirects = 0;
        let mut slashed = false;
        loop {
            let response = self.send_once(method, &path, body, headers).await?;
            let status = response.status;
            if status.is_redirection()
                && let Some(location) = response.headers.get(LOCATION)
                && may_follow(method, status)
            {
                let call = format!("{method} {path}");
                if redirects == REDIRECTS {
                    return Err(Error::Answer { call, reason: "too many redirects".to_owned() });
                }
                redirects += 1;
                let target =
                    location.to_str().ok().and_then(|location| self.address.local(location));
                let reason =
                    || "redirect to another host, which must not get the password".to_owned();
                path = target.ok_or_else(|| Error::Answer { call, reason: reason() })?;
                continue;
            }
            if status == StatusCode::NOT_FOUND && !slashed && !path.ends_with('/') {
                slashed = true;
                path.push('/');
                continue;
            }
            return check(&format!("{method} {path}"), response);
        }
    }

    async fn send_once(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        headers: &HeaderMap,
    ) -> Result<Response> {
        let call = || format!("{method} {path}");
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = self.address.url(path).ok_or_else(|| Error::Answer {
            call: call(),
            reason: "the BMC returned an invalid path".to_owned(),
        })?;
        let target = request.headers_mut();
        target.extend(headers.clone());
        target.insert(ACCEPT, HeaderValue::from_static("application/json"));
        target.insert(ODATA, HeaderValue::from_static("4.0"));
        target.insert(USER_AGENT, HeaderValue::from_static("provisioner"));
        if let Some(body) = body {
            target.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            *request.body_mut() = Full::new(Bytes::from(body.to_string()));
        }
        let start = Instant::now();
        let result = self.transport.send(request).await;
        let status = result.as_ref().ok().map(|response| response.status.as_u16());
        tracing::debug!(%method, path, status, elapsed = ?start.elapsed(), "redfish");
        result
    }

    /// The task monitor of a 202 answer (DSP0266, section 12.2).
    fn monitor(&self, response: &Response) -> Option<String> {
        if response.status != StatusCode::ACCEPTED {
            return None;
        }
        let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        let link = response.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let link = link.or_else(|| body.get("@odata.id").and_then(Value::as_str));
        link.and_then(|link| self.address.local(link))
    }

    /// Waits for the task of an answer. Without a task, reading back what was written shows the
    /// result.
    async fn finish(&self, path: &str, response: &Response) -> Result<()> {
        match self.monitor(response) {
            Some(monitor) => self.follow_task(path, &monitor, self.timing.task).await.map(drop),
            None => Ok(()),
        }
    }

    /// Waits for the end of a task that `what` started.
    pub(crate) async fn follow_task(
        &self,
        what: &str,
        monitor: &str,
        limit: Duration,
    ) -> Result<TaskEnd> {
        let deadline = Instant::now() + limit;
        loop {
            let response = match self.read(monitor).await {
                Ok(response) => response,
                // Task monitors disappear when their task is done.
                Err(error)
                    if matches!(error.status(), Some(StatusCode::NOT_FOUND | StatusCode::GONE)) =>
                {
                    return Ok(TaskEnd::Unknown);
                }
                Err(error) => return Err(error),
            };
            let task: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            match task.get("TaskState").and_then(Value::as_str) {
                Some("Completed") => return Ok(TaskEnd::Completed),
                Some(state @ ("Exception" | "Killed" | "Cancelled" | "Interrupted")) => {
                    let (state, detail) = (state.to_owned(), message::detail(&task));
                    return Err(Error::Task { path: monitor.to_owned(), state, detail });
                }
                None if response.status != StatusCode::ACCEPTED => return Ok(TaskEnd::Completed),
                _ => {}
            }
            if Instant::now() >= deadline {
                let state = "unfinished".to_owned();
                let detail = format!("{what} takes longer than {limit:?}");
                return Err(Error::Task { path: monitor.to_owned(), state, detail });
            }
            let asked = retry_after(&response.headers).unwrap_or_default();
            tokio::time::sleep(self.timing.poll.max(asked.min(self.timing.backoff_max))).await;
        }
    }
}

/// The `ETag` that a change is bound to.
#[derive(Clone, Copy)]
enum Bind {
    AsGiven,
    /// A weak tag as a strong one, or the tag of the second read: If-Match compares strongly (RFC
    /// 9110, section 13.1.1), and BMCs with weak tags expect the part after `W/`.
    Strong,
    Not,
}

impl Bind {
    fn apply(self, etag: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Self::AsGiven => Some(etag.clone()).filter(|etag| !etag.is_empty()),
            Self::Strong => {
                let text = etag.to_str().ok()?;
                HeaderValue::from_str(text.strip_prefix("W/").unwrap_or(text)).ok()
            }
            Self::Not => None,
        }
    }

    fn next(self) -> Option<Self> {
        match self {
            Self::AsGiven => Some(Self::Strong),
            Self::Strong => Some(Self::Not),
            Self::Not => None,
        }
    }
}

/// Converts an unsuccessful answer to an error.
fn check(call: &str, response: Response) -> Result<Response> {
    if response.status.is_success() {
        return Ok(response);
    }
    let detail =
        message::detail(&serde_json::from_slice(&response.body).unwrap_or_else(|_| {
            Value::String(String::from_utf8_lossy(&response.body).into_owned())
        }));
    Err(Error::Refused(Box::new(Refusal {
        call: call.to_owned(),
        status: response.status,
        busy: profile::is_busy(&detail),
        retry_after: retry_after(&response.headers),
        detail,
    })))
}

/// Whether a redirect keeps the method, or the request is a read.
fn may_follow(method: &Method, status: StatusCode) -> bool {
    let keeps = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT];
    keeps.contains(&status) || method == Method::GET && status != StatusCode::NOT_MODIFIED
}

/// Parses seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let wait = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            retry_after(&headers)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(wait("Wed, 21 Oct 2015 07:28:00 GMT"), None);
        assert!(wait("Fri, 31 Dec 9999 23:59:59 GMT") > Some(Duration::from_hours(1)));
        assert_eq!(wait("soon"), None);
    }
}
