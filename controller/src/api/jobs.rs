// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `/api/v1/jobs`: create, list, show, cancel and retry jobs.

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use rusqlite::Connection;
use serde::Deserialize;

use super::Api;
use super::extract::{Caller, IdempotencyKey, JobPath, Limit, Operator, Query, RawBody, Reader};
use super::problem::Problem;
use super::reply::Json;
use super::views::{self, JobList, JobWithEvents};
use crate::audit::{Action, Entry};
use crate::blocking::RECIPES;
use crate::inventory;
use crate::jobs::model::{JobId, State as JobState};
use crate::jobs::store::{self, Created, Filter, NewJob, StoreError};
use crate::labels::Scope;

/// Maximum request size in bytes: a recipe and the other fields.
const LARGEST: usize = recipe::MAX_RECIPE_BYTES + 64 * 1024;

/// Reply with a new job and its location.
type CreatedJob = ([(HeaderName, String); 1], Json<JobWithEvents>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct ListQuery {
    /// Only jobs of this server.
    #[cfg_attr(test, schemars(with = "Option<super::schemas::Serial>"))]
    server_serial: Option<String>,
    /// Only jobs in this state.
    status: Option<JobState>,
    /// Maximum number of jobs.
    #[serde(default)]
    limit: Limit<50, 500>,
    /// Only jobs created before this one: `next_before` of the previous page.
    before: Option<JobId>,
}

/// `POST /api/v1/jobs`
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller<Operator>,
    IdempotencyKey(key): IdempotencyKey,
    sent: RawBody<LARGEST>,
) -> Result<CreatedJob, Problem> {
    let user = caller.name.clone();
    // Validation of a large recipe takes a while.
    let new = RECIPES.run(move || new_job(&sent, user, key)).await;
    api.start(new.map_err(|e| Problem::internal(&e))??, caller).await
}

fn new_job(sent: &RawBody<LARGEST>, user: String, key: Option<String>) -> Result<NewJob, Problem> {
    let request: views::NewJob<'_> = sent.parse()?;
    let serial = request.server_serial.parse::<recipe::ShortText>();
    let serial = serial.map_err(|e| Problem::bad_request(format!("server_serial: {e}")))?;
    let recipe = request.recipe.get().as_bytes();
    let validated = recipe::validate(recipe).map_err(Problem::recipe)?;
    Ok(NewJob {
        serial: serial.to_string(),
        recipe: recipe.to_vec(),
        recipe_sha256: validated.source.sha256,
        schema_id: validated.schema.id.to_owned(),
        task_target: validated.recipe.task_target.to_string(),
        warnings: validated.warnings.iter().map(ToString::to_string).collect(),
        retry_of: None,
        user,
        idempotency: key.map(|key| (key, recipe::sha256_hex(&sent.0))),
    })
}

impl Api {
    async fn start(&self, new: NewJob, caller: Caller<Operator>) -> Result<CreatedJob, Problem> {
        let created = self.audit.change(move |c| {
            // An unknown server is reported by `create`, which checks the Idempotency-Key first.
            let scope = &caller.scope;
            if !scope.is_all() && inventory::find(c, scope, &new.serial)?.is_none() {
                return Err(StoreError::NoServer(new.serial));
            }
            let created = store::create(c, &new)?;
            let action = if new.retry_of.is_some() { Action::JobRetry } else { Action::JobCreate };
            let detail = Some(format!("{} for server {}", new.task_target, new.serial));
            let entry = caller.entry(action, Some(created.job.id.to_string()));
            let entry = (!created.repeated).then_some(Entry { detail, ..entry });
            let events = store::events(c, created.job.number)?;
            Ok(((created, events), entry))
        });
        let (Created { job, repeated }, events) = created.await?;
        if !repeated {
            tracing::info!(job = %job.id, serial = job.serial, user = job.created_by, "new job");
            self.runner.wake();
        }
        let location = [(header::LOCATION, format!("/api/v1/jobs/{}", job.id))];
        Ok((location, Json(StatusCode::ACCEPTED, (job, events).into())))
    }
}

/// Returns at most `limit` jobs, newest first.
pub(crate) fn page(
    connection: &Connection,
    filter: &Filter,
    limit: u32,
) -> Result<Vec<views::Job>, StoreError> {
    let jobs = store::list(connection, filter, limit)?;
    Ok(jobs.into_iter().map(views::Job::from).collect())
}

/// `GET /api/v1/jobs?server_serial=…&status=…&limit=…&before=…`
pub(super) async fn list(
    State(api): State<Api>,
    Caller { scope, .. }: Caller<Reader>,
    Query(ListQuery { server_serial, status, limit, before }): Query<ListQuery>,
) -> Result<Json<JobList>, Problem> {
    let filter = Filter { serial: server_serial, state: status, before, scope };
    let jobs = api.database.read(move |c| page(c, &filter, limit.get())).await?;
    let next_before = limit.next(&jobs, |job| job.job_id);
    Ok(Json(StatusCode::OK, JobList { jobs, next_before }))
}

impl Api {
    /// Returns a job and its events if its server is in the scope.
    pub(crate) async fn job(&self, scope: Scope, id: JobId) -> Result<JobWithEvents, StoreError> {
        let find = move |c: &Connection| {
            store::in_scope(c, &scope, id)?;
            store::with_events(c, id)
        };
        self.database.read(find).await.map(JobWithEvents::from)
    }
}

/// `GET /api/v1/jobs/{id}`
pub(super) async fn get(
    State(api): State<Api>,
    caller: Caller<Reader>,
    JobPath(id): JobPath,
) -> Result<Json<JobWithEvents>, Problem> {
    Ok(Json(StatusCode::OK, api.job(caller.scope, id).await?))
}

/// `POST /api/v1/jobs/{id}/cancel`
pub(super) async fn cancel(
    State(api): State<Api>,
    caller: Caller<Operator>,
    JobPath(id): JobPath,
) -> Result<Json<views::Job>, Problem> {
    let cancel = move |c: &Connection| {
        let before = store::in_scope(c, &caller.scope, id)?;
        let job = store::cancel(c, id, &caller.name)?;
        let detail = Some(format!("for server {}", job.serial));
        let entry = caller.entry(Action::JobCancel, Some(id.to_string()));
        let entry = (!before.cancelled).then_some(Entry { detail, ..entry });
        Ok((job, entry))
    };
    let job = api.audit.change(cancel).await?;
    api.runner.notify(job.number);
    Ok(Json(StatusCode::ACCEPTED, job.into()))
}

/// `POST /api/v1/jobs/{id}/retry`
pub(super) async fn retry(
    State(api): State<Api>,
    caller: Caller<Operator>,
    JobPath(id): JobPath,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<CreatedJob, Problem> {
    let (scope, user) = (caller.scope.clone(), caller.name.clone());
    let find = move |c: &Connection| {
        store::in_scope(c, &scope, id)?;
        store::retry(c, id, &user)
    };
    let mut new = api.database.read(find).await?;
    new.idempotency = key.map(|key| (key, format!("retry of {id}")));
    api.start(new, caller).await
}
