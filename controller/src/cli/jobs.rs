// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `controller jobs …`

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::Value;
use serde_json::value::RawValue;

use super::client::{Client, Connection, encode, print_json, shown, table, text};

/// How often a job that is watched is asked for.
const PERIOD: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Jobs {
    #[command(subcommand)]
    command: JobsCommand,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// List jobs, the newest first
    List {
        /// Of this server only
        #[arg(long, value_name = "SERIAL")]
        server: Option<String>,
        /// In this state only: queued, provisioning, succeeded, failed or complete
        #[arg(long, value_name = "STATE")]
        status: Option<String>,
        /// How many
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: u32,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show a job and its events
    Get {
        /// The job's id
        job: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Make a job
    Create {
        /// Serial number of the server
        server: String,
        /// File with the recipe (JSON)
        recipe: PathBuf,
        /// Names the request: sent again with the same key, it makes no second job
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
        /// Show its events until it is complete; fails where the job does
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        connection: Connection,
    },
    /// Show a job's events until it is complete; fails where the job does
    Watch {
        /// The job's id
        job: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Ask that a job ends
    Cancel {
        /// The job's id
        job: String,
        #[command(flatten)]
        connection: Connection,
    },
    /// Make a new job like one that failed
    Retry {
        /// The id of the job that failed
        job: String,
        /// Show its events until it is complete; fails where the job does
        #[arg(long)]
        watch: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

impl Jobs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.command {
            JobsCommand::List { server, status, limit, connection } => {
                let mut path = format!("/api/v1/jobs?limit={limit}");
                for (name, value) in [("server_serial", server), ("status", status)] {
                    if let Some(value) = value {
                        // Writing to a String can't fail.
                        write!(path, "&{name}={}", encode(&value)).ok();
                    }
                }
                let answer = connection.open()?.get(&path)?;
                if connection.json {
                    print_json(&answer);
                    return Ok(());
                }
                let rows = answer["jobs"].as_array().into_iter().flatten().map(row);
                let heading = ["JOB", "SERVER", "STATUS", "OUTCOME", "STEP", "CREATED"];
                table(&heading, &rows.collect::<Vec<_>>());
                Ok(())
            }
            JobsCommand::Get { job, connection } => {
                let answer = connection.open()?.get(&address(&job))?;
                if connection.json {
                    print_json(&answer);
                } else {
                    show(&answer);
                    print_events(&answer, 0);
                }
                Ok(())
            }
            JobsCommand::Create { server, recipe, idempotency_key, watch, connection } => {
                let body = request(&server, &recipe)?;
                let key = idempotency_key.as_deref().map(|key| ("idempotency-key", key));
                let headers: Vec<_> = key.into_iter().collect();
                let client = connection.open()?;
                let answer = client.send("POST", "/api/v1/jobs", &headers, Some(&body))?;
                made(&client, &connection, &answer, watch)
            }
            JobsCommand::Watch { job, connection } => watch(&connection.open()?, &job),
            JobsCommand::Cancel { job, connection } => {
                let path = format!("{}/cancel", address(&job));
                let answer = connection.open()?.send("POST", &path, &[], None)?;
                if connection.json {
                    print_json(&answer);
                } else {
                    println!("job {job} is {}", shown(&answer, "status"));
                }
                Ok(())
            }
            JobsCommand::Retry { job, watch, connection } => {
                let client = connection.open()?;
                let path = format!("{}/retry", address(&job));
                let answer = client.send("POST", &path, &[], None)?;
                made(&client, &connection, &answer, watch)
            }
        }
    }
}

fn address(job: &str) -> String {
    format!("/api/v1/jobs/{}", encode(job))
}

/// The request for a job. The recipe goes as it stands in the file: its faults are told by their place.
fn request(server: &str, recipe: &PathBuf) -> anyhow::Result<String> {
    let name = recipe.display();
    let text = fs::read_to_string(recipe).with_context(|| format!("read {name}"))?;
    let recipe = RawValue::from_string(text).with_context(|| format!("{name} is not JSON"))?;
    let server = serde_json::to_string(server)?;
    Ok(format!("{{\"server_serial\":{server},\"recipe\":{recipe}}}"))
}

fn made(
    client: &Client,
    connection: &Connection,
    answer: &Value,
    watch: bool,
) -> anyhow::Result<()> {
    let job = text(answer, "job_id");
    if connection.json {
        print_json(answer);
    } else {
        println!("{}", escape::text(&job));
    }
    if watch { self::watch(client, &job) } else { Ok(()) }
}

/// Prints what is new until the job is complete.
fn watch(client: &Client, job: &str) -> anyhow::Result<()> {
    let mut seen = 0;
    loop {
        let answer = client.get(&address(job))?;
        seen = print_events(&answer, seen);
        if answer["status"] == "complete" {
            let outcome = shown(&answer, "outcome");
            let failure = shown(&answer, "failure");
            let step = shown(&answer, "failed_step");
            anyhow::ensure!(outcome == "succeeded", "job {job} failed: {step}: {failure}");
            return Ok(());
        }
        std::thread::sleep(PERIOD);
    }
}

/// Prints the events after a number; answers the number of the last one.
fn print_events(job: &Value, after: i64) -> i64 {
    let mut last = after;
    for event in job["events"].as_array().into_iter().flatten() {
        let number = event["number"].as_i64().unwrap_or(0);
        if number > after {
            last = number;
            let (at, kind) = (shown(event, "at"), shown(event, "kind"));
            let what = [shown(event, "step"), shown(event, "message")];
            let what: Vec<_> = what.into_iter().filter(|part| !part.is_empty()).collect();
            println!("{at}  {kind:20}  {}", what.join(": "));
        }
    }
    last
}

fn row(job: &Value) -> Vec<String> {
    let failed = shown(job, "failed_step");
    let step = if failed.is_empty() { shown(job, "step") } else { failed };
    let fields = ["job_id", "server_serial", "status", "outcome"];
    let mut row: Vec<String> = fields.iter().map(|field| shown(job, field)).collect();
    row.extend([step, shown(job, "created_at")]);
    row
}

fn show(job: &Value) {
    let fields = [
        "job_id",
        "server_serial",
        "status",
        "outcome",
        "task_target",
        "step",
        "failed_step",
        "failure",
        "retry_of",
        "created_by",
        "created_at",
        "completed_at",
    ];
    for field in fields {
        let value = shown(job, field);
        if !value.is_empty() {
            println!("{:14} {value}", field.replace('_', " "));
        }
    }
    println!();
}
