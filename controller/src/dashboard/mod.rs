// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The dashboard: servers and jobs at `/`, a job and its events, and the contents of the registry.
//! Pages are rendered on the server and work without JavaScript; a small script refreshes them.
//! Long tables are split into pages with the cursors of the API.

mod html;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use axum::routing::get;
use maud::{Markup, html};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use self::html::{PageLinks, page, section, text};
use crate::api::extract::{Caller, JobPath, Query, Reader};
use crate::api::problem::Problem;
use crate::api::views::{Job, JobWithEvents};
use crate::api::{Api, jobs, servers};
use crate::blocking::READS;
use crate::jobs::model::{JobId, Outcome};
use crate::jobs::store::{Filter, StoreError};
use crate::labels::Scope;
use crate::registry::storage::{Page, Storage, StorageError};

/// Maximum rows of a table, and tags of a repository in the list of repositories.
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
        .route("/dashboard/registry/tags", get(tags))
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

/// First rows of the two tables, for the pages after the first one.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct OverviewQuery {
    /// Only jobs created before this one.
    jobs_before: Option<JobId>,
    /// Only servers after this serial number.
    servers_after: Option<String>,
}

impl OverviewQuery {
    fn url(&self) -> String {
        let jobs = self.jobs_before.map(|id| ("jobs_before", id.to_string()));
        let servers = self.servers_after.clone().map(|serial| ("servers_after", serial));
        url("/", jobs.into_iter().chain(servers))
    }
}

fn row_limit() -> usize {
    usize::try_from(ROWS).unwrap_or(usize::MAX)
}

/// Splits off the row after the page, which shows whether more follow.
fn first_page<T>(rows: Vec<T>) -> Page<T> {
    Page::take(rows.into_iter(), row_limit())
}

/// Concatenates `path` and the parameters of a query.
fn url(path: &str, parameters: impl Iterator<Item = (&'static str, String)>) -> String {
    let parameters = parameters
        .map(|(name, value)| format!("{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC)));
    match parameters.collect::<Vec<_>>().join("&") {
        none if none.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

async fn overview(
    State(dashboard): State<Dashboard>,
    Caller { scope, .. }: Caller<Reader>,
    Query(query): Query<OverviewQuery>,
) -> Result<Answer, Problem> {
    let OverviewQuery { jobs_before: before, servers_after } = query.clone();
    let read = dashboard.api.database.read(move |c| {
        let after = servers_after.unwrap_or_default();
        let servers = servers::page(c, &scope, &Scope::ALL, &after, ROWS + 1)?;
        let jobs = jobs::page(c, &Filter { before, scope, ..Filter::default() }, ROWS + 1)?;
        Ok::<_, StoreError>((servers, jobs))
    });
    let (servers, jobs) = read.await?;
    let servers = first_page(servers);
    let jobs = first_page(jobs);
    let job_links = PageLinks {
        first: query
            .jobs_before
            .map(|_| OverviewQuery { jobs_before: None, ..query.clone() }.url()),
        next: jobs
            .next(|job| OverviewQuery { jobs_before: Some(job.job_id), ..query.clone() }.url()),
        names: ["Newest jobs", "Older jobs"],
    };
    let server_links = PageLinks {
        first: query
            .servers_after
            .as_ref()
            .map(|_| OverviewQuery { servers_after: None, ..query.clone() }.url()),
        next: servers.next(|server| {
            OverviewQuery { servers_after: Some(server.serial.clone()), ..query.clone() }.url()
        }),
        names: ["First servers", "Next servers"],
    };
    let jobs = jobs.items.iter().map(|job| {
        let (step, made) = (text(job.step_of_interest()), text(job.created_at.to_string()));
        let (serial, task) = (text(&job.server_serial), text(&job.task_target));
        [link(job.job_id), serial, status(job), step, task, made]
    });
    let servers = servers.items.iter().map(|server| {
        let profile = server.profile.as_deref().unwrap_or("detected");
        let active = html! { @if let Some(job) = server.active_job { (link(job)) } };
        [text(&server.serial), text(&server.bmc_url), text(profile), active]
    });
    let columns = ["Job", "Server", "Status", "Step", "Task", "Created"];
    let sections = html! {
        (section("Jobs", Some(columns), jobs, &job_links))
        (section("Servers", Some(["Serial", "BMC", "Profile", "Active job"]), servers, &server_links))
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
        (section("State", None, facts, &PageLinks::default()))
        (section("Events", Some(["Time", "Kind", "Step", "Message"]), events, &PageLinks::default()))
    };
    Ok(answer(&format!("Job {id}"), &sections))
}

/// First row of a list of the registry, for the pages after the first one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegistryQuery {
    /// Only repositories after this one.
    after: Option<String>,
}

async fn registry(
    State(dashboard): State<Dashboard>,
    _: Caller<Reader>,
    Query(RegistryQuery { after }): Query<RegistryQuery>,
) -> Result<Answer, Problem> {
    const PATH: &str = "/dashboard/registry";
    let storage = dashboard.storage;
    let first = after.as_ref().map(|_| PATH.to_owned());
    let listed = READS.run(move || {
        let Page { items, more } =
            storage.repositories(&|_| true, after.as_deref(), row_limit())?;
        let with_tags = |repository: oci::Repository| {
            let tags = storage.tags(&repository, None, row_limit())?;
            Ok((repository, tags))
        };
        let items = items.into_iter().map(with_tags).collect::<Result<Vec<_>, StorageError>>()?;
        Ok::<_, StorageError>(Page { items, more })
    });
    let listed = listed.await.map_err(|e| Problem::internal(&e))?;
    let listed = listed.map_err(|e| Problem::internal(&e))?;
    let next = listed.next(|(name, _)| url(PATH, [("after", name.to_string())].into_iter()));
    let rows = listed.items.iter().map(|(repository, tags)| {
        let names: Vec<String> = tags.items.iter().map(ToString::to_string).collect();
        let next = tags.next(|tag| tags_url(repository, Some(tag)));
        let names = html! {
            (names.join(" "))
            @if let Some(next) = next { " " a href=(next) { "Next tags of " (repository.to_string()) } }
        };
        [text(repository.to_string()), names]
    });
    let links = PageLinks { first, next, names: ["First repositories", "Next repositories"] };
    let sections = section("Repositories", Some(["Repository", "Tags"]), rows, &links);
    Ok(answer("Registry", &sections))
}

/// A repository, and the first row of its tags.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagsQuery {
    repository: String,
    /// Only tags after this one.
    after: Option<String>,
}

fn tags_url(repository: &oci::Repository, after: Option<&oci::Tag>) -> String {
    let repository = ("repository", repository.to_string());
    let after = after.map(|tag| ("after", tag.to_string()));
    url("/dashboard/registry/tags", [repository].into_iter().chain(after))
}

async fn tags(
    State(dashboard): State<Dashboard>,
    _: Caller<Reader>,
    Query(TagsQuery { repository, after }): Query<TagsQuery>,
) -> Result<Answer, Problem> {
    let repository: oci::Repository = repository.parse().map_err(Problem::bad_request)?;
    let first = after.as_ref().map(|_| tags_url(&repository, None));
    let name = repository.clone();
    let read = READS.run(move || dashboard.storage.tags(&name, after.as_deref(), row_limit()));
    let tags = match read.await.map_err(|e| Problem::internal(&e))? {
        Err(e @ StorageError::RepositoryUnknown(_)) => {
            return Err(Problem::not_found("not_found", e));
        }
        tags => tags.map_err(|e| Problem::internal(&e))?,
    };
    let next = tags.next(|tag| tags_url(&repository, Some(tag)));
    let links = PageLinks { first, next, names: ["First tags", "Next tags"] };
    let rows = tags.items.iter().map(|tag| [text(tag.to_string())]);
    Ok(answer(&repository.to_string(), &section("Tags", Some(["Tag"]), rows, &links)))
}
