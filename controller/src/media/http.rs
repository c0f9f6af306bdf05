// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/media/tasks/EXPIRES/TOKEN/JOB/task.iso`, `/media/static/EXPIRES/TOKEN/NAME.iso` and
//! `/media/firmware/EXPIRES/TOKEN/NAME`: GET with ranges, HEAD. The form `/media/tasks/JOB/task.iso?expires=EXPIRES&sig=TOKEN` is accepted too.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, Response, StatusCode, header};
use axum::routing::any;
use serde_json::json;

use super::content::{Content, OpenedContent};
use super::image::Image;
use super::{Media, MediaError, token};
use crate::blocking::IMAGES;
use crate::file_service::{self, ServedFile};

impl Media {
    /// Router for `/media`.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().route("/media/{*path}", any(handle)).with_state(self)
    }
}

/// Redacts the token of a path for logs: it grants access to the image.
pub(crate) fn redact_path(path: &str) -> Cow<'_, str> {
    let token = path.strip_prefix("/media/").and_then(|rest| rest.split('/').nth(2));
    match token {
        Some(token) if !token.is_empty() => Cow::Owned(path.replacen(token, "…", 1)),
        _ => Cow::Borrowed(path),
    }
}

/// A parsed media URL.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    content: Content,
    /// Seconds since 1970.
    expires: u64,
    token: &'a str,
}

impl<'a> Address<'a> {
    /// None: not a media URL.
    fn parse(path: &'a str, query: Option<&'a str>) -> Option<Self> {
        let parts: Vec<&str> = path.strip_prefix("/media/")?.split('/').collect();
        let (content, signed) = match *parts.as_slice() {
            ["tasks", expires, token, job, "task.iso"] => {
                (parse_one(Image::task(job)), Some((expires, token)))
            }
            ["tasks", job, "task.iso"] => (parse_one(Image::task(job)), None),
            ["static", expires, token, name] => {
                (parse_one(Image::from_name(name)), Some((expires, token)))
            }
            ["static", name] => (parse_one(Image::from_name(name)), None),
            ["firmware", expires, token, name] => {
                (parse_one(Image::firmware(name)), Some((expires, token)))
            }
            ["combined", expires, token, job, name] => {
                (parse_combined(job, name), Some((expires, token)))
            }
            ["combined", job, name] => (parse_combined(job, name), None),
            _ => return None,
        };
        // Digits and base64url need no percent-encoding.
        let value =
            |name| query?.split('&').filter_map(|p| p.split_once('=')).find(|p| p.0 == name);
        let (expires, token) = match signed {
            Some(signed) => signed,
            None => (value("expires")?.1, value("sig")?.1),
        };
        let digits = expires.bytes().all(|b| b.is_ascii_digit());
        let expires = expires.parse().ok().filter(|_| digits)?;
        Some(Self { content: content?, expires, token })
    }
}

fn parse_one<E>(image: Result<Image, E>) -> Option<Content> {
    Some(Content::One(image.ok()?))
}

fn parse_combined(job: &str, name: &str) -> Option<Content> {
    Some(Content::Combined { boot: Image::from_name(name).ok()?, task: Image::task(job).ok()? })
}

async fn handle(State(media): State<Arc<Media>>, request: Request) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let message = "method not allowed: expected GET or HEAD";
        let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let uri = request.uri();
    let Some(address) = Address::parse(uri.path(), uri.query()) else {
        let message = "not a media URL";
        return refusal(StatusCode::NOT_FOUND, "not_found", message);
    };
    let opened = match open(&media, &address.content).await {
        Ok(found) => found,
        // Do not reveal which images exist.
        Err(MediaError::Missing { path }) => {
            tracing::warn!(path = %path.display(), "the requested image does not exist");
            return forbidden();
        }
        Err(error) => {
            tracing::error!(%error, "cannot read an image");
            let message = "cannot read the image, see the log";
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal", message);
        }
    };
    if !media.key.verify(address.token, &address.content, address.expires, &opened.digest) {
        return forbidden();
    }
    if token::seconds(SystemTime::now()) > address.expires {
        return refusal(StatusCode::GONE, "media_expired", "this URL has expired");
    }
    let served = ServedFile {
        pieces: opened.pieces,
        content_type: HeaderValue::from_static("application/octet-stream"),
        etag: opened.etag,
        modified: opened.modified,
    };
    file_service::respond(&request, served)
}

async fn open(media: &Arc<Media>, content: &Content) -> Result<OpenedContent, MediaError> {
    if let Some(opened) = media.open_cached_content(content) {
        return Ok(opened);
    }
    let (media, content) = (Arc::clone(media), content.clone());
    IMAGES.run(move || media.open_content(&content)).await.map_err(MediaError::Task)?
}

fn forbidden() -> Response<Body> {
    refusal(StatusCode::FORBIDDEN, "media_forbidden", "invalid signature")
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let body = json!({ "error": code, "message": message }).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_url_forms_are_parsed() {
        let task = || parse_one(Image::task("j-1")).unwrap();
        let fixed = || parse_one(Image::from_name("m.iso")).unwrap();
        let firmware = || parse_one(Image::firmware("f.bin")).unwrap();
        let both = || parse_combined("j-1", "m.iso").unwrap();
        for (path, query, expected) in [
            ("/media/tasks/17/T/j-1/task.iso", None, Some((task(), 17, "T"))),
            ("/media/tasks/17/T/j-1/task.iso", Some("expires=9&sig=x"), Some((task(), 17, "T"))),
            ("/media/tasks/j-1/task.iso", Some("expires=17&sig=T"), Some((task(), 17, "T"))),
            ("/media/static/17/T/m.iso", None, Some((fixed(), 17, "T"))),
            ("/media/static/m.iso", Some("a&sig=T&expires=17&b=c"), Some((fixed(), 17, "T"))),
            ("/media/combined/17/T/j-1/m.iso", None, Some((both(), 17, "T"))),
            ("/media/combined/j-1/m.iso", Some("expires=17&sig=T"), Some((both(), 17, "T"))),
            ("/media/combined/17/T/../m.iso", None, None),
            ("/media/combined/17/T/j-1/m.img", None, None),
            ("/media/static/m.iso", None, None),
            ("/media/static/m.iso", Some("sig=T"), None),
            ("/media/static/+17/T/m.iso", None, None),
            ("/media/static//T/m.iso", None, None),
            ("/media/static/17/T/m.img", None, None),
            ("/media/static/17/T/../m.iso", None, None),
            ("/media/tasks/17/T/j-1/other.iso", None, None),
            ("/media/tasks/17/T/../task.iso", None, None),
            ("/media/key", None, None),
            ("/media/firmware/17/T/f.bin", None, Some((firmware(), 17, "T"))),
            ("/media/firmware/17/T/../key", None, None),
            ("/media/firmware/17/T/.x", None, None),
        ] {
            let expected =
                expected.map(|(content, expires, token)| Address { content, expires, token });
            assert_eq!(Address::parse(path, query), expected, "{path} {query:?}");
        }
    }

    #[test]
    fn tokens_are_not_logged() {
        let logged = redact_path("/media/tasks/17/secret/j-1/task.iso");
        assert_eq!(logged, "/media/tasks/17/…/j-1/task.iso");
        let logged = redact_path("/media/combined/17/secret/j-1/m.iso");
        assert_eq!(logged, "/media/combined/17/…/j-1/m.iso");
        assert_eq!(redact_path("/media/static/m.iso"), "/media/static/m.iso");
        assert_eq!(redact_path("/v2/a/tags/list"), "/v2/a/tags/list");
    }
}
