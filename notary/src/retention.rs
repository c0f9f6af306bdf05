// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary retention`: deletes expired manifests and tags from a registry.
//!
//! Reads everything that it needs through the distribution API before it deletes anything. The registry itself
//! collects the blobs.
#![expect(clippy::doc_markdown, reason = "these comments are the help, where a backtick is noise")]

mod apply;
mod graph;
mod plan;
mod rules;
mod survey;
mod tags;

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use oci::Namespace;
use oci::client::Client;

use plan::Plan;
use rules::Rules;
use survey::Survey;

/// Arguments of `retention`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Registry and prefix of the repositories; http://HOST… without TLS
    #[arg(long, value_name = "HOST[:PORT][/PREFIX]")]
    registry: Namespace,
    #[command(flatten)]
    mode: Mode,
    /// Another repository than those of the releases, such as ci/linux
    #[arg(long = "repository", value_name = "NAME")]
    repositories: Vec<String>,
    #[command(flatten)]
    rules: Rules,
    /// Reference time of ages (RFC 3339) [default: now]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_rfc3339)]
    time: Option<SystemTime>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Write the plan to FILE as JSON, before anything is deleted
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Whether to plan or to delete.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Mode {
    /// Print what would be deleted
    #[arg(long)]
    plan: bool,
    /// Delete it
    #[arg(long)]
    apply: bool,
}

/// Runs the command.
///
/// # Errors
/// When something cannot be read (nothing was deleted), or when the registry refuses to delete.
pub(crate) fn run(args: &Args) -> Result<()> {
    let Args { registry, mode, repositories, rules, time, json, output } = args;
    let client = Client::of_namespace(registry);
    let time = time.unwrap_or_else(SystemTime::now);
    let now = time.duration_since(UNIX_EPOCH).context("--time is before 1970")?.as_secs();
    client.ping().context("cannot use the registry")?;
    let survey = Survey::read(&client, registry, repositories)?;
    let plan = Plan::new(&survey, rules, now);
    plan.print(registry, *json).context("cannot write the plan")?;
    if let Some(path) = output {
        let text = format!("{}\n", serde_json::to_string_pretty(&plan)?);
        files::write(path, files::Mode::DEFAULT, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if mode.apply {
        apply::run(&client, registry, &survey, &plan)?;
    }
    Ok(())
}
