// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The types of the API's requests and replies. Handlers, the client of the command line, the dashboard and
//! `openapi.json` use these; doc comments of fields are descriptions in `openapi.json`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::audit::Recorded;
use crate::inventory;
use crate::jobs::bmc::TlsPolicy;
use crate::jobs::clock::rfc3339;
use crate::jobs::model::{JobId, Outcome, State};
use crate::jobs::store;
use crate::jobs::task::volume_id;
use crate::labels::Labels;
use crate::words::words;

/// Longest user name and password of a BMC; IPMI allows 20, Redfish sets no limit.
pub(super) const LONGEST: usize = 256;
/// Longest address of a BMC.
pub(super) const LONGEST_URL: usize = 2048;

/// A time in RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Time(String);

impl Time {
    /// From milliseconds since 1970.
    fn new(millis: i64) -> Self {
        Self(rfc3339(millis))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A reply that refuses a request.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct Problem {
    /// A code that never changes its meaning.
    pub(crate) error: Cow<'static, str>,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<super::schemas::Step>"))]
    pub(crate) step: Option<String>,
    /// With `active_job`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job_id: Option<JobId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<Detail>,
}

/// A fault of a request.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema), schemars(inline))]
pub(crate) struct Detail {
    /// JSON pointer
    pub(crate) path: String,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
}

impl Detail {
    pub(crate) fn new(
        path: impl Into<String>,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { path: path.into(), code: code.into(), message: message.into() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct NewJob<'a> {
    #[cfg_attr(test, schemars(with = "super::schemas::Serial"))]
    pub(crate) server_serial: String,
    /// A recipe, by one of the published schemas.
    // As it was sent, byte for byte: what was validated is what goes on the ISO.
    #[serde(borrow)]
    #[cfg_attr(test, schemars(with = "serde_json::Map<String, serde_json::Value>"))]
    pub(crate) recipe: &'a RawValue,
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
#[expect(clippy::struct_field_names, reason = "the name is part of the API")]
pub(crate) struct Job {
    pub(crate) job_id: JobId,
    #[cfg_attr(test, schemars(with = "super::schemas::Serial"))]
    pub(crate) server_serial: String,
    pub(crate) status: State,
    pub(crate) outcome: Option<Outcome>,
    // Steps are texts for clients: a later version may have more.
    /// What was begun last.
    pub(crate) step: Option<String>,
    /// What went wrong first; clean-up can go wrong after a success.
    pub(crate) failed_step: Option<String>,
    /// The same, in words.
    pub(crate) failure: Option<String>,
    pub(crate) cancelled: bool,
    /// Who asked to cancel it.
    pub(crate) cancelled_by: Option<String>,
    pub(crate) task_target: String,
    #[cfg_attr(test, schemars(extend("format" = "uri")))]
    pub(crate) schema_id: String,
    pub(crate) recipe_sha256: String,
    /// Label of the task ISO.
    pub(crate) volume_id: String,
    pub(crate) retry_of: Option<JobId>,
    pub(crate) created_by: String,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    pub(crate) completed_at: Option<Time>,
}

impl From<store::Job> for Job {
    fn from(job: store::Job) -> Self {
        let text = |step: &Option<_>| step.as_ref().map(ToString::to_string);
        Self {
            job_id: job.id,
            status: job.state,
            outcome: job.outcome,
            step: text(&job.step),
            failed_step: text(&job.failed_step),
            failure: job.failure,
            cancelled: job.cancelled,
            cancelled_by: job.cancelled_by,
            task_target: job.task_target,
            schema_id: job.schema_id,
            recipe_sha256: job.recipe_sha256,
            volume_id: volume_id(job.id),
            retry_of: job.retry_of,
            server_serial: job.serial,
            created_by: job.created_by,
            created_at: Time::new(job.created_at),
            updated_at: Time::new(job.updated_at),
            completed_at: job.completed_at.map(Time::new),
        }
    }
}

impl Job {
    /// The step that an operator looks for: the one that failed, or else the one that was begun last.
    pub(crate) fn step_of_interest(&self) -> &str {
        self.failed_step.as_ref().or(self.step.as_ref()).map_or("", String::as_str)
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct JobWithEvents {
    #[serde(flatten)]
    pub(crate) job: Job,
    pub(crate) events: Vec<Event>,
}

impl From<(store::Job, Vec<store::Event>)> for JobWithEvents {
    fn from((job, events): (store::Job, Vec<store::Event>)) -> Self {
        Self { job: job.into(), events: events.into_iter().map(Event::from).collect() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct Event {
    /// Counts up.
    pub(crate) number: i64,
    pub(crate) at: Time,
    #[cfg_attr(test, schemars(extend("examples" = ["state.provisioning"])))]
    pub(crate) kind: String,
    pub(crate) step: Option<String>,
    pub(crate) message: String,
}

impl From<store::Event> for Event {
    fn from(event: store::Event) -> Self {
        let store::Event { number, at, kind, step, message } = event;
        let step = step.as_ref().map(ToString::to_string);
        Self { number, at: Time::new(at), kind, step, message }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct JobList {
    pub(crate) jobs: Vec<Job>,
    pub(crate) next_before: Option<JobId>,
}

// Without a password, that of an earlier request stays, as long as it goes to the same BMC. It has no Debug:
// the password is in no log.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct NewServer {
    #[cfg_attr(test, schemars(length(max = LONGEST_URL), extend("format" = "uri")))]
    pub(crate) bmc_url: String,
    #[cfg_attr(test, schemars(length(min = 1, max = LONGEST)))]
    pub(crate) username: String,
    /// Left out, the known password stays. It is required where scheme, host, port or TLS policy change: a
    /// known password is never sent to another destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(length(max = LONGEST), extend("writeOnly" = true)))]
    pub(crate) password: Option<String>,
    /// Vendor profile; found out where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
    #[serde(default)]
    pub(crate) tls: TlsPolicy,
    /// Left out, the known labels stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<Labels>"))]
    pub(crate) labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct Server {
    #[cfg_attr(test, schemars(with = "super::schemas::Serial"))]
    pub(crate) serial: String,
    #[cfg_attr(test, schemars(extend("format" = "uri")))]
    pub(crate) bmc_url: String,
    pub(crate) username: String,
    pub(crate) profile: Option<String>,
    pub(crate) tls: TlsPolicy,
    pub(crate) labels: Labels,
    pub(crate) active_job: Option<JobId>,
    pub(crate) created_at: Time,
    /// Null where it was not recorded yet.
    pub(crate) created_by: Option<String>,
    pub(crate) updated_at: Time,
    pub(crate) updated_by: Option<String>,
}

impl Server {
    pub(crate) fn new(server: inventory::Server, active_job: Option<JobId>) -> Self {
        Self {
            bmc_url: server.bmc_url,
            username: server.username,
            profile: server.profile,
            tls: server.tls,
            labels: server.labels,
            active_job,
            created_at: Time::new(server.created_at),
            created_by: server.created_by,
            updated_at: Time::new(server.updated_at),
            updated_by: server.updated_by,
            serial: server.serial,
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct ServerList {
    pub(crate) servers: Vec<Server>,
    pub(crate) next_after: Option<String>,
}

// Unknown fields are ignored, so that a newer maintenance OS can report to an older controller.
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct Report {
    pub(crate) status: ReportStatus,
    /// With `failed`: the unit that failed first.
    #[cfg_attr(test, schemars(extend("examples" = ["image-linux.service"])))]
    pub(crate) failed_step: Option<String>,
    /// Names the delivery; the last 32 of a job are remembered.
    pub(crate) delivery_id: Option<String>,
    #[cfg_attr(test, schemars(with = "JobId"))]
    pub(crate) job_id: Option<String>,
    pub(crate) task_target: Option<String>,
    pub(crate) dispatcher_version: Option<String>,
    pub(crate) schema_id: Option<String>,
    pub(crate) started_at: Option<String>,
    pub(crate) finished_at: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(JsonSchema), schemars(inline))]
pub(crate) enum ReportStatus {
    Success,
    Failed,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct ReportResult {
    pub(crate) job_id: JobId,
    pub(crate) result: ReportOutcome,
}

words! {
    /// What became of a report.
    pub(crate) ReportOutcome, "the result of a report":
    /// The job has its outcome from it.
    Recorded = "recorded",
    /// It came before.
    Duplicate = "duplicate",
    /// The job had its outcome already.
    Ended = "ended",
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct AuditEntry {
    pub(crate) number: i64,
    pub(crate) at: Time,
    #[cfg_attr(test, schemars(with = "crate::audit::Kind"))]
    pub(crate) kind: String,
    /// The user or the subject of the token; null where nobody is known.
    pub(crate) actor: Option<String>,
    pub(crate) address: Option<String>,
    #[cfg_attr(test, schemars(with = "crate::audit::Action"))]
    pub(crate) action: String,
    /// A serial number, the id of a job, a repository with tag or digest, an interface or a path.
    pub(crate) object: Option<String>,
    pub(crate) detail: Option<String>,
}

impl From<Recorded> for AuditEntry {
    fn from(entry: Recorded) -> Self {
        let Recorded { number, at, kind, actor, address, action, object, detail } = entry;
        Self { number, at: Time::new(at), kind, actor, address, action, object, detail }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct AuditList {
    pub(crate) entries: Vec<AuditEntry>,
    pub(crate) next_before: Option<i64>,
}
