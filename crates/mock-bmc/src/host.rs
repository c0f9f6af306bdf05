// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What the maintenance OS does on a machine, as far as the controller sees it: reads both images
//! and reports to the webhook.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::machine::{Boot, Source};

/// Where machines report to.
#[derive(Clone)]
pub struct Host {
    /// The controller, such as `http://127.0.0.1:8080`.
    pub controller: String,
    /// What the header `X-Webhook-Secret` holds.
    pub secret: String,
}

impl Host {
    /// Does what a machine does that starts from a virtual CD: reads all images whole and reports
    /// success. A start from the disk does nothing.
    ///
    /// # Errors
    /// When an image can't be read, or the report is not taken.
    pub async fn run(&self, boot: &Boot) -> io::Result<()> {
        if boot.source == Source::Disk {
            return Ok(());
        }
        for image in &boot.images {
            let (status, _) = call(Method::GET, image, None, None).await?;
            if status != 200 {
                return Err(io::Error::other(format!("image: status {status}")));
            }
        }
        let status = self.report(&boot.serial, &json!({"status": "success"})).await?;
        if status == 200 {
            Ok(())
        } else {
            Err(io::Error::other(format!("webhook: status {status}")))
        }
    }

    /// Sends a report of the machine to the webhook. The status of the answer is returned.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn report(&self, serial: &str, report: &Value) -> io::Result<u16> {
        let url = format!("{}/api/v1/status-webhook/{serial}", self.controller);
        let (status, _) = call(Method::POST, &url, Some(report), Some(&self.secret)).await?;
        Ok(status)
    }
}

/// One request over plain HTTP; the status and the length of the answer.
async fn call(
    method: Method,
    url: &str,
    body: Option<&Value>,
    secret: Option<&str>,
) -> io::Result<(u16, usize)> {
    let uri: Uri = url.parse().map_err(io::Error::other)?;
    let authority = uri.authority().ok_or_else(|| io::Error::other("a URL without a host"))?;
    let port = authority.port_u16().unwrap_or(80);
    let stream = TcpStream::connect((authority.host(), port)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let mut request = Request::new(Full::new(match body {
        Some(body) => Bytes::from(body.to_string()),
        None => Bytes::new(),
    }));
    *request.method_mut() = method;
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(authority.as_str()).map_err(io::Error::other)?);
    if body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(secret) = secret {
        let secret = HeaderValue::from_str(secret).map_err(io::Error::other)?;
        headers.insert("x-webhook-secret", secret);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = path.parse().map_err(io::Error::other)?;
    let exchange = async {
        let answer = sender.send_request(request).await.map_err(io::Error::other)?;
        let status = answer.status().as_u16();
        let mut length = 0;
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(io::Error::other)?;
            length += frame.data_ref().map_or(0, Bytes::len);
        }
        Ok((status, length))
    };
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        result = &mut exchange => result,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(io::Error::other(error)),
        },
    }
}
