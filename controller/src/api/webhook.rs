// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `POST /api/v1/status-webhook/{serial}`: hosts report the result of their task.

use std::net::IpAddr;
use std::time::SystemTime;

use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use recipe::ShortText;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::extract::{Path, RawBody};
use super::problem::Problem;
use super::reply::Json;
use super::views::{self, ReportOutcome, ReportResult, ReportStatus};
use super::{Api, SMALL_BODY};
use crate::client_certificate::ClientCertificate;
use crate::jobs::bmc::Secret;
use crate::jobs::model::{JobId, Step};
use crate::jobs::report_secret;
use crate::jobs::store::{self, Report, ReportReceipt};
use crate::limits::address;
use crate::media::redact;
use crate::metrics::Interface;

/// Header with the webhook secret.
const SECRET: HeaderName = HeaderName::from_static("x-webhook-secret");

/// Secrets that authenticate reports.
pub(crate) struct Secrets {
    /// Keys of job secrets; two during a rotation.
    fleet: Vec<Secret>,
    /// Whether a key itself is accepted, for any job.
    accept_fleet: bool,
}

impl Secrets {
    pub(crate) fn new(fleet: Vec<Secret>, accept_fleet: bool) -> Self {
        Self { fleet, accept_fleet }
    }

    /// Returns whether `sent` authenticates a report of `job`. Compares digests of equal length
    /// without
    /// early exit, so timing does not reveal the secret.
    fn accept(&self, sent: &HeaderValue, job: Option<JobId>) -> bool {
        let sent = Sha256::digest(sent.as_bytes());
        let is = |secret: &Secret| Sha256::digest(secret.expose()).ct_eq(&sent);
        let mut right = Choice::from(0);
        for fleet in &self.fleet {
            if let Some(secret) = job.and_then(|job| report_secret::derive(fleet, job)) {
                right |= is(&secret);
            }
            if self.accept_fleet {
                right |= is(fleet);
            }
        }
        right.into()
    }
}

impl views::Report {
    fn check(self) -> Result<Report, Problem> {
        let wrong = |field: &str, expected: &str| {
            Problem::bad_request(format!("{field}: expected {expected}"))
        };
        let failed = match (self.status, self.failed_step) {
            (ReportStatus::Success, None) => None,
            (ReportStatus::Success, Some(_)) => {
                return Err(wrong("failed_step", "no value with status success"));
            }
            (ReportStatus::Failed, unit) => {
                let unit = unit.as_deref().and_then(Step::workflow);
                Some(unit.ok_or_else(|| {
                    wrong("failed_step", "the unit that failed, such as image-linux.service")
                })?)
            }
        };
        let job_id = self.job_id.as_deref().unwrap_or_default().parse::<JobId>();
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
            details.push_str(&format!("; {field} {value}"));
        }
        let delivery_id = self.delivery_id.map(|id| id.parse::<ShortText>());
        let delivery_id = delivery_id
            .transpose()
            .map_err(|e| Problem::bad_request(format!("delivery_id: {e}")))?
            .map(|id| id.to_string());
        let log = self.log.map(|log| excerpt(&log));
        Ok(Report { failed, delivery_id, job_id, details, log })
    }
}

/// Maximum length of a host's log, in bytes; must be less than that of an event message.
const LONGEST_LOG: usize = 15 * 1024;

/// Returns the end of a host's log, without control characters and possible secrets.
fn excerpt(log: &str) -> String {
    let start = log.ceil_char_boundary(log.len().saturating_sub(LONGEST_LOG));
    let end = log.get(start..).unwrap_or_default();
    let plain: String = end.chars().filter(|c| *c == '\n' || !c.is_control()).collect();
    redact(plain.trim())
}

/// Describes the clock difference of a host if it exceeds the tolerance for slow deliveries. `Date`
/// is the time of sending (RFC 9110, section 6.6.1).
fn clock_difference(date: Option<&HeaderValue>, now: SystemTime) -> Option<String> {
    let sent = httpdate::parse_http_date(date?.to_str().ok()?).ok()?;
    let (difference, direction) = match now.duration_since(sent) {
        Ok(behind) => (behind, "behind"),
        Err(ahead) => (ahead.duration(), "ahead of"),
    };
    let seconds = difference.as_secs();
    (seconds >= CLOCK_TOLERANCE)
        .then(|| format!("; the host's clock is {seconds} s {direction} the controller's"))
}

/// Tolerance in seconds for retries and slow networks.
const CLOCK_TOLERANCE: u64 = 120;

/// Reply to a report without valid authentication, which counts as a failed login of `from`.
/// Authentic reports are not limited, because hosts and attackers may share an address, and a
/// secret of 256 bits cannot be guessed.
fn refuse(api: &Api, from: IpAddr) -> Problem {
    match api.logins.attempt(Interface::Webhook, from) {
        Ok(attempt) => attempt.fail(None),
        Err(exhausted) => return exhausted.into(),
    }
    let message = "expected in X-Webhook-Secret the secret of the job that job_id names, \
                   or a client certificate whose common name or DNS name is the serial number";
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", message)
}

/// Processes a report.
pub(super) async fn report(
    State(api): State<Api>,
    Path(serial): Path<String>,
    request: Request,
) -> Result<Json<ReportResult>, Problem> {
    let from = address(request.extensions());
    let certificate = request.extensions().get::<ClientCertificate>();
    let by_certificate = certificate.is_some_and(|certificate| certificate.is_for(&serial));
    let secret = request.headers().get(SECRET).cloned();
    let date = request.headers().get(header::DATE).cloned();
    if !by_certificate && secret.is_none() {
        return Err(refuse(&api, from));
    }
    let sent = RawBody::<SMALL_BODY>::from_request(request, &api).await?;
    let sent: Result<views::Report, Problem> = sent.parse();
    // Unauthenticated clients get no details of validation.
    let job = sent.as_ref().ok().and_then(|sent| sent.job_id.as_deref()?.parse().ok());
    if !by_certificate && !secret.is_some_and(|secret| api.webhook.accept(&secret, job)) {
        return Err(refuse(&api, from));
    }
    let mut report = sent?.check()?;
    report.details.extend(clock_difference(date.as_ref(), SystemTime::now()));
    let of = serial.clone();
    let taken = api
        .database
        .write(move |c| {
            let taken = store::report(c, &of, &report)?;
            let number = match taken {
                ReportReceipt::Recorded(id) => Some(store::by_id(c, id)?.number),
                _ => None,
            };
            Ok::<_, store::StoreError>((taken, number))
        })
        .await?;
    if let Some(number) = taken.1 {
        api.runner.notify(number);
    }
    let (result, job) = match taken.0 {
        ReportReceipt::Recorded(job) => (ReportOutcome::Recorded, job),
        ReportReceipt::Duplicate(job) => (ReportOutcome::Duplicate, job),
        ReportReceipt::Ended(job) => (ReportOutcome::Ended, job),
        ReportReceipt::Unknown => {
            let message = format!("no job of server {serial} awaits a report");
            return Err(Problem::not_found("job_unknown", message));
        }
    };
    tracing::info!(serial, %job, result = result.as_str(), "report");
    api.metrics.report(result.as_str());
    Ok(Json(StatusCode::OK, ReportResult { job_id: job, result }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";

    #[test]
    fn a_job_secret_is_accepted_for_that_job_only() {
        let (job, other) = (JOB.parse().unwrap(), JobId::random());
        let fleet = ["old", "new"].map(Secret::new);
        let of = |fleet: &Secret, job| report_secret::derive(fleet, job).unwrap();
        let sent = |secret: &Secret| HeaderValue::from_str(secret.expose()).unwrap();
        let secrets = Secrets::new(fleet.to_vec(), false);
        for fleet in &fleet {
            assert!(secrets.accept(&sent(&of(fleet, job)), Some(job)));
            assert!(!secrets.accept(&sent(&of(fleet, job)), Some(other)));
            assert!(!secrets.accept(&sent(&of(fleet, job)), None));
            assert!(!secrets.accept(&sent(fleet), Some(job)), "the secret of the fleet");
        }
        for wrong in ["", "ol", "oldnew", "OLD"] {
            assert!(!secrets.accept(&HeaderValue::from_static(wrong), Some(job)), "{wrong}");
        }
        assert!(!Secrets::new(Vec::new(), true).accept(&HeaderValue::from_static(""), Some(job)));
        let secrets = Secrets::new(fleet.to_vec(), true);
        assert!(secrets.accept(&sent(&fleet[0]), Some(job)));
        assert!(secrets.accept(&sent(&of(&fleet[1], job)), Some(job)));
        assert!(!secrets.accept(&sent(&of(&fleet[1], job)), Some(other)));
    }

    #[test]
    fn a_log_is_bounded_and_has_no_secret() {
        let token = "Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4Zm9vYmFyYmE";
        let log = format!(
            "first\n{}\nGET /media/tasks/1/{token}/x/task.iso\u{1b}[31m\nlast\n",
            "é".repeat(9000)
        );
        let kept = excerpt(&log);
        assert!(
            kept.len() <= LONGEST_LOG && kept.starts_with('é') && kept.ends_with("\nlast"),
            "{kept}"
        );
        assert!(!kept.contains(token) && !kept.contains('\u{1b}'), "{kept}");
        assert_eq!(excerpt(token), "…");
    }

    #[test]
    fn a_clock_that_is_off_is_reported() {
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_784_000_000);
        let difference = |seconds: i64| {
            let sent = 1_784_000_000_u64.checked_add_signed(seconds).unwrap();
            let sent = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(sent);
            let date = HeaderValue::from_str(&httpdate::fmt_http_date(sent)).unwrap();
            clock_difference(Some(&date), now)
        };
        assert_eq!((difference(0), difference(-119), difference(119)), (None, None, None));
        assert!(difference(-3600).unwrap().contains("3600 s behind the controller's"));
        assert!(difference(3600).unwrap().contains("3600 s ahead of the controller's"));
        assert_eq!(clock_difference(Some(&HeaderValue::from_static("now")), now), None);
    }

    #[test]
    fn reports_are_checked() {
        let check = |text: &str| {
            serde_json::from_str::<views::Report>(text)
                .map_err(|e| e.to_string())
                .and_then(|sent| sent.check().map_err(|problem| format!("{problem:?}")))
        };
        let of_job = |text: &str| check(&text.replace('}', &format!(r#","job_id":"{JOB}"}}"#)));
        let failed = of_job(r#"{"status":"failed","failed_step":"a.service","later":1}"#).unwrap();
        assert_eq!(failed.failed.unwrap().to_string(), "workflow.a.service");
        let done = of_job(r#"{"status":"success","log":"erased /dev/sda\n"}"#).unwrap();
        assert_eq!((done.failed, done.log.as_deref()), (None, Some("erased /dev/sda")));
        for bad in [r#"{"status":"success"}"#, r#"{"status":"success","job_id":null}"#] {
            assert!(check(bad).unwrap_err().contains("job_id"), "{bad}");
        }
        for bad in [
            r#"{"later":1}"#,
            r#"{"status":"done"}"#,
            r#"{"status":"failed"}"#,
            r#"{"status":"failed","failed_step":"a b"}"#,
            r#"{"status":"success","failed_step":"a.service"}"#,
            r#"{"status":"success","delivery_id":""}"#,
            r#"{"status":"success","dispatcher_version":"a\nb"}"#,
        ] {
            assert!(of_job(bad).is_err(), "{bad}");
        }
    }
}
