// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! One HTTP request, with a reused connection, a time limit and a size limit.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use crate::decode::decode;
use crate::error::{Error, Result};
use crate::tls::TlsPolicy;

/// Longest answer that is read. Expanded collections of real BMCs have some hundred KiB.
const LIMIT: usize = 2 * 1024 * 1024;
/// Most bytes that are read of one BMC in a session: ten minutes of polling large resources take
/// less.
const TOTAL: usize = 64 * 1024 * 1024;
/// How long an idle connection is kept: a step makes its calls in sequence, and some BMCs fail with
/// long-lived connections (source of sushy's connector).
const IDLE: Duration = Duration::from_secs(5);

pub(crate) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
    /// Remaining decoded bytes.
    left: AtomicUsize,
}

/// A complete answer.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Transport {
    pub(crate) fn new(tls: &TlsPolicy, timeout: Duration) -> Result<Self> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.config()?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(1)
            .build(connector);
        Ok(Self { client, timeout, left: AtomicUsize::new(TOTAL) })
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response> {
        let call = format!("{} {}", request.method(), request.uri().path());
        let work = async {
            let response = self.client.request(request).await.map_err(|error| {
                let reason = causes(&error);
                if error.is_connect() && is_tls(&error) {
                    return Error::Tls(reason);
                }
                Error::Transport { call: call.clone(), sent: !error.is_connect(), reason }
            })?;
            let (parts, body) = response.into_parts();
            let left = self.left.load(Ordering::Relaxed);
            let body = Limited::new(body, LIMIT.min(left)).collect().await.map_err(|error| {
                let reason = format!("the response was cut off: {error}");
                if error.is::<LengthLimitError>() {
                    let reason = if left < LIMIT {
                        format!("the responses are longer than {TOTAL} bytes in total")
                    } else {
                        format!("the response is longer than {LIMIT} bytes")
                    };
                    return Error::Answer { call: call.clone(), reason };
                }
                Error::Transport { call: call.clone(), sent: true, reason }
            })?;
            let body = decode(&parts.headers, body.to_bytes(), LIMIT)
                .map_err(|reason| Error::Answer { call: call.clone(), reason })?;
            let less = |left: usize| Some(left.saturating_sub(body.len()));
            // It is overwritten in any case.
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok();
            Ok(Response { status: parts.status, headers: parts.headers, body })
        };
        match tokio::time::timeout(self.timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(Error::Timeout { call, after: self.timeout }),
        }
    }
}

/// The error and its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    line
}

/// Whether the TLS handshake failed, which a retry cannot fix. A connection that broke during it
/// does not count.
fn is_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    if error.is::<rustls::Error>() {
        return true;
    }
    // `io::Error` does not return its inner error as the source.
    let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    match inner {
        Some(inner) => is_tls(inner),
        None => error.source().is_some_and(is_tls),
    }
}
