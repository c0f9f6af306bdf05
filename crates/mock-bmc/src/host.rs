// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A host's maintenance OS as the controller sees it: it reads both images and reports to the
//! webhook.

use std::io::{self, Cursor};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use iso9660::combined::{self, Part};
use iso9660::reader::Volume;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::machine::{Boot, Source};

/// File on the task ISO that describes how to reach the controller.
const CONTROLLER: &str = "controller.json";

/// The controller that hosts report to.
#[derive(Clone)]
pub struct Host {
    /// The controller, such as `http://127.0.0.1:8080`.
    pub controller: String,
}

/// Credentials of a report, from `controller.json` of the task ISO.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Credentials {
    job: String,
    secret: String,
}

/// The largest `controller.json`.
const LARGEST: u64 = 16 * 1024;

impl Host {
    /// Acts as a host that boots from a virtual CD: reads all images and reports success with the
    /// credentials of the task ISO. A boot from the disk does nothing.
    ///
    /// # Errors
    /// When an image cannot be read, there is no task, or the report is refused.
    pub async fn run(&self, boot: &Boot) -> io::Result<()> {
        if boot.source == Source::Disk {
            return Ok(());
        }
        let mut found = None;
        for image in &boot.images {
            let (status, bytes) = call(Method::GET, image, None, None).await?;
            if status != 200 {
                return Err(io::Error::other(format!("image: status {status}")));
            }
            found = found.or(credentials(bytes)?);
        }
        let task = found.ok_or_else(|| io::Error::other("no image contains a task"))?;
        let report = json!({"status": "success", "job_id": task.job});
        let status = self.report(&boot.serial, &task.secret, &report).await?;
        if status == 200 {
            Ok(())
        } else {
            Err(io::Error::other(format!("webhook: status {status}")))
        }
    }

    /// Sends a report to the webhook. Returns the status of the answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn report(&self, serial: &str, secret: &str, report: &Value) -> io::Result<u16> {
        let url = format!("{}/api/v1/status-webhook/{serial}", self.controller);
        let (status, _) = call(Method::POST, &url, Some(report), Some(secret)).await?;
        Ok(status)
    }
}

/// Credentials in `controller.json`, if the image is a task ISO or a combined image.
fn credentials(image: Vec<u8>) -> io::Result<Option<Credentials>> {
    let size = image.len() as u64;
    let mut image = Cursor::new(image);
    let range = combined::find(&mut image)?.unwrap_or(0..size);
    let Ok(mut volume) = Volume::open(Part::new(image, range)) else { return Ok(None) };
    let Ok(file) = volume.find(CONTROLLER) else { return Ok(None) };
    let bytes = volume.read_file(&file, LARGEST).map_err(io::Error::other)?;
    let access: Value = serde_json::from_slice(&bytes)?;
    let text = |field: &str| access[field].as_str().map(str::to_owned);
    Ok(text("job_id").zip(text("webhook_secret")).map(|(job, secret)| Credentials { job, secret }))
}

/// Sends one request over plain HTTP. Returns status and body.
async fn call(
    method: Method,
    url: &str,
    body: Option<&Value>,
    secret: Option<&str>,
) -> io::Result<(u16, Vec<u8>)> {
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
        let body = answer.into_body().collect().await.map_err(io::Error::other)?;
        Ok((status, Vec::from(body.to_bytes())))
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

#[cfg(test)]
mod tests {
    use iso9660::combined::CombinedPadding;
    use iso9660::task::TaskIso;

    use super::*;

    #[test]
    fn a_task_is_found_alone_and_behind_another_image() {
        let controller = json!({"job_id": "j1", "webhook_secret": "s1"}).to_string().into_bytes();
        let task =
            TaskIso { job_id: "j1".to_owned(), controller: Some(controller), ..TaskIso::default() };
        let task = task.to_bytes().unwrap();
        let expected = Credentials { job: "j1".to_owned(), secret: "s1".to_owned() };
        assert_eq!(credentials(task.clone()).unwrap().as_ref(), Some(&expected));
        let padding = CombinedPadding::new(5000, task.len() as u64);
        let both = [&[1; 5000][..], &vec![0; padding.padding], &task, &padding.end].concat();
        assert_eq!(credentials(both).unwrap(), Some(expected));
        assert_eq!(credentials(vec![1; 5000]).unwrap(), None);
    }
}
