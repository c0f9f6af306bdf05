// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Answers as Redfish has them (DSP0266, sections 8.4 and 8.6).

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

pub(crate) type Answer = Response<Full<Bytes>>;

pub(crate) fn json(status: StatusCode, value: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(value.to_string())));
    *answer.status_mut() = status;
    with(answer, CONTENT_TYPE, "application/json")
}

pub(crate) fn empty() -> Answer {
    let mut answer = Response::new(Full::new(Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

pub(crate) fn versioned(value: &Value, etag: Option<String>) -> Answer {
    let answer = json(StatusCode::OK, value);
    match etag {
        Some(etag) => with(answer, ETAG, &etag),
        None => answer,
    }
}

/// A refusal with one message: its id, its text, and what it speaks of.
pub(crate) fn refusal(status: StatusCode, id: &str, text: &str, arguments: &[&str]) -> Answer {
    let text = format!("{text} {}", arguments.join(" "));
    let text = text.trim_end();
    let message = json!({"MessageId": id, "Message": text, "MessageArgs": arguments});
    let error = json!({"code": id, "message": text, "@Message.ExtendedInfo": [message]});
    json(status, &json!({"error": error}))
}

pub(crate) fn not_found() -> Answer {
    refusal(StatusCode::NOT_FOUND, "Base.1.18.ResourceMissingAtURI", "There is nothing here.", &[])
}

pub(crate) fn later(answer: Answer, seconds: u64) -> Answer {
    with(answer, RETRY_AFTER, &seconds.to_string())
}

pub(crate) fn located(answer: Answer, path: &str) -> Answer {
    with(answer, LOCATION, path)
}

pub(crate) fn with(mut answer: Answer, name: HeaderName, value: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}
