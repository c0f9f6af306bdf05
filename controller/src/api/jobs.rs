// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/api/v1/jobs`: make, list, look at, cancel and repeat jobs.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::auth::{Identity, Role};
use super::problem::Problem;
use super::{Actor, Api, Caller, Query, body, json, parameter, parse};
use crate::audit::{Action, Entry};
use crate::blocking::RECIPES;
use crate::inventory;
use crate::jobs::clock::rfc3339;
use crate::jobs::model::{JobId, State as JobState, Step};
use crate::jobs::store::{self, Created, Event, Filter, Job, NewJob, StoreError};
use crate::jobs::task::volume_id;
use crate::labels::Scope;

/// The largest request: a recipe and a little around it.
const LARGEST: usize = recipe::MAX_RECIPE_BYTES + 64 * 1024;
/// Longest Idempotency-Key.
const LONGEST_KEY: usize = 255;
/// Jobs in an answer: unless asked for otherwise, and at most.
const PAGE: (u32, u32) = (50, 500);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRequest<'a> {
    server_serial: String,
    /// As it was sent, byte for byte: what was validated is what goes on the ISO.
    #[serde(borrow)]
    recipe: &'a RawValue,
}

/// A job as the API shows it.
pub(crate) fn describe(job: &Job) -> Value {
    let step = |step: &Option<Step>| step.as_ref().map(Step::to_string);
    json!({
        "job_id": job.id.to_string(),
        "server_serial": job.serial,
        "status": job.state.as_str(),
        "outcome": job.outcome.map(crate::jobs::model::Outcome::as_str),
        "step": step(&job.step),
        "failed_step": step(&job.failed_step),
        "failure": job.failure,
        "cancelled": job.cancelled,
        "cancelled_by": job.cancelled_by,
        "task_target": job.task_target,
        "schema_id": job.schema_id,
        "recipe_sha256": job.recipe_sha256,
        "volume_id": volume_id(job.id),
        "retry_of": job.retry_of.map(|id| id.to_string()),
        "created_by": job.created_by,
        "created_at": rfc3339(job.created_at),
        "updated_at": rfc3339(job.updated_at),
        "completed_at": job.completed_at.map(rfc3339),
    })
}

fn describe_event(event: &Event) -> Value {
    json!({
        "number": event.number,
        "at": rfc3339(event.at),
        "kind": event.kind,
        "step": event.step.as_ref().map(Step::to_string),
        "message": event.message,
    })
}

/// `POST /api/v1/jobs`
pub(super) async fn create(
    State(api): State<Api>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let identity = api.authorize(Caller::of(&request), Role::Operator).await?;
    let actor = Actor::of(&request, &identity);
    let scope = identity.scope.clone();
    let key = idempotency_key(request.headers())?;
    let bytes = body(request, LARGEST).await?;
    // A large recipe takes a while to check.
    let new = RECIPES.run(move || new_job(&bytes, identity, key)).await;
    let new = new.map_err(|e| Problem::internal(&e))??;
    api.start(new, scope, actor).await
}

fn new_job(bytes: &[u8], identity: Identity, key: Option<String>) -> Result<NewJob, Problem> {
    let request: NewRequest<'_> = parse(bytes)?;
    let serial = request.server_serial.parse::<recipe::ShortText>();
    let serial = serial.map_err(|e| Problem::bad_request(format!("server_serial: {e}")))?;
    let recipe = request.recipe.get().as_bytes();
    let validated = recipe::validate(recipe).map_err(|e| Problem::recipe(&e))?;
    Ok(NewJob {
        serial: serial.to_string(),
        recipe: recipe.to_vec(),
        recipe_sha256: validated.source.sha256,
        schema_id: validated.schema.id.to_owned(),
        task_target: validated.recipe.task_target.to_string(),
        retry_of: None,
        user: identity.name,
        idempotency: key.map(|key| (key, recipe::sha256_hex(bytes))),
    })
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| (1..=LONGEST_KEY).contains(&key.len()));
    let wrong = || Problem::bad_request("Idempotency-Key: expected 1 to 255 characters of ASCII");
    key.map(|key| Some(key.to_owned())).ok_or_else(wrong)
}

impl Api {
    async fn start(
        &self,
        new: NewJob,
        scope: Scope,
        actor: Actor,
    ) -> Result<Response<Body>, Problem> {
        let created = self.audit.change(move |c| {
            // A server that does not exist is found out below, after the Idempotency-Key.
            if !scope.is_all() && inventory::find(c, &scope, &new.serial)?.is_none() {
                return Err(StoreError::NoServer(new.serial));
            }
            let created = store::create(c, &new)?;
            let action = if new.retry_of.is_some() { Action::JobRetry } else { Action::JobCreate };
            let detail = Some(format!("{} for server {}", new.task_target, new.serial));
            let entry = actor.entry(action, Some(created.job.id.to_string()));
            let entry = (!created.repeated).then_some(Entry { detail, ..entry });
            Ok((created, entry))
        });
        let Created { job, repeated } = created.await?;
        if !repeated {
            tracing::info!(job = %job.id, serial = job.serial, user = job.created_by, "new job");
            self.runner.wake();
        }
        let mut response = json(StatusCode::ACCEPTED, &describe(&job));
        let location = HeaderValue::try_from(format!("/api/v1/jobs/{}", job.id));
        if let Ok(location) = location {
            response.headers_mut().insert(header::LOCATION, location);
        }
        Ok(response)
    }
}

/// `GET /api/v1/jobs?server_serial=…&status=…&limit=…&before=…`
pub(super) async fn list(
    State(api): State<Api>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let scope = api.identify(Caller::of(&request)).await?.scope;
    let query = Query::parse(&request, &["server_serial", "status", "limit", "before"])?;
    let filter = Filter {
        serial: query.text("server_serial"),
        state: query.read::<JobState>("status")?,
        before: query.read::<JobId>("before")?,
        scope,
    };
    let limit = query.limit(PAGE)?;
    let jobs = api.database.read(move |c| store::list(c, &filter, limit)).await?;
    let full = usize::try_from(limit).is_ok_and(|limit| jobs.len() == limit);
    let next = jobs.last().filter(|_| full).map(|job| job.id.to_string());
    let jobs: Vec<Value> = jobs.iter().map(describe).collect();
    Ok(json(StatusCode::OK, &json!({ "jobs": jobs, "next_before": next })))
}

fn id(request: &Request) -> Result<JobId, Problem> {
    // What is not an id is the id of no job.
    parameter(request)?.parse().map_err(|_| StoreError::NoJob.into())
}

/// `GET /api/v1/jobs/{id}`
pub(super) async fn get(
    State(api): State<Api>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let scope = api.identify(Caller::of(&request)).await?.scope;
    let id = id(&request)?;
    let find = move |c: &rusqlite::Connection| {
        store::in_scope(c, &scope, id)?;
        store::with_events(c, id)
    };
    let (job, events) = api.database.read(find).await?;
    let mut answer = describe(&job);
    let events: Vec<Value> = events.iter().map(describe_event).collect();
    if let Value::Object(fields) = &mut answer {
        fields.insert("events".to_owned(), events.into());
    }
    Ok(json(StatusCode::OK, &answer))
}

/// `POST /api/v1/jobs/{id}/cancel`
pub(super) async fn cancel(
    State(api): State<Api>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let identity = api.authorize(Caller::of(&request), Role::Operator).await?;
    let actor = Actor::of(&request, &identity);
    let id = id(&request)?;
    let cancel = move |c: &rusqlite::Connection| {
        let before = store::in_scope(c, &identity.scope, id)?;
        let job = store::cancel(c, id, &identity.name)?;
        let detail = Some(format!("for server {}", job.serial));
        let entry = actor.entry(Action::JobCancel, Some(id.to_string()));
        let entry = (!before.cancelled).then_some(Entry { detail, ..entry });
        Ok((job, entry))
    };
    let job = api.audit.change(cancel).await?;
    api.runner.changed(job.number);
    Ok(json(StatusCode::ACCEPTED, &describe(&job)))
}

/// `POST /api/v1/jobs/{id}/retry`
pub(super) async fn retry(
    State(api): State<Api>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let identity = api.authorize(Caller::of(&request), Role::Operator).await?;
    let actor = Actor::of(&request, &identity);
    let scope = identity.scope.clone();
    let id = id(&request)?;
    let key = idempotency_key(request.headers())?;
    let find = move |c: &rusqlite::Connection| {
        store::in_scope(c, &identity.scope, id)?;
        store::retry(c, id, &identity.name)
    };
    let mut new = api.database.read(find).await?;
    new.idempotency = key.map(|key| (key, format!("retry of {id}")));
    api.start(new, scope, actor).await
}
