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
use oci::{Namespace, Transport};

mod artifact;
mod attachment;
pub(crate) mod bundle;
pub(crate) mod copy;
pub(crate) mod files;
pub(crate) mod images;
mod parallel;
mod plan;
mod planned;
mod progress;
mod push;
mod remote;
mod report;
mod tags;
pub(crate) mod test_artifacts;

use plan::Plan;
use report::Report;

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

/// A registry to write to, and the form of the report.
#[derive(Debug, clap::Args)]
struct Destination {
    /// Registry, and prefix of all repositories in it; with `http://` without TLS, with `https://` with
    /// TLS on a loopback address.
    #[arg(long, value_name = "HOST[:PORT][/PREFIX]")]
    to: Namespace,
    /// Use HTTP without TLS, as http:// in --to; loopback addresses are reached over HTTP anyway.
    #[arg(long)]
    plain_http: bool,
    /// Print the report as JSON.
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
    /// A client of the registry.
    fn client(&self) -> Client {
        let transport = if self.plain_http { Transport::PlainHttp } else { self.to.transport };
        Client::new(&self.to.registry, Options::of_transport(transport))
    }

    /// Publishes `plan` and prints the report.
    fn send(&self, plan: &Plan) -> Result<()> {
        let client = self.client();
        let report = send(plan, &self.to, &client)?;
        report.print(self.json).context("writing the report")
    }
}

fn send(plan: &Plan, target: &Namespace, client: &Client) -> Result<Report> {
    client.ping().context("the registry can't be used")?;
    let tags = tags::check(client, plan)?;
    check_rights(client, &tags)?;
    let counts = push::push(client, plan)?;
    let set = tags::set(client, &tags)?;
    Ok(Report::new(target, plan, counts, set))
}

/// Checks that this client may push to every repository with a tag that is to be set. Where all tags are
/// right, a run before this one has sent everything.
fn check_rights(client: &Client, tags: &[tags::Change<'_>]) -> Result<()> {
    let mut repositories: Vec<_> = tags.iter().filter_map(tags::Change::pending).collect();
    repositories.dedup();
    parallel::each(&repositories, |repository| {
        client.check_push(repository).with_context(|| {
            format!("cannot push to {}/{repository}; nothing was sent", client.host())
        })
    })
}

#[cfg(test)]
mod tests;
