// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Requests to GitHub's REST API: authentication, rate limits, size limits and retries ("Rate
//! limits for the REST API", "Best practices for using the REST API").

use std::fmt;
use std::io::Read as _;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use oci::client::Policy;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http::{HeaderMap, HeaderValue, Request, Response, Uri};
use ureq::tls::TlsConfig;
use ureq::{Agent, Body};

/// Maximum size of a JSON document in bytes.
const DOCUMENT: u64 = 16 * 1024 * 1024;

/// Reason why a request failed. Excludes query and headers.
#[derive(Debug, thiserror::Error)]
#[error("{method} {place}: {reason}")]
pub(super) struct ApiError {
    method: &'static str,
    /// Host and path.
    place: String,
    reason: String,
    /// HTTP status; `None` without a response.
    pub(super) status: Option<u16>,
    /// `code` of each error in the response, such as `already_exists`.
    codes: Vec<String>,
    retry: Retry,
}

/// Whether a retry may succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Retry {
    Never,
    /// After an exponential delay.
    Later,
    /// After the delay that the server requests.
    After(Duration),
}

impl ApiError {
    pub(super) fn is_transient(&self) -> bool {
        self.retry != Retry::Never
    }

    pub(super) fn has_code(&self, code: &str) -> bool {
        self.codes.iter().any(|it| it == code)
    }
}

/// Limits for retries.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Attempts and delays. `longest_asked` is for rate limits.
    pub(super) retry: Policy,
    /// Delay for a secondary rate limit without `Retry-After` ("wait for at least one minute").
    pub(super) unnamed: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let minutes = Duration::from_mins;
        let retry = Policy {
            attempts: 6,
            first: Duration::from_secs(2),
            longest: minutes(15),
            longest_asked: minutes(15),
        };
        Self { retry, unnamed: minutes(1) }
    }
}

/// A client for one API.
pub(super) struct Http {
    pub(super) agent: Agent,
    /// Base URL without a trailing slash, such as `https://api.github.com`.
    pub(super) base: String,
    pub(super) authorization: HeaderValue,
    limits: Limits,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Reason why a client could not be created.
#[derive(Debug, thiserror::Error)]
pub(super) enum SetupError {
    #[error(
        "the address of the API {0:?}: expected https://HOST[/PATH]; http is for loopback addresses"
    )]
    Base(String),
    #[error("GITHUB_TOKEN has characters that no token has")]
    Token,
}

impl Http {
    /// Creates a client for the API `base`.
    pub(super) fn new(base: &str, token: &str, limits: Limits) -> Result<Self, SetupError> {
        let base = base.trim_end_matches('/');
        let fault = || SetupError::Base(base.to_owned());
        let uri: Uri = base.parse().map_err(|_| fault())?;
        let host = uri.host().ok_or_else(fault)?;
        let is_loopback = matches!(host, "127.0.0.1" | "localhost" | "[::1]");
        match uri.scheme_str() {
            Some("https") => {}
            Some("http") if is_loopback => {}
            _ => return Err(fault()),
        }
        let is_token = !token.is_empty() && token.bytes().all(|c| c.is_ascii_graphic());
        let value =
            if is_token { HeaderValue::from_str(&format!("Bearer {token}")).ok() } else { None };
        let mut authorization = value.ok_or(SetupError::Token)?;
        authorization.set_sensitive(true);
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // Downloads redirect once; the token is not sent to another host.
            .max_redirects(3)
            .user_agent(concat!("provisioner-notary/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(15)))
            .timeout_per_read(Some(Duration::from_mins(2)))
            .timeout_per_write(Some(Duration::from_mins(2)));
        config = if is_loopback {
            config.proxy(None)
        } else {
            let roots = oci::client::root_certificates();
            config.tls_config(TlsConfig::builder().root_certs(roots).build())
        };
        Ok(Self { agent: config.build().into(), base: base.to_owned(), authorization, limits })
    }

    /// Retries a request while its failures are transient and the policy allows.
    pub(super) fn retry_transient<T>(
        &self,
        mut call: impl FnMut() -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let mut failures = 0;
        loop {
            match call() {
                Err(error) if error.is_transient() => {
                    failures += 1;
                    self.pause(failures, error)?;
                }
                result => return result,
            }
        }
    }

    /// Waits after `failures` failures, or returns the last error.
    pub(super) fn pause(&self, failures: u32, error: ApiError) -> Result<(), ApiError> {
        let asked = match error.retry {
            Retry::Never => return Err(error),
            Retry::Later => None,
            Retry::After(wait) => Some(wait),
        };
        let policy = &self.limits.retry;
        if let Some(wait) = policy.wait(failures, asked) {
            thread::sleep(wait);
            return Ok(());
        }
        match asked {
            Some(wait) if wait > policy.longest_asked => {
                let reason = format!("{}; it asks to wait {} s", error.reason, wait.as_secs());
                Err(ApiError { reason, ..error })
            }
            _ => Err(error),
        }
    }

    pub(super) fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, ApiError> {
        self.retry_transient(|| self.call_once("GET", url, None, 200))
    }

    pub(super) fn call_once<T: DeserializeOwned>(
        &self,
        method: &'static str,
        url: &str,
        body: Option<Value>,
        expected: u16,
    ) -> Result<T, ApiError> {
        let response = self.send(method, url, body)?;
        parse(method, url, &self.read(expected, method, url, response)?)
    }

    pub(super) fn request(&self, method: &str, url: &str) -> ureq::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(url)
            .header("Authorization", self.authorization.clone())
            .header("Accept", "application/vnd.github+json")
            .header("X-GitHub-Api-Version", "2022-11-28")
    }

    pub(super) fn send(
        &self,
        method: &'static str,
        url: &str,
        body: Option<Value>,
    ) -> Result<Response<Body>, ApiError> {
        let builder = self.request(method, url);
        let sent = match body {
            Some(body) => {
                let builder = builder.header("Content-Type", "application/json");
                builder.body(body.to_string()).map(|request| self.agent.run(request))
            }
            None => builder.body(()).map(|request| self.agent.run(request)),
        };
        sent.map_err(|error| malformed_error(method, url, &error.to_string()))?
            .map_err(|error| transport(method, url, &error))
    }

    /// The body of a response with the status `expected`; an error for any other status.
    pub(super) fn read(
        &self,
        expected: u16,
        method: &'static str,
        url: &str,
        response: Response<Body>,
    ) -> Result<Vec<u8>, ApiError> {
        let (parts, body) = response.into_parts();
        let mut bytes = Vec::new();
        let read = body.into_reader().take(DOCUMENT + 1).read_to_end(&mut bytes);
        let status = parts.status.as_u16();
        if status != expected {
            return Err(self.refusal(method, url, status, &parts.headers, &bytes));
        }
        read.map_err(|error| transport(method, url, &error.into()))?;
        if bytes.len() as u64 > DOCUMENT {
            return Err(malformed_error(method, url, "the answer is larger than 16 MiB"));
        }
        Ok(bytes)
    }

    fn refusal(
        &self,
        method: &'static str,
        url: &str,
        status: u16,
        headers: &HeaderMap,
        body: &[u8],
    ) -> ApiError {
        #[derive(Default, Deserialize)]
        struct Refusal {
            #[serde(default)]
            message: String,
            #[serde(default)]
            errors: Vec<Value>,
        }
        let Refusal { message, errors } = serde_json::from_slice(body).unwrap_or_default();
        let codes: Vec<String> =
            errors.iter().filter_map(|it| it.get("code")?.as_str().map(str::to_owned)).collect();
        let retry = self.retry(status, headers, &message);
        // Remove control characters: they could inject terminal escape sequences.
        let message: String = message.chars().filter(|c| !c.is_control()).take(300).collect();
        let mut reason = format!("status {status}");
        for part in std::iter::once(&message).chain(&codes).filter(|it| !it.is_empty()) {
            reason.push_str(": ");
            reason.push_str(&escape::text(part));
        }
        match (status, retry) {
            (401, _) => reason.push_str("; set GITHUB_TOKEN to a token that is valid"),
            (403 | 404, Retry::Never) => reason.push_str(
                "; the token in GITHUB_TOKEN needs the permission `contents: write` of the repository",
            ),
            _ => {}
        }
        ApiError { method, place: place(url), reason, status: Some(status), codes, retry }
    }

    /// "Rate limits for the REST API", "Exceeding the rate limit".
    fn retry(&self, status: u16, headers: &HeaderMap, message: &str) -> Retry {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u64>().ok();
        if matches!(status, 403 | 429) {
            if let Some(seconds) = number("retry-after") {
                return Retry::After(Duration::from_secs(seconds));
            }
            if number("x-ratelimit-remaining") == Some(0)
                && let Some(reset) = number("x-ratelimit-reset")
            {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let reset = Duration::from_secs(reset);
                return Retry::After(reset.saturating_sub(now));
            }
            if status == 429 || message.contains("secondary rate limit") {
                return Retry::After(self.limits.unnamed);
            }
            return Retry::Never;
        }
        if status >= 500 && status != 501 { Retry::Later } else { Retry::Never }
    }

    pub(super) fn may_see_token(&self, url: &str) -> bool {
        let origin = |url: &str| {
            let uri: Uri = url.parse().ok()?;
            Some((uri.scheme_str()?.to_owned(), uri.authority()?.as_str().to_owned()))
        };
        let (own, other) = (origin(&self.base), origin(url));
        let pair = |host: &str| Some(("https".to_owned(), host.to_owned()));
        other.is_some()
            && (own == other
                || own == pair("api.github.com") && other == pair("uploads.github.com"))
    }
}

/// Parses the JSON document of a response.
pub(super) fn parse<T: DeserializeOwned>(
    method: &'static str,
    url: &str,
    bytes: &[u8],
) -> Result<T, ApiError> {
    serde_json::from_slice(bytes)
        .map_err(|error| malformed_error(method, url, &format!("the answer: {error}")))
}

/// A response or request that violates the documentation.
pub(super) fn malformed_error(method: &'static str, url: &str, reason: &str) -> ApiError {
    ApiError {
        method,
        place: place(url),
        reason: reason.to_owned(),
        status: None,
        codes: Vec::new(),
        retry: Retry::Never,
    }
}

pub(super) fn transport(method: &'static str, url: &str, error: &ureq::Error) -> ApiError {
    let retry = match error {
        // ureq reports an untrusted certificate as invalid data, which is permanent.
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => Retry::Never,
        ureq::Error::Io(_)
        | ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed => Retry::Later,
        _ => Retry::Never,
    };
    let reason = error.to_string();
    ApiError { method, place: place(url), reason, status: None, codes: Vec::new(), retry }
}

/// Host and path of a URL, for messages.
fn place(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('?').next().unwrap_or_default().to_owned()
}
