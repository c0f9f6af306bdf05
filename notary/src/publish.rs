// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary publish`: a release folder into a registry.
//!
//! Staged, so that nobody ever sees half a release: everything is checked on disk first, then blobs,
//! then manifests by digest, then what refers to them, and only then, when all of it is there, tags.
//! A run that was cut off at any point is simply run again; what is there is not sent twice.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use oci::client::{Client, Options};

mod artifact;
mod attachment;
mod files;
pub(crate) mod images;
mod plan;
mod planned;
mod progress;
mod push;
mod report;
mod tags;
mod target;
pub(crate) mod test_artifacts;

use plan::Plan;
use progress::Progress;
use push::Pusher;
use report::Report;
use target::Target;

use crate::release_folder::ReleaseFolder;

/// Where a release is and where it goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder of the release, with release.json in it.
    #[arg(long, value_name = "DIR")]
    release: PathBuf,
    #[command(flatten)]
    destination: Destination,
}

/// Where something is published, and how that is told.
#[derive(Debug, clap::Args)]
struct Destination {
    /// Where to: `HOST:PORT`, or `HOST:PORT/PREFIX` to put every repository below PREFIX.
    #[arg(long, value_name = "REGISTRY/PREFIX")]
    to: Target,
    /// Speak http to the registry; loopback addresses are spoken to in http anyway.
    #[arg(long)]
    plain_http: bool,
    /// Print what was done as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the folder is not a whole release, the registry refuses something, or a version would change.
pub(crate) fn run(args: &Args) -> Result<()> {
    let release = ReleaseFolder::open(&args.release)?;
    args.destination.send(&Plan::new(&release, &args.destination.to)?)
}

impl Destination {
    /// Sends what `plan` says, and tells what was done.
    fn send(&self, plan: &Plan) -> Result<()> {
        let options = Options { plain_http: self.plain_http, ..Options::default() };
        let client = Client::new(&self.to.registry, options);
        let report = send(plan, &self.to, &client)?;
        report.print(self.json).context("writing the report")
    }
}

fn send(plan: &Plan, target: &Target, client: &Client) -> Result<Report> {
    client.ping().context("the registry can't be used")?;
    let tags = tags::check(client, plan)?;

    let mut pusher = Pusher::new(client, Progress::new());
    for repository in &plan.repositories {
        pusher.blobs(repository)?;
    }
    for repository in &plan.repositories {
        pusher.manifests(repository)?;
    }
    for repository in &plan.repositories {
        pusher.attachments(repository)?;
    }
    let set = tags::set(client, &tags)?;
    Ok(Report::new(target, plan, pusher.into_counts(), set))
}
