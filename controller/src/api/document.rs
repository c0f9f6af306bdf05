// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Generates `openapi.json` from the request and reply types. The file is in the tree because it is
//! served as is, and because `cargo xtask version` compares it with that of the last release.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::extract::Limit;
use super::schemas::{self, Serial, schema};
use super::views::{
    AuditList, Event, Hardware, ImportResult, Job, JobList, JobWithEvents, NewJob, NewOperation,
    NewServer, NewServers, Operation as ServerOperation, Problem, Report, ReportOutcome,
    ReportResult, Server, ServerList, Time,
};
use super::{OPENAPI, WEBHOOK, audit, jobs, servers};
use crate::jobs::model::JobId;

schema!(ReportOutcome, "ReportOutcome", true, |_generator| schemas::enumeration(
    ReportOutcome::ALL
));
schema!(Time, "Time", true, |_generator| json!({ "type": "string", "format": "date-time" }));
schema!(JobWithEvents, "JobWithEvents", false, |generator| json!({ "allOf": [
    generator.subschema_for::<Job>(),
    {
        "type": "object",
        "required": ["events"],
        "properties": { "events": {
            "type": "array",
            "items": generator.subschema_for::<Event>(),
            "description": "The last 1000 events, oldest first.",
        } },
    },
] }));

impl<const USUAL: u32, const MOST: u32> JsonSchema for Limit<USUAL, MOST> {
    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": MOST, "default": USUAL })
    }
}

/// Problems by status: name of the response, and its error codes.
const PROBLEMS: [(u16, &str, &str); 13] = [
    (400, "BadRequest", "`bad_request`, or `validation_error` with every fault in `details`"),
    (401, "Unauthorized", "`unauthorized`"),
    (
        403,
        "Forbidden",
        "`forbidden`: the role does not allow it, or the server is not in the caller's groups",
    ),
    (404, "NotFound", "`job_unknown`, `server_unknown`, `hardware_unknown`, `not_found`"),
    (408, "Timeout", "`timeout`: the request body stalled"),
    (409, "Conflict", "`active_job` with `job_id`, `active_operation`, or `job_state`"),
    (413, "TooLarge", "`too_large`"),
    (415, "UnsupportedMediaType", "`unsupported_media_type`: the body is not `application/json`"),
    (422, "KeyReused", "`idempotency_key_reused`: the key was used for a different request"),
    (429, "TooManyRequests", "`too_many_requests`"),
    (500, "Internal", "`internal`: see the log of the controller"),
    (503, "Unavailable", "`database_locked`, or `too_many_connections`"),
    (507, "DiskFull", "`disk_full`"),
];

/// Problem statuses of every operation.
const ALWAYS: [u16; 4] = [429, 500, 503, 507];

/// The document under construction.
struct Document {
    paths: Map<String, Value>,
    replies: SchemaGenerator,
    requests: SchemaGenerator,
}

/// An operation under construction; [`Operation::add`] adds it to the document.
struct Operation<'a> {
    document: &'a mut Document,
    path: &'static str,
    method: &'static str,
    fields: Value,
}

/// Removes line breaks from descriptions, and `null` from the types of optional fields.
fn tidy(schema: &mut Schema) {
    if let Some(Value::String(description)) = schema.get_mut("description") {
        *description = description.replace('\n', " ");
    }
    let required = schema.get("required").cloned().unwrap_or_default();
    let required =
        |name: &str| required.as_array().is_some_and(|all| all.iter().any(|it| it == name));
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (_, property) in properties.iter_mut().filter(|(name, _)| !required(name)) {
        let Some(property) = property.as_object_mut() else { continue };
        if let Some(Value::Array(types)) = property.get_mut("type") {
            types.retain(|it| it != "null");
            if let [one] = types.as_mut_slice() {
                let one = one.take();
                property.insert("type".to_owned(), one);
            }
        }
        if let Some(Value::Array(mut choices)) = property.remove("anyOf") {
            choices.retain(|choice| choice["type"] != "null");
            let [Value::Object(choice)] = choices.as_mut_slice() else { panic!("{choices:?}") };
            property.append(choice);
        }
    }
}

impl Document {
    fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let settings = settings.with_transform(RecursiveTransform(tidy));
        Self {
            paths: Map::new(),
            replies: settings.clone().for_serialize().into_generator(),
            requests: settings.for_deserialize().into_generator(),
        }
    }

    fn operation(
        &mut self,
        method: &'static str,
        path: &'static str,
        id: &str,
        summary: &str,
    ) -> Operation<'_> {
        let tag = match path {
            WEBHOOK => "hosts",
            _ if path.starts_with("/api/v1/jobs") => "jobs",
            _ if path.starts_with("/api/v1/servers") => "servers",
            _ => "operations",
        };
        let fields =
            json!({ "operationId": id, "tags": [tag], "summary": summary, "responses": {} });
        Operation { document: self, path, method, fields }
    }

    /// Returns the schemas of requests and replies, which must be equal if they have the same name.
    fn schemas(&mut self) -> Map<String, Value> {
        let mut schemas = self.replies.take_definitions(true);
        for (name, schema) in self.requests.take_definitions(true) {
            let known = schemas.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(*known, schema, "{name} differs between requests and replies");
        }
        schemas
    }
}

impl Operation<'_> {
    fn security(mut self, security: &Value) -> Self {
        self.fields["security"] = security.clone();
        self
    }

    fn parameter(mut self, parameter: Value) -> Self {
        let parameters = self.fields.as_object_mut().unwrap().entry("parameters");
        parameters.or_insert_with(|| json!([])).as_array_mut().unwrap().push(parameter);
        self
    }

    /// Adds the fields of `T` as query parameters.
    fn query<T: JsonSchema>(mut self) -> Self {
        let mut query = T::json_schema(&mut self.document.requests);
        tidy(&mut query);
        let Some(Value::Object(fields)) = query.remove("properties") else { panic!("{query:?}") };
        for (name, mut schema) in fields {
            let description = schema.as_object_mut().unwrap().remove("description").unwrap();
            let parameter = json!({ "name": name, "in": "query", "description": description, "schema": schema });
            self = self.parameter(parameter);
        }
        self
    }

    fn with_idempotency_key(self) -> Self {
        self.parameter(json!({
            "name": "Idempotency-Key",
            "in": "header",
            "description": "Makes retries safe: within a day, a request of the same user with the same key returns the first job.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        }))
    }

    fn request<T: JsonSchema>(mut self) -> Self {
        let schema = self.document.requests.subschema_for::<T>();
        let content = json!({ "application/json": { "schema": schema } });
        self.fields["requestBody"] = json!({ "required": true, "content": content });
        self
    }

    fn reply(mut self, status: u16, description: &str, content: Option<(&str, Value)>) -> Self {
        let mut response = json!({ "description": description });
        if let Some((kind, schema)) = content {
            response["content"] = json!({ kind: { "schema": schema } });
        }
        self.fields["responses"][status.to_string()] = response;
        self
    }

    fn json<T: JsonSchema>(self, status: u16, description: &str) -> Self {
        let schema = self.document.replies.subschema_for::<T>().to_value();
        self.reply(status, description, Some(("application/json", schema)))
    }

    fn text(self, status: u16, description: &str) -> Self {
        self.reply(status, description, Some(("text/plain", json!({ "type": "string" }))))
    }

    fn problems(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            let (_, name, _) = PROBLEMS.iter().find(|problem| problem.0 == *status).unwrap();
            self.fields["responses"][status.to_string()] =
                json!({ "$ref": format!("#/components/responses/{name}") });
        }
        self
    }

    /// The response 202 has the URL of the job.
    fn located(mut self) -> Self {
        let location = json!({ "description": "URL of the job", "schema": { "type": "string" } });
        self.fields["responses"]["202"]["headers"] = json!({ "Location": location });
        self
    }

    /// Adds these problems and those of every operation, and ends the operation.
    fn add(self, problems: &[u16]) {
        self.problems(problems).problems(&ALWAYS).end();
    }

    fn end(self) {
        let Self { document, path, method, fields } = self;
        let item = document.paths.entry(path).or_insert_with(|| {
            let (name, description, schema) = if path.contains("{serial}") {
                let schema = document.requests.subschema_for::<Serial>();
                ("serial", "Serial number of the host.", schema)
            } else if path.contains("{id}") {
                ("id", "Job id.", document.requests.subschema_for::<JobId>())
            } else {
                return json!({});
            };
            json!({ "parameters": [{
                "name": name,
                "in": "path",
                "required": true,
                "description": description,
                "schema": schema,
            }] })
        });
        item[method] = fields;
    }
}

fn job_operations(document: &mut Document) {
    let many = "/api/v1/jobs";
    let list = document.operation("get", many, "listJobs", "List jobs, newest first");
    list.query::<jobs::ListQuery>().json::<JobList>(200, "Jobs").add(&[400, 401, 404]);

    let made = "The job, or the one created by an earlier request with the same key; events of kind `warning` report probable mistakes in the recipe";
    let create = document.operation("post", many, "createJob", "Create a job");
    let create = create.with_idempotency_key().request::<NewJob<'_>>();
    let create = create.json::<JobWithEvents>(202, made).located();
    create.add(&[400, 401, 403, 404, 408, 409, 413, 415, 422]);

    let one = "/api/v1/jobs/{id}";
    let get = document.operation("get", one, "getJob", "Get a job and its events");
    get.json::<JobWithEvents>(200, "The job").add(&[400, 401, 404]);

    let (path, summary) =
        ("/api/v1/jobs/{id}/cancel", "Cancel a job; clean-up still ejects its media");
    let cancel = document.operation("post", path, "cancelJob", summary);
    let cancel = cancel.json::<Job>(202, "The job in its current state");
    cancel.add(&[400, 401, 403, 404, 409, 415]);

    let (path, summary) = ("/api/v1/jobs/{id}/retry", "Retry a failed job as a new job");
    let retry = document.operation("post", path, "retryJob", summary).with_idempotency_key();
    let retry = retry.json::<JobWithEvents>(202, "The new job").located();
    retry.add(&[400, 401, 403, 404, 409, 415, 422]);
}

fn server_operations(document: &mut Document) {
    let (many, one) = ("/api/v1/servers", "/api/v1/servers/{serial}");
    let list = document.operation("get", many, "listServers", "List servers, by serial number");
    list.query::<servers::ListQuery>().json::<ServerList>(200, "Servers").add(&[400, 401]);

    let get = document.operation("get", one, "getServer", "Get a server, without its password");
    get.json::<Server>(200, "The server").add(&[400, 401, 404]);

    let summary = "Register a server, or change its BMC access";
    let put = document.operation("put", one, "putServer", summary).request::<NewServer>();
    let put = put.json::<Server>(200, "Changed").json::<Server>(201, "New");
    put.add(&[400, 401, 403, 408, 413, 415]);

    let summary = "Delete a server without an active job";
    let delete = document.operation("delete", one, "deleteServer", summary);
    delete.reply(204, "Deleted", None).add(&[400, 401, 403, 404, 409]);

    let summary = "Register or change many servers, all or none";
    let import = document.operation("post", many, "importServers", summary);
    let import = import.request::<NewServers>().json::<ImportResult>(200, "All are stored");
    import.add(&[400, 401, 403, 408, 413, 415]);

    let path = "/api/v1/servers/{serial}/operations";
    let summary = "Inspect a server, change its power or update its firmware; the result is `operation` of the server";
    let operate = document.operation("post", path, "createOperation", summary);
    let operate = operate.request::<NewOperation>();
    let operate = operate.json::<ServerOperation>(202, "The running operation");
    operate.add(&[400, 401, 403, 404, 408, 409, 413, 415]);

    let path = "/api/v1/servers/{serial}/hardware";
    let summary = "Get the hardware of a server, as the last inspection found it";
    let hardware = document.operation("get", path, "getHardware", summary);
    hardware.json::<Hardware>(200, "The hardware").add(&[400, 401, 404]);
}

fn other_operations(document: &mut Document) {
    let summary = "Report the result of a task, as a host";
    let report = document.operation("post", WEBHOOK, "reportStatus", summary);
    let taken = "Accepted; also for a repeated report, and for a job that has ended";
    let report = report.security(&json!([{ "webhookSecret": [] }, { "mutualTLS": [] }]));
    let report = report.request::<Report>().json::<ReportResult>(200, taken);
    report.add(&[400, 401, 404, 408, 413, 415]);

    let summary = "List the audit log, newest first; for admins";
    let audit = document.operation("get", "/api/v1/audit", "listAudit", summary);
    audit.query::<audit::ListQuery>().json::<AuditList>(200, "Entries").add(&[400, 401, 403]);

    let public = json!([]);
    let path = "/api/v1/openapi.json";
    let description = document.operation("get", path, "getDescription", "Get this document");
    let content = ("application/json", json!({ "type": "object" }));
    let description = description.security(&public).reply(200, "OpenAPI 3.1", Some(content));
    description.problems(&[429, 503]).end();

    for (path, id, summary, bad) in [
        (
            "/healthz",
            "health",
            "The process and its thread pool respond",
            "The thread pool does not respond",
        ),
        ("/readyz", "readiness", "Disk and database accept writes", "Not ready, with the reason"),
    ] {
        let probe = document.operation("get", path, id, summary);
        probe.security(&public).text(200, "`ok`").text(503, bad).end();
    }

    let summary = "Get metrics in the Prometheus text format";
    let metrics = document.operation("get", "/metrics", "metrics", summary);
    let metrics = metrics.security(&public).text(200, "Metrics");
    metrics.reply(503, "The database cannot be read", None).end();
}

/// Builds the document.
fn document() -> Value {
    let mut document = Document::new();
    job_operations(&mut document);
    server_operations(&mut document);
    other_operations(&mut document);
    let problem = document.replies.subschema_for::<Problem>();
    let mut responses = Map::new();
    for (status, name, description) in PROBLEMS {
        let content = json!({ "application/json": { "schema": problem } });
        let mut response = json!({ "description": description, "content": content });
        if matches!(status, 429 | 503) {
            response["headers"] = json!({ "Retry-After": {
                "description": "Seconds",
                "schema": { "type": "integer" },
            } });
        }
        responses.insert(name.to_owned(), response);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bare-metal provisioner",
            "version": "1",
            "license": { "name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later" },
            "description": "Servers, jobs and host reports. Error replies are a Problem with a stable `error` \
                code. Paths and methods that are not listed here, or not served by the listener, get 404 \
                `not_found` or 405 `method_not_allowed`. The registry at `/v2/` implements the OCI \
                distribution specification 1.1. Images below `/media/` have URLs signed by the service.",
        },
        "security": [{ "basic": [] }, { "bearer": [] }],
        "tags": [
            { "name": "jobs" },
            { "name": "servers" },
            { "name": "hosts", "description": "Requests of hosts." },
            { "name": "operations", "description": "Monitoring of the service." },
        ],
        "components": {
            "schemas": document.schemas(),
            "responses": responses,
            "securitySchemes": {
                "basic": { "type": "http", "scheme": "basic" },
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "HS256, with `aud` \"provisioner\", `sub`, `exp`, `jti`, `role` \"reader\", \
                        \"operator\" or \"admin\", and optionally `groups`, names of server groups; \
                        issued by `controller api token`.",
                },
                "webhookSecret": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-Webhook-Secret",
                    "description": "The secret of job `job_id`, from `/controller.json` in its task ISO. With \
                        `webhook.accept_fleet_secret`, also one of `webhook.secrets`.",
                },
                "mutualTLS": {
                    "type": "mutualTLS",
                    "description": "A certificate of a CA in `tls.client_ca` whose common name or DNS name is the \
                        serial number.",
                },
            },
        },
        "paths": document.paths,
    })
}

#[test]
fn the_file_matches_the_types() {
    let text = format!("{:#}\n", document());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/openapi.json");
        std::fs::write(path, &text).unwrap();
    } else {
        let differs = "openapi.json differs from the types; fix: \
                       UPDATE_GOLDEN=1 cargo nextest run -p controller the_file_matches_the_types";
        assert!(text == OPENAPI, "{differs}");
    }
}
