// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The dashboard: servers and jobs at `/`, a job and its events, and the contents of the registry.
//! Pages are rendered on the server and work without JavaScript; a small script refreshes them.

mod html;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;
use maud::{Markup, html};

use self::html::{page, section, text};
use crate::api::extract::{Caller, JobPath, Reader};
use crate::api::problem::Problem;
use crate::api::views::{Job, JobWithEvents};
use crate::api::{Api, jobs, servers};
use crate::blocking::READS;
use crate::jobs::model::{JobId, Outcome};
use crate::jobs::store::{Filter, StoreError};
use crate::labels::Scope;
use crate::registry::storage::{Storage, StorageError};

/// Maximum rows of a table.
const ROWS: u32 = 100;

/// A page with its headers.
type Answer = ([(HeaderName, &'static str); 4], String);

#[derive(Clone)]
struct Dashboard {
    api: Api,
    storage: Arc<Storage>,
}

impl FromRef<Dashboard> for Api {
    fn from_ref(dashboard: &Dashboard) -> Self {
        dashboard.api.clone()
    }
}

/// Router for the pages, with the authentication of the API.
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

fn asset(kind: &'static str, content: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], content)
}

/// Returns a page. The headers allow only our own script and no frames.
fn answer(title: &str, sections: &Markup) -> Answer {
    let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                  frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, page(title, sections).into_string())
}

/// Renders state or outcome of a job, with a colour.
fn status(job: &Job) -> Markup {
    let word = match job.outcome {
        Some(outcome) if job.completed_at.is_some() => outcome.as_str(),
        _ => job.status.as_str(),
    };
    html! { span class=(job.outcome.map_or("", Outcome::as_str)) { (word) } }
}

fn link(job: JobId) -> Markup {
    html! { a href={ "/dashboard/jobs/" (job.to_string()) } { (job.to_string()) } }
}

async fn overview(
    State(dashboard): State<Dashboard>,
    Caller { scope, .. }: Caller<Reader>,
) -> Result<Answer, Problem> {
    let read = dashboard.api.database.read(move |c| {
        let servers = servers::page(c, &scope, &Scope::ALL, "", ROWS)?;
        let jobs = jobs::page(c, &Filter { scope, ..Filter::default() }, ROWS)?;
        Ok::<_, StoreError>((servers, jobs))
    });
    let (servers, jobs) = read.await?;
    let jobs = jobs.iter().map(|job| {
        let (step, made) = (text(job.step_of_interest()), text(job.created_at.to_string()));
        let (serial, task) = (text(&job.server_serial), text(&job.task_target));
        [link(job.job_id), serial, status(job), step, task, made]
    });
    let servers = servers.iter().map(|server| {
        let profile = server.profile.as_deref().unwrap_or("detected");
        let active = html! { @if let Some(job) = server.active_job { (link(job)) } };
        [text(&server.serial), text(&server.bmc_url), text(profile), active]
    });
    let columns = ["Job", "Server", "Status", "Step", "Task", "Created"];
    let sections = html! {
        (section("Jobs", Some(columns), jobs))
        (section("Servers", Some(["Serial", "BMC", "Profile", "Active job"]), servers))
    };
    Ok(answer("Servers and jobs", &sections))
}

async fn job(
    State(dashboard): State<Dashboard>,
    Caller { scope, .. }: Caller<Reader>,
    JobPath(id): JobPath,
) -> Result<Answer, Problem> {
    let JobWithEvents { job, events } = dashboard.api.job(scope, id).await?;
    let facts = [
        ("Server", text(&job.server_serial)),
        ("Status", status(&job)),
        ("Task", text(&job.task_target)),
        ("Step", text(job.step_of_interest())),
        ("Failure", text(job.failure.as_deref().unwrap_or_default())),
        ("Retry of", html! { @if let Some(job) = job.retry_of { (link(job)) } }),
        ("Created by", text(&job.created_by)),
        ("Recipe (SHA-256)", text(&job.recipe_sha256)),
    ];
    let facts = facts.into_iter().filter(|(_, value)| !value.0.is_empty());
    let facts = facts.map(|(name, value)| [text(name), value]);
    let events = events.iter().map(|event| {
        let step = text(event.step.as_deref().unwrap_or_default());
        [text(event.at.to_string()), text(&event.kind), step, text(&event.message)]
    });
    let sections = html! {
        (section("State", None, facts))
        (section("Events", Some(["Time", "Kind", "Step", "Message"]), events))
    };
    Ok(answer(&format!("Job {id}"), &sections))
}

async fn registry(
    State(dashboard): State<Dashboard>,
    _: Caller<Reader>,
) -> Result<Answer, Problem> {
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
        let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
        [text(repository.to_string()), text(tags.join(" "))]
    });
    let sections = section("Repositories", Some(["Repository", "Tags"]), rows);
    Ok(answer("Registry", &sections))
}
