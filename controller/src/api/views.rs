// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Request and reply types of the API, used by handlers, CLI client, dashboard and `openapi.json`.
//! Doc comments of fields are descriptions in `openapi.json`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use recipe::network::NetworkText;
use redfish::{Component, Inventory};
#[cfg(test)]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::audit::StoredEntry;
use crate::database::DatabaseError;
use crate::hardware::{self, Change};
use crate::inventory;
use crate::jobs::bmc::TlsPolicy;
use crate::jobs::clock::rfc3339;
use crate::jobs::model::{JobId, Outcome, State};
use crate::jobs::store;
use crate::jobs::task::volume_id;
use crate::labels::Labels;
use crate::operations;
use crate::words::words;

/// Maximum length of a BMC user name and password; IPMI allows 20, Redfish has no limit.
pub(super) const LONGEST: usize = 256;
/// Maximum number of servers in an import.
pub(super) const MOST_SERVERS: usize = 1000;
/// Maximum length of a BMC URL.
pub(super) const LONGEST_URL: usize = 2048;

/// A time in RFC 3339.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Time(String);

impl Time {
    /// Converts milliseconds since 1970.
    fn new(millis: i64) -> Self {
        Self(rfc3339(millis))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// An error reply.
#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct Problem {
    /// Stable error code.
    pub(crate) error: Cow<'static, str>,
    pub(crate) message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<super::schemas::Step>"))]
    pub(crate) step: Option<String>,
    /// Set with `active_job`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job_id: Option<JobId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<Detail>,
}

/// A fault in a request.
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
    /// A recipe that matches one of the published schemas.
    // As received, byte for byte: the ISO contains what was validated.
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
    // Steps are strings for clients: a later version may add some.
    /// Step that was started last.
    pub(crate) step: Option<String>,
    /// Step that failed first; clean-up can fail after a success.
    pub(crate) failed_step: Option<String>,
    /// Failure message of that step.
    pub(crate) failure: Option<String>,
    pub(crate) cancelled: bool,
    /// User who requested cancellation.
    pub(crate) cancelled_by: Option<String>,
    pub(crate) task_target: String,
    #[cfg_attr(test, schemars(extend("format" = "uri")))]
    pub(crate) schema_id: String,
    pub(crate) recipe_sha256: String,
    /// Volume label of the task ISO.
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
    /// Returns the failed step, or else the one that was started last.
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
    /// Increasing number.
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

// Without a password, the stored one is kept for the same BMC. No Debug: the password must not be
// logged.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct NewServer {
    #[cfg_attr(test, schemars(length(max = LONGEST_URL), extend("format" = "uri")))]
    pub(crate) bmc_url: String,
    #[cfg_attr(test, schemars(length(min = 1, max = LONGEST)))]
    pub(crate) username: String,
    /// If omitted, the stored password is kept. Required if scheme, host, port or TLS policy
    /// change: a stored password is never sent to another destination.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(length(max = LONGEST), extend("writeOnly" = true)))]
    pub(crate) password: Option<String>,
    /// Vendor profile; detected if omitted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) profile: Option<String>,
    #[serde(default)]
    pub(crate) tls: TlsPolicy,
    /// If omitted, the stored labels are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<Labels>"))]
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// Network of the host in the maintenance OS and the installed system. Null: DHCP. If omitted, the
    /// stored network is kept.
    #[serde(
        default,
        deserialize_with = "deserialize_sent",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(test, schemars(with = "Option<super::schemas::Network>"))]
    #[expect(clippy::option_option, reason = "null removes the network, and absence keeps it")]
    pub(crate) network: Option<Option<NetworkText>>,
}

// No Debug, as above.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct NewServers {
    /// Servers by serial number.
    #[serde(deserialize_with = "deserialize_distinct")]
    #[cfg_attr(test, schemars(extend("minProperties" = 1, "maxProperties" = MOST_SERVERS)))]
    pub(crate) servers: BTreeMap<String, NewServer>,
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct ImportResult {
    /// Serial numbers of new servers.
    pub(crate) created: Vec<String>,
    /// Serial numbers of servers that were registered before.
    pub(crate) updated: Vec<String>,
}

/// Servers by serial number; a serial number must not occur twice.
fn deserialize_distinct<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, NewServer>, D::Error> {
    struct Servers;

    impl<'de> serde::de::Visitor<'de> for Servers {
        type Value = BTreeMap<String, NewServer>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("servers by serial number")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Self::Value, A::Error> {
            let mut servers = BTreeMap::new();
            while let Some(serial) = map.next_key::<String>()? {
                if servers.contains_key(&serial) {
                    let message = format_args!("server {serial} occurs twice");
                    return Err(serde::de::Error::custom(message));
                }
                servers.insert(serial, map.next_value()?);
            }
            Ok(servers)
        }
    }

    deserializer.deserialize_map(Servers)
}

/// A member that was sent, even as `null`.
fn deserialize_sent<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
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
    /// Null: DHCP.
    #[cfg_attr(test, schemars(with = "Option<super::schemas::Network>"))]
    pub(crate) network: Option<NetworkText>,
    pub(crate) active_job: Option<JobId>,
    /// The last power operation, inspection or firmware update; null if there was none.
    pub(crate) operation: Option<Operation>,
    pub(crate) created_at: Time,
    /// Null if the server was registered before users were recorded.
    pub(crate) created_by: Option<String>,
    pub(crate) updated_at: Time,
    pub(crate) updated_by: Option<String>,
}

impl Server {
    pub(crate) fn new(
        server: inventory::Server,
        active_job: Option<JobId>,
        operation: Option<operations::Operation>,
    ) -> Self {
        Self {
            bmc_url: server.bmc_url,
            username: server.username,
            profile: server.profile,
            tls: server.tls,
            labels: server.labels,
            network: server.network.map(NetworkText::from),
            active_job,
            operation: operation.map(Operation::from),
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

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct NewOperation {
    pub(crate) kind: operations::Kind,
    /// With `firmware.update`: name of a file in `media/firmware` of the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct Operation {
    // A string for clients: a later version may add some.
    #[cfg_attr(test, schemars(with = "operations::Kind"))]
    pub(crate) kind: String,
    pub(crate) state: operations::State,
    /// The result, or why it failed; empty while it runs.
    pub(crate) message: String,
    /// Name of the image of a firmware update.
    pub(crate) image: Option<String>,
    pub(crate) created_by: String,
    pub(crate) created_at: Time,
    pub(crate) ended_at: Option<Time>,
}

impl From<operations::Operation> for Operation {
    fn from(operation: operations::Operation) -> Self {
        let operations::Operation {
            serial: _,
            kind,
            state,
            message,
            image,
            monitor: _,
            created_by,
            created_at,
            ended_at,
        } = operation;
        Self {
            kind: kind.to_string(),
            state,
            message,
            image,
            created_by,
            created_at: Time::new(created_at),
            ended_at: ended_at.map(Time::new),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct Hardware {
    #[cfg_attr(test, schemars(with = "super::schemas::Serial"))]
    pub(crate) serial: String,
    /// Time of the last inspection.
    pub(crate) at: Time,
    /// Sorted by class and path.
    pub(crate) components: Vec<Component>,
    /// What could not be read, and why.
    pub(crate) notes: Vec<String>,
    /// Boot loaders that Secure Boot refuses.
    pub(crate) warnings: Vec<String>,
    /// Time of the inspection before; null if there was none.
    pub(crate) previous_at: Option<Time>,
    /// Differences from the inspection before.
    pub(crate) changes: Vec<Change>,
}

impl Hardware {
    pub(crate) fn new(
        serial: String,
        hardware: &hardware::Hardware,
    ) -> Result<Self, DatabaseError> {
        let (Inventory { components, notes }, changes) = hardware.parse()?;
        let (at, previous_at) = (Time::new(hardware.at), hardware.previous_at.map(Time::new));
        let warnings = hardware::secure_boot_warnings(&components, &hardware::Loader::ALL);
        Ok(Self { serial, at, components, notes, warnings, previous_at, changes })
    }
}

// Unknown fields are ignored, so that a newer maintenance OS can report to an older controller.
#[derive(Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct Report {
    pub(crate) status: ReportStatus,
    /// With `failed`: the systemd unit that failed first.
    #[cfg_attr(test, schemars(extend("examples" = ["image-linux.service"])))]
    pub(crate) failed_step: Option<String>,
    /// Id for deduplication; the last 32 per job are stored.
    pub(crate) delivery_id: Option<String>,
    #[cfg_attr(test, schemars(with = "JobId"))]
    pub(crate) job_id: Option<String>,
    pub(crate) task_target: Option<String>,
    pub(crate) dispatcher_version: Option<String>,
    pub(crate) schema_id: Option<String>,
    pub(crate) started_at: Option<String>,
    pub(crate) finished_at: Option<String>,
    /// With `failed`: the end of that unit's log; with `success`: the task's results. Redacted.
    #[cfg_attr(test, schemars(length(max = 32_768)))]
    pub(crate) log: Option<String>,
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
    /// Result of a report.
    pub(crate) ReportOutcome, "the result of a report":
    /// It set the outcome of the job.
    Recorded = "recorded",
    /// The delivery was received before.
    Duplicate = "duplicate",
    /// The job already had an outcome.
    Ended = "ended",
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct AuditEntry {
    pub(crate) number: i64,
    pub(crate) at: Time,
    #[cfg_attr(test, schemars(with = "crate::audit::Kind"))]
    pub(crate) kind: String,
    /// User, or subject of the token; null if not authenticated.
    pub(crate) actor: Option<String>,
    pub(crate) address: Option<String>,
    #[cfg_attr(test, schemars(with = "crate::audit::Action"))]
    pub(crate) action: String,
    /// A serial number, a job id, a repository with tag or digest, an interface or a path.
    pub(crate) object: Option<String>,
    pub(crate) detail: Option<String>,
}

impl From<StoredEntry> for AuditEntry {
    fn from(entry: StoredEntry) -> Self {
        let StoredEntry { number, at, kind, actor, address, action, object, detail } = entry;
        Self { number, at: Time::new(at), kind, actor, address, action, object, detail }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(JsonSchema))]
pub(crate) struct AuditList {
    pub(crate) entries: Vec<AuditEntry>,
    pub(crate) next_before: Option<i64>,
}
