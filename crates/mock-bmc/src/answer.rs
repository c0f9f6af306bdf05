// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Redfish answers (DSP0266, sections 8.4 and 8.6).

use std::io::Write as _;

use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::personality::Encoding;

/// The body is encoded when the answer is sent.
pub(crate) type Answer = Response<Bytes>;

pub(crate) fn json(status: StatusCode, value: &Value) -> Answer {
    let mut answer = Response::new(Bytes::from(value.to_string()));
    *answer.status_mut() = status;
    with(answer, CONTENT_TYPE, "application/json")
}

pub(crate) fn empty() -> Answer {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

pub(crate) fn with_etag(value: &Value, etag: Option<String>) -> Answer {
    let answer = json(StatusCode::OK, value);
    match etag {
        Some(etag) => with(answer, ETAG, &etag),
        None => answer,
    }
}

/// A refusal with one message: its id, its text, and its property.
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

pub(crate) fn with(mut answer: Answer, name: HeaderName, value: &str) -> Answer {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
    answer
}

/// The answer behind a proxy that prefixes every link.
pub(crate) fn rewrite_links(answer: Answer, prefix: &str) -> Answer {
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.map(|path| format!("{prefix}{path}"));
    let answer = answer.map(|body| {
        let text = String::from_utf8_lossy(&body);
        Bytes::from(text.replace("\"/redfish/", &format!("\"{prefix}/redfish/")))
    });
    location.iter().fold(answer, |answer, location| with(answer, LOCATION, location))
}

/// The answer in an encoding that was not requested.
pub(crate) fn encode(answer: Answer, encoding: Encoding) -> Answer {
    if answer.body().is_empty() {
        return answer;
    }
    match encoding {
        Encoding::Plain => answer,
        Encoding::Marked => answer.map(|body| [b"\xEF\xBB\xBF", &*body].concat().into()),
        Encoding::Gzip => {
            let answer = answer.map(|body| {
                let level = flate2::Compression::fast();
                let mut out = flate2::write::GzEncoder::new(Vec::new(), level);
                // Writing to memory does not fail.
                out.write_all(&body).ok();
                out.finish().unwrap_or_default().into()
            });
            with(answer, CONTENT_ENCODING, "gzip")
        }
    }
}
