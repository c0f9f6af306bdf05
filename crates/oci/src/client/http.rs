// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Sends one request: redirects, authentication and retries.

use std::io::{self, Read, Seek, SeekFrom};
use std::time::{Duration, Instant, SystemTime};

use ureq::AsSendBody;
use ureq::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, HeaderMap, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE,
};
use ureq::http::{self, HeaderName, HeaderValue, Method};

use super::Client;
use super::auth::{self, Authorization, Challenge, Scope};
use super::credentials::Credentials;
use super::error::{Call, ClientError, parse_errors};
use super::pace::{self, Paced};
use super::retry::retry_after;
use super::url::Url;

pub(super) type Response = http::Response<ureq::Body>;

/// Maximum number of redirects, followed for reads only.
const REDIRECTS: usize = 5;
/// Maximum size of an error or token response, in bytes.
const SMALL: u64 = 256 * 1024;

/// A request body that can be sent again from any offset.
pub trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

pub(super) enum Body<'a> {
    None,
    Bytes(&'a [u8]),
    /// `length` bytes of `source` from the offset `start`.
    Stream {
        source: &'a mut dyn Source,
        start: u64,
        length: u64,
    },
}

pub(super) struct Request<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: Body<'a>,
    pub(super) scope: Scope,
    /// When the whole response must be there; `None` for bodies of any size.
    pub(super) deadline: Option<Instant>,
}

impl Request<'_> {
    pub(super) fn call(&self) -> Call {
        call(&self.method, &self.url)
    }

    pub(super) fn protocol_error(&self, reason: impl Into<String>) -> ClientError {
        ClientError::Protocol { call: self.call(), reason: reason.into() }
    }
}

fn call(method: &Method, url: &Url) -> Call {
    let name = match *method {
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "GET",
    };
    Call { method: name, host: url.host.clone(), path: url.path().to_owned() }
}

/// A header as text; `None` if it is missing or not text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

impl Client {
    /// Retries `attempt` while its failures are transient and the policy allows.
    pub(super) fn with_retries<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let mut failures = 0;
        loop {
            match attempt() {
                Err(error) if error.is_transient() => {
                    failures += 1;
                    self.pause(failures, error)?;
                }
                result => return result,
            }
        }
    }

    /// Waits after `failures` failures, or returns the last error.
    pub(super) fn pause(&self, failures: u32, error: ClientError) -> Result<(), ClientError> {
        match self.options().retry.wait(failures, error.retry_after()) {
            Some(wait) => {
                std::thread::sleep(wait);
                Ok(())
            }
            None => Err(error),
        }
    }

    /// Sends a request with retries and reads the whole response, at most `limit` bytes.
    pub(super) fn call_for_bytes(
        &self,
        request: &mut Request<'_>,
        expected: &[u16],
        limit: u64,
    ) -> Result<(http::response::Parts, Vec<u8>), ClientError> {
        self.with_retries(|| {
            let (parts, body) = self.call_once(request, expected)?.into_parts();
            Ok((parts, self.read_body(request.call(), body, limit)?))
        })
    }

    /// Sends a request with retries; the result is in the response headers.
    pub(super) fn call(
        &self,
        request: &mut Request<'_>,
        expected: &[u16],
    ) -> Result<http::response::Parts, ClientError> {
        self.call_for_bytes(request, expected, SMALL).map(|(parts, _)| parts)
    }

    /// Sends a request without retries, authenticating on a challenge.
    pub(super) fn call_once(
        &self,
        request: &mut Request<'_>,
        expected: &[u16],
    ) -> Result<Response, ClientError> {
        let known = self.tokens().get(&request.scope);
        let mut response = self.exchange(request, known.as_ref())?;
        if response.status() == 401
            && let Some(authorization) = self.authenticate(request, response.headers())?
        {
            response = self.exchange(request, Some(&authorization))?;
        }
        if expected.contains(&response.status().as_u16()) {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let retry_after = header(&parts.headers, RETRY_AFTER.as_str())
            .and_then(|value| retry_after(value, SystemTime::now()));
        Err(ClientError::Status {
            call: request.call(),
            status: parts.status.as_u16(),
            // The error details are optional: if the body can't be read, the status remains.
            errors: self
                .read_body(request.call(), body, SMALL)
                .map(|b| parse_errors(&b))
                .unwrap_or_default(),
            retry_after,
        })
    }

    /// Sends the request and follows redirects. `authorization` is sent to the registry only.
    fn exchange(
        &self,
        request: &mut Request<'_>,
        authorization: Option<&Authorization>,
    ) -> Result<Response, ClientError> {
        let reads = matches!(request.method, Method::GET | Method::HEAD);
        let mut url = request.url.clone();
        for _ in 0..=REDIRECTS {
            let shown = authorization.filter(|_| url.same_origin(self.base()));
            let response = self.send(request, &url, shown)?;
            if !reads || !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let next = header(response.headers(), LOCATION.as_str()).and_then(|l| url.resolve(l));
            url = next.ok_or_else(|| {
                request.protocol_error(
                    "redirect without a valid Location; redirects from https to http are rejected",
                )
            })?;
        }
        Err(request.protocol_error(format!("more than {REDIRECTS} redirects")))
    }

    fn send(
        &self,
        request: &mut Request<'_>,
        url: &Url,
        authorization: Option<&Authorization>,
    ) -> Result<Response, ClientError> {
        let call = call(&request.method, url);
        let left = match pace::remaining(request.deadline) {
            Ok(left) => left,
            Err(source) => return Err(ClientError::Transport { call, source, transient: false }),
        };
        let malformed = |e: http::Error| ClientError::Protocol {
            call: call.clone(),
            reason: format!("cannot build the request: {e}"),
        };
        let mut builder = http::Request::builder().method(&request.method).uri(url.to_string());
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(authorization) = authorization {
            let mut value =
                HeaderValue::from_str(authorization.value()).map_err(|e| malformed(e.into()))?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        let result = match &mut request.body {
            Body::None => self.run(builder.body(()).map_err(malformed)?, left),
            Body::Bytes(bytes) => self.run(builder.body(*bytes).map_err(malformed)?, left),
            Body::Stream { source, start, length } => {
                let unreadable = |source| ClientError::Source { call: call.clone(), source };
                source.seek(SeekFrom::Start(*start)).map_err(unreadable)?;
                let mut part = Part { source: *source, left: *length, fault: None };
                let body = ureq::SendBody::from_reader(&mut part);
                let sent = builder
                    .header(CONTENT_LENGTH, *length)
                    .body(body)
                    .map_err(malformed)
                    .map(|sent| self.run(sent, left))?;
                if let Some(fault) = part.fault {
                    return Err(unreadable(fault));
                }
                sent
            }
        };
        result.map_err(|error| transport_error(call, error))
    }

    /// Sends a request whose response, with its body, must be there after `limit`.
    fn run(
        &self,
        request: http::Request<impl AsSendBody>,
        limit: Option<Duration>,
    ) -> Result<Response, ureq::Error> {
        let agent = self.agent();
        agent.run(agent.configure_request(request).timeout_global(limit).build())
    }

    /// Authenticates with one of the challenges in `headers`, if one is supported.
    fn authenticate(
        &self,
        request: &Request<'_>,
        headers: &HeaderMap,
    ) -> Result<Option<Authorization>, ClientError> {
        let mut challenges: Vec<Challenge> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(auth::parse)
            .collect();
        // Prefer tokens: they expose less than a password.
        challenges.sort_by_key(|challenge| *challenge == Challenge::Basic);
        let credentials = self.credentials(&request.scope)?;
        for challenge in challenges {
            let (authorization, lifetime) = match challenge {
                Challenge::Basic => match credentials.as_ref().and_then(auth::answer_basic) {
                    Some(authorization) => (authorization, None),
                    None => continue,
                },
                Challenge::Bearer { realm, service, scope } => {
                    let scopes = auth::scopes(scope.as_deref(), &request.scope);
                    let realm = self.base().resolve(&realm).ok_or_else(|| {
                        request.protocol_error(
                            "the URL of the token server is invalid, or downgrades https to http",
                        )
                    })?;
                    let (authorization, lifetime) = self.fetch_token(
                        &realm,
                        service.as_deref(),
                        &scopes,
                        credentials.as_ref(),
                        request.deadline.or_else(|| self.deadline()),
                    )?;
                    (authorization, Some(lifetime))
                }
            };
            self.tokens().put(request.scope.clone(), authorization.clone(), lifetime);
            return Ok(Some(authorization));
        }
        Ok(None)
    }

    fn fetch_token(
        &self,
        realm: &Url,
        service: Option<&str>,
        scopes: &[String],
        credentials: Option<&Credentials>,
        deadline: Option<Instant>,
    ) -> Result<(Authorization, Duration), ClientError> {
        let form = match credentials {
            Some(Credentials::IdentityToken(token)) => {
                Some(Challenge::form(service, scopes, token))
            }
            _ => None,
        };
        let basic = credentials.and_then(auth::answer_basic);
        let mut request = match &form {
            Some(form) => Request {
                method: Method::POST,
                url: realm.clone(),
                headers: vec![(
                    http::header::CONTENT_TYPE,
                    "application/x-www-form-urlencoded".to_owned(),
                )],
                body: Body::Bytes(form.as_bytes()),
                scope: Scope(Vec::new()),
                deadline,
            },
            None => Request {
                method: Method::GET,
                url: realm.with_query(&Challenge::query(service, scopes)),
                headers: Vec::new(),
                body: Body::None,
                scope: Scope(Vec::new()),
                deadline,
            },
        };
        let url = request.url.clone();
        let response = self.send(&mut request, &url, basic.as_ref())?;
        let (parts, body) = response.into_parts();
        let body = self.read_body(request.call(), body, SMALL)?;
        if parts.status != 200 {
            return Err(ClientError::Status {
                call: request.call(),
                status: parts.status.as_u16(),
                errors: parse_errors(&body),
                retry_after: None,
            });
        }
        auth::read_token(&body).ok_or_else(|| request.protocol_error("the response has no token"))
    }

    fn read_body(&self, call: Call, body: ureq::Body, limit: u64) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        let body = Paced::new(body, self.options().rate);
        match body.take(limit + 1).read_to_end(&mut bytes) {
            Err(source) => Err(ClientError::Transport { call, source, transient: true }),
            Ok(_) if bytes.len() as u64 > limit => Err(ClientError::Protocol {
                call,
                reason: format!("the response is larger than {limit} bytes"),
            }),
            Ok(_) => Ok(bytes),
        }
    }
}

/// Part of a source; keeps its read error, to distinguish it from connection errors.
struct Part<'a> {
    source: &'a mut dyn Source,
    left: u64,
    fault: Option<io::Error>,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..wanted).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        let fault = match self.source.read(buffer) {
            Ok(0) => io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than described"),
            Ok(n) => {
                self.left -= n as u64;
                return Ok(n);
            }
            Err(e) => e,
        };
        let kind = fault.kind();
        self.fault = Some(fault);
        Err(kind.into())
    }
}

fn transport_error(call: Call, error: ureq::Error) -> ClientError {
    let transient = match &error {
        // ureq reports an untrusted certificate as invalid data, which is permanent.
        ureq::Error::Io(e) => e.kind() != io::ErrorKind::InvalidData,
        ureq::Error::Timeout(_) | ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        _ => false,
    };
    let mut source = error.into_io();
    let inner = source.get_ref().and_then(|it| it.downcast_ref::<rustls::Error>());
    if let Some(rustls::Error::InvalidMessage(_)) = inner {
        let text = format!(
            "the server does not use TLS ({source}); if that is right, write http://{}",
            call.host
        );
        source = io::Error::new(source.kind(), text);
    }
    ClientError::Transport { call, source, transient }
}
