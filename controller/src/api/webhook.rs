// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `POST /api/v1/status-webhook/{serial}`: machines report how their task ended.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Response, StatusCode};
use recipe::ShortText;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::problem::Problem;
use super::{Api, SMALL_BODY, address, body, json, parameter, parse};
use crate::jobs::bmc::Secret;
use crate::jobs::model::{JobId, Step};
use crate::jobs::store::{self, Report, Taken};

/// The header that carries the secret.
const SECRET: HeaderName = HeaderName::from_static("x-webhook-secret");

/// Marks requests of a client whose certificate was issued by the configured authority.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TrustedCertificate;

/// The secrets that machines may send: two while one is being replaced.
pub(crate) struct Secrets(Vec<Secret>);

impl Secrets {
    pub(crate) fn new(secrets: Vec<Secret>) -> Self {
        Self(secrets)
    }

    /// Whether one of the secrets was sent. Takes as long whichever it was, and as long for none: what is
    /// compared are digests, which all have one length.
    fn accept(&self, headers: &HeaderMap) -> bool {
        let Some(sent) = headers.get(SECRET) else { return false };
        let sent = Sha256::digest(sent.as_bytes());
        let mut right = Choice::from(0);
        for secret in &self.0 {
            right |= Sha256::digest(secret.expose()).ct_eq(&sent);
        }
        right.into()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Success,
    Failed,
}

/// What machines send. Fields that are not known are ignored, so that a newer maintenance OS can report to an
/// older controller.
#[derive(Deserialize)]
struct Sent {
    status: Status,
    failed_step: Option<String>,
    delivery_id: Option<String>,
    job_id: Option<String>,
    task_target: Option<String>,
    dispatcher_version: Option<String>,
    schema_id: Option<String>,
    started_at: Option<String>,
    finished_at: Option<String>,
}

impl Sent {
    fn check(self) -> Result<Report, Problem> {
        let wrong = |field: &str, expected: &str| {
            Problem::bad_request(format!("{field}: expected {expected}"))
        };
        let failed = match (self.status, self.failed_step) {
            (Status::Success, None) => None,
            (Status::Success, Some(_)) => {
                return Err(wrong("failed_step", "nothing with the status success"));
            }
            (Status::Failed, unit) => {
                let unit = unit.as_deref().and_then(Step::workflow);
                Some(unit.ok_or_else(|| {
                    wrong("failed_step", "the unit that failed, such as image-linux.service")
                })?)
            }
        };
        let job_id = self.job_id.as_deref().map(str::parse::<JobId>).transpose();
        let job_id = job_id.map_err(|e| Problem::bad_request(format!("job_id: {e}")))?;
        let mut details = String::new();
        for (field, value) in [
            ("task_target", self.task_target),
            ("dispatcher_version", self.dispatcher_version),
            ("schema_id", self.schema_id),
            ("started_at", self.started_at),
            ("finished_at", self.finished_at),
        ] {
            let Some(value) = value else { continue };
            let value: ShortText =
                value.parse().map_err(|e| Problem::bad_request(format!("{field}: {e}")))?;
            // Writing to a String can't fail.
            write!(details, "; {field} {value}").ok();
        }
        let delivery_id = self.delivery_id.map(|id| id.parse::<ShortText>());
        let delivery_id = delivery_id
            .transpose()
            .map_err(|e| Problem::bad_request(format!("delivery_id: {e}")))?
            .map(|id| id.to_string());
        Ok(Report { failed, delivery_id, job_id, details })
    }
}

/// Takes a report.
pub(super) async fn report(
    State(api): State<Api>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    api.failed_logins.check(address(&request))?;
    let by_certificate = request.extensions().get::<TrustedCertificate>().is_some();
    if !by_certificate && !api.webhook.accept(request.headers()) {
        api.login_failed(address(&request));
        let message = "expected one of the secrets in X-Webhook-Secret";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message));
    }
    let serial = parameter(&request)?;
    let sent: Sent = parse(&body(request, SMALL_BODY).await?)?;
    let report = sent.check()?;
    let of = serial.clone();
    let taken = api
        .database
        .write(move |c| {
            let taken = store::report(c, &of, &report)?;
            let number = match taken {
                Taken::Recorded(id) => Some(store::by_id(c, id)?.number),
                _ => None,
            };
            Ok::<_, store::StoreError>((taken, number))
        })
        .await?;
    if let Some(number) = taken.1 {
        api.runner.changed(number);
    }
    let (result, job) = match taken.0 {
        Taken::Recorded(job) => ("recorded", job),
        Taken::Duplicate(job) => ("duplicate", job),
        Taken::Ended(job) => ("ended", job),
        Taken::Unknown => {
            let message = format!("no job of the server {serial} awaits a report");
            return Err(Problem::not_found("job_unknown", message));
        }
    };
    tracing::info!(serial, %job, result, "report");
    api.metrics.report(result);
    Ok(json(StatusCode::OK, &json!({ "job_id": job.to_string(), "result": result })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_is_accepted_and_nothing_else() {
        let secrets = Secrets::new(vec![Secret::new("old"), Secret::new("new")]);
        let sends = |text: &'static str| {
            HeaderMap::from_iter([(SECRET, axum::http::HeaderValue::from_static(text))])
        };
        assert!(secrets.accept(&sends("old")) && secrets.accept(&sends("new")));
        for wrong in ["", "ol", "oldnew", "OLD"] {
            assert!(!secrets.accept(&sends(wrong)), "{wrong}");
        }
        assert!(!secrets.accept(&HeaderMap::new()));
        assert!(!Secrets::new(Vec::new()).accept(&sends("")));
    }

    #[test]
    fn reports_are_checked() {
        let check = |text: &str| {
            serde_json::from_str::<Sent>(text)
                .map_err(|e| e.to_string())
                .and_then(|sent| sent.check().map_err(|problem| format!("{problem:?}")))
        };
        let failed = check(r#"{"status":"failed","failed_step":"a.service","later":1}"#).unwrap();
        assert_eq!(failed.failed.unwrap().to_string(), "workflow.a.service");
        assert!(check(r#"{"status":"success","job_id":null}"#).unwrap().failed.is_none());
        for bad in [
            "{}",
            r#"{"status":"done"}"#,
            r#"{"status":"failed"}"#,
            r#"{"status":"failed","failed_step":"a b"}"#,
            r#"{"status":"success","failed_step":"a.service"}"#,
            r#"{"status":"success","job_id":"1"}"#,
            r#"{"status":"success","delivery_id":""}"#,
            r#"{"status":"success","dispatcher_version":"a\nb"}"#,
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
