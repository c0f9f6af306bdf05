// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Pages for people: servers and jobs at `/`, a job with its events, the contents of the registry. They are made
//! here and work without a script; a small one fetches them again now and then.

mod html;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, HeaderValue, Response, header};
use axum::routing::get;

use self::html::{Page, escape, table};
use crate::api::problem::Problem;
use crate::api::{Api, Caller};
use crate::blocking::READS;
use crate::inventory;
use crate::jobs::clock::rfc3339;
use crate::jobs::model::{JobId, Outcome};
use crate::jobs::store::{self, Filter, Job, StoreError};
use crate::registry::storage::{Storage, StorageError};

/// Rows of a table.
const ROWS: u32 = 100;

#[derive(Clone)]
struct Dashboard {
    api: Api,
    storage: Arc<Storage>,
}

/// The pages, for those who may use the API.
pub(crate) fn router(api: Api, storage: Arc<Storage>) -> Router {
    let script = include_str!("script.js");
    let style = include_str!("style.css");
    Router::new()
        .route("/", get(overview))
        .route("/dashboard/jobs/{id}", get(job))
        .route("/dashboard/registry", get(registry))
        .route("/dashboard/script.js", get(move || async move { asset("text/javascript", script) }))
        .route("/dashboard/style.css", get(move || async move { asset("text/css", style) }))
        .with_state(Dashboard { api, storage })
}

fn asset(kind: &'static str, content: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(content));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// The answer with a page. Nothing but our own script runs in it, and no other page shows it in a frame.
fn answer(page: Page) -> Response<Body> {
    let mut response = Response::new(Body::from(page.end()));
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                  frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    let headers: [(HeaderName, &'static str); 4] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// How a job stands, in a word and in colour.
fn status(job: &Job) -> String {
    let word = match job.outcome {
        Some(outcome) if job.completed_at.is_some() => outcome.as_str(),
        _ => job.state.as_str(),
    };
    format!("<span class=\"{}\">{word}</span>", job.outcome.map_or("", Outcome::as_str))
}

fn link(job: JobId) -> String {
    format!("<a href=\"/dashboard/jobs/{job}\">{job}</a>")
}

fn step(job: &Job) -> String {
    let step = job.failed_step.as_ref().or(job.step.as_ref());
    step.map(|step| escape(&step.to_string())).unwrap_or_default()
}

async fn overview(
    State(dashboard): State<Dashboard>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let scope = dashboard.api.identify(Caller::of(&request)).await?.scope;
    let (servers, jobs) = dashboard
        .api
        .database
        .read(move |c| {
            let servers = inventory::list(c, &scope, "", ROWS)?;
            let with_job = |server: inventory::Server| {
                let active = store::active(c, &server.serial)?;
                Ok::<_, StoreError>((server, active))
            };
            let servers = servers.into_iter().map(with_job).collect::<Result<Vec<_>, _>>()?;
            Ok::<_, StoreError>((
                servers,
                store::list(c, &Filter { scope, ..Filter::default() }, ROWS)?,
            ))
        })
        .await?;
    let mut page = Page::new("Servers and jobs");
    let rows = jobs.iter().map(|job| {
        let (serial, at) = (escape(&job.serial), rfc3339(job.created_at));
        vec![link(job.id), serial, status(job), step(job), escape(&job.task_target), at]
    });
    page.section("Jobs", &table(&["Job", "Server", "Status", "Step", "Task", "Made"], rows));
    let rows = servers.iter().map(|(server, active)| {
        let profile = server.profile.as_deref().unwrap_or("found out");
        let active = active.as_ref().map(|job| link(job.id)).unwrap_or_default();
        vec![escape(&server.serial), escape(&server.bmc_url), escape(profile), active]
    });
    page.section("Servers", &table(&["Serial", "BMC", "Profile", "Active job"], rows));
    Ok(answer(page))
}

async fn job(
    State(dashboard): State<Dashboard>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    let scope = dashboard.api.identify(Caller::of(&request)).await?.scope;
    let id: JobId = id.parse().map_err(|_| Problem::from(StoreError::NoJob))?;
    let find = move |c: &rusqlite::Connection| {
        store::in_scope(c, &scope, id)?;
        store::with_events(c, id)
    };
    let (job, events) = dashboard.api.database.read(find).await?;
    let mut page = Page::new(&format!("Job {id}"));
    let facts = [
        ("Server", escape(&job.serial)),
        ("Status", status(&job)),
        ("Task", escape(&job.task_target)),
        ("Step", step(&job)),
        ("Failure", escape(job.failure.as_deref().unwrap_or_default())),
        ("Repeats", job.retry_of.map(link).unwrap_or_default()),
        ("Made by", escape(&job.created_by)),
        ("Recipe (SHA-256)", escape(&job.recipe_sha256)),
    ];
    let rows = facts.into_iter().filter(|(_, value)| !value.is_empty());
    page.section("State", &table(&[], rows.map(|(name, value)| vec![name.to_owned(), value])));
    let rows = events.iter().map(|event| {
        let step = event.step.as_ref().map(|step| escape(&step.to_string())).unwrap_or_default();
        vec![rfc3339(event.at), escape(&event.kind), step, escape(&event.message)]
    });
    page.section("Events", &table(&["When", "What", "Step", ""], rows));
    Ok(answer(page))
}

async fn registry(
    State(dashboard): State<Dashboard>,
    request: Request,
) -> Result<Response<Body>, Problem> {
    dashboard.api.identify(Caller::of(&request)).await?;
    let storage = dashboard.storage;
    let listed = READS.run(move || {
        let limit = usize::try_from(ROWS).unwrap_or(usize::MAX);
        let repositories = storage.repositories(&|_| true, None, limit)?.items;
        let with_tags = |repository: oci::Repository| {
            let tags = storage.tags(&repository, None, limit)?.items;
            Ok((repository, tags))
        };
        repositories.into_iter().map(with_tags).collect::<Result<Vec<_>, StorageError>>()
    });
    let listed = listed.await.map_err(|e| Problem::internal(&e))?;
    let listed = listed.map_err(|e| Problem::internal(&e))?;
    let rows = listed.iter().map(|(repository, tags)| {
        let tags: Vec<String> = tags.iter().map(|tag| escape(&tag.to_string())).collect();
        vec![escape(&repository.to_string()), tags.join(" ")]
    });
    let mut page = Page::new("Registry");
    page.section("Repositories", &table(&["Repository", "Tags"], rows));
    Ok(answer(page))
}
