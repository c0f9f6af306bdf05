// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `controller jobs …`

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use escape::print_line;
use serde_json::Value;
use serde_json::value::RawValue;

use super::client::{Client, Connection, encode, read, table, text};
use crate::api::views::{Event, Job, JobList, JobWithEvents, NewJob};
use crate::jobs::model::{Outcome, State};

/// Polling interval of a watched job.
const PERIOD: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Jobs {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: JobsCommand,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// List jobs, newest first
    #[command(after_help = "Example:\n  controller jobs list --status failed")]
    List {
        /// Only jobs of this server
        #[arg(long, value_name = "SERIAL")]
        server: Option<String>,
        /// Only jobs in this state: queued, provisioning, succeeded, failed or complete
        #[arg(long, value_name = "STATE")]
        status: Option<String>,
        /// Maximum number of jobs
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: u32,
    },
    /// Show a job and its events
    #[command(after_help = "Example:\n  controller jobs get f81d4fae-7dec-11d0-a765-00a0c91e6bf6")]
    Get {
        /// Job id
        job: String,
    },
    /// Create a job
    #[command(after_help = "Example:\n  controller jobs create CZ1234567X recipe.json --watch")]
    Create {
        /// Serial number of the server
        server: String,
        /// File with the recipe (JSON)
        recipe: PathBuf,
        /// Idempotency key: a repeated request with the same key creates no second job
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
        /// Show events until the job is complete; fail if the job fails
        #[arg(long)]
        watch: bool,
    },
    /// Show events until the job is complete; fail if the job fails
    #[command(
        after_help = "Example:\n  controller jobs watch f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    )]
    Watch {
        /// Job id
        job: String,
    },
    /// Cancel a job
    #[command(
        after_help = "Example:\n  controller jobs cancel f81d4fae-7dec-11d0-a765-00a0c91e6bf6"
    )]
    Cancel {
        /// Job id
        job: String,
    },
    /// Retry a failed job as a new job
    #[command(
        after_help = "Example:\n  controller jobs retry f81d4fae-7dec-11d0-a765-00a0c91e6bf6 --watch"
    )]
    Retry {
        /// Id of the failed job
        job: String,
        /// Show events until the job is complete; fail if the job fails
        #[arg(long)]
        watch: bool,
    },
}

impl Jobs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let Self { connection, command } = self;
        match command {
            JobsCommand::List { server, status, limit } => {
                let mut path = format!("/api/v1/jobs?limit={limit}");
                for (name, value) in [("server_serial", server), ("status", status)] {
                    if let Some(value) = value {
                        path.push_str(&format!("&{name}={}", encode(&value)));
                    }
                }
                let reply = connection.open()?.get(&path)?;
                connection.show(&reply, |list: JobList| {
                    let heading = ["JOB", "SERVER", "STATUS", "OUTCOME", "STEP", "CREATED"];
                    table(heading, list.jobs.into_iter().map(row))
                })
            }
            JobsCommand::Get { job } => {
                let reply = connection.open()?.get(&address(&job))?;
                connection.show(&reply, |JobWithEvents { job, events }| {
                    show(job)?;
                    print_events(&events, 0).map(drop)
                })
            }
            JobsCommand::Create { server, recipe, idempotency_key, watch } => {
                let body = request(&server, &recipe)?;
                let key = idempotency_key.as_deref().map(|key| ("idempotency-key", key));
                let headers: Vec<_> = key.into_iter().collect();
                let client = connection.open()?;
                let reply = client.send("POST", "/api/v1/jobs", &headers, Some(&body))?;
                print_created(&client, &connection, &reply, watch)
            }
            JobsCommand::Watch { job } => watch(&connection.open()?, &job),
            JobsCommand::Cancel { job } => {
                let path = format!("{}/cancel", address(&job));
                let reply = connection.open()?.send("POST", &path, &[], None)?;
                connection.show(&reply, |now: Job| {
                    print_line(format_args!("job {job} is {}", now.status))
                })
            }
            JobsCommand::Retry { job, watch } => {
                let client = connection.open()?;
                let path = format!("{}/retry", address(&job));
                let reply = client.send("POST", &path, &[], None)?;
                print_created(&client, &connection, &reply, watch)
            }
        }
    }
}

fn address(job: &str) -> String {
    format!("/api/v1/jobs/{}", encode(job))
}

/// Builds the request for a job. The recipe is sent verbatim, so that the locations of faults match
/// the file.
fn request(server: &str, recipe: &PathBuf) -> anyhow::Result<String> {
    let name = recipe.display();
    let text = fs::read_to_string(recipe).with_context(|| format!("cannot read {name}"))?;
    let recipe = RawValue::from_string(text).with_context(|| format!("{name} is not JSON"))?;
    Ok(serde_json::to_string(&NewJob { server_serial: server.to_owned(), recipe: &recipe })?)
}

fn print_created(
    client: &Client,
    connection: &Connection,
    reply: &Value,
    watch: bool,
) -> anyhow::Result<()> {
    connection.show(reply, |JobWithEvents { job, events }| {
        for warning in events.iter().filter(|event| event.kind == "warning") {
            eprintln!("warning: {}", escape::text(&warning.message));
        }
        print_line(job.job_id)
    })?;
    if watch {
        return self::watch(client, &read::<Job>(reply)?.job_id.to_string());
    }
    Ok(())
}

/// Prints new events until the job is complete.
fn watch(client: &Client, id: &str) -> anyhow::Result<()> {
    let mut seen = 0;
    loop {
        let JobWithEvents { job, events } = read(&client.get(&address(id))?)?;
        seen = print_events(&events, seen)?;
        if job.status == State::Complete {
            let [step, failure] = [job.failed_step, job.failure].map(escape_text);
            let succeeded = job.outcome == Some(Outcome::Succeeded);
            anyhow::ensure!(succeeded, "job {id} failed: {step}: {failure}");
            return Ok(());
        }
        std::thread::sleep(PERIOD);
    }
}

/// Escapes a text from a host or a BMC for a terminal.
fn escape_text(text: Option<String>) -> String {
    escape::text(&text.unwrap_or_default()).into_owned()
}

/// Prints the events after a number. Returns the number of the last one.
fn print_events(events: &[Event], after: i64) -> io::Result<i64> {
    for event in events.iter().filter(|event| event.number > after) {
        let what = event.step.iter().chain([&event.message]).filter(|part| !part.is_empty());
        let what: Vec<&str> = what.map(String::as_str).collect();
        let (kind, what) = (escape::text(&event.kind), what.join(": "));
        // A log has several lines, each of which is escaped by itself.
        let mut lines = what.lines();
        let first = escape::text(lines.next().unwrap_or_default());
        print_line(format_args!("{}  {kind:20}  {first}", event.at))?;
        for line in lines {
            print_line(format_args!("    {}", escape::text(line)))?;
        }
    }
    Ok(events.last().map_or(after, |event| event.number.max(after)))
}

fn row(job: Job) -> [String; 6] {
    let step = job.step_of_interest().to_owned();
    let (status, created) = (job.status.to_string(), job.created_at.to_string());
    [job.job_id.to_string(), job.server_serial, status, text(job.outcome), step, created]
}

fn show(job: Job) -> io::Result<()> {
    for (field, value) in [
        ("job id", job.job_id.to_string()),
        ("server serial", job.server_serial),
        ("status", job.status.to_string()),
        ("outcome", text(job.outcome)),
        ("task target", job.task_target),
        ("step", text(job.step)),
        ("failed step", text(job.failed_step)),
        ("failure", text(job.failure)),
        ("retry of", text(job.retry_of)),
        ("created by", job.created_by),
        ("created at", job.created_at.to_string()),
        ("completed at", text(job.completed_at)),
    ] {
        if !value.is_empty() {
            print_line(format_args!("{field:14} {}", escape::text(&value)))?;
        }
    }
    print_line("")
}
