// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary publish`: pushes a release folder to a registry.
//!
//! Publishing is staged, so that no tag points to an incomplete release: verification on disk, then
//! blobs, manifests by digest, referrers, and tags last. A rerun after an interruption uploads nothing
//! twice.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use oci::client::{Client, Options};
use oci::{Namespace, Transport};
use release::Channel;

mod artifact;
mod attachment;
pub(crate) mod bundle;
pub(crate) mod copy;
pub(crate) mod files;
pub(crate) mod images;
mod parallel;
mod plan;
mod planned;
pub(crate) mod preflight;
mod progress;
mod push;
mod remote;
mod report;
mod tags;
pub(crate) mod test_artifacts;

use plan::Plan;
use report::Report;

use crate::release_folder::ReleaseFolder;

/// Arguments of `notary publish`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Release folder, with release.json.
    #[arg(long, value_name = "DIR")]
    release: PathBuf,
    /// Let a snapshot replace one of the same commit, such as one for other architectures; candidates and
    /// stable releases never change.
    #[arg(long)]
    replace_snapshot: bool,
    #[command(flatten)]
    destination: Destination,
}

/// The destination registry and the format of the report.
#[derive(Debug, clap::Args)]
struct Destination {
    /// Registry and prefix of the repositories; http:// in front is for one without TLS, https:// for
    /// TLS on a loopback address.
    #[arg(long, value_name = "HOST[:PORT][/PREFIX]")]
    to: Namespace,
    /// Use HTTP without TLS, like http:// in --to; the default for loopback addresses.
    #[arg(long)]
    plain_http: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the folder is not a complete release, the registry refuses a request, or the version is
/// published with other content.
pub(crate) fn run(args: &Args) -> Result<()> {
    let release = ReleaseFolder::open(&args.release)?;
    let mut plan = Plan::new(&release, &args.destination.to)?;
    if args.replace_snapshot && release.manifest.channel == Channel::Snapshot {
        plan.move_tags();
    }
    args.destination.send(&plan)
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
        report.print(self.json).context("cannot write the report")
    }
}

fn send(plan: &Plan, target: &Namespace, client: &Client) -> Result<Report> {
    let tags = preflight::check(client, plan)?;
    let counts = push::push(client, plan)?;
    let set = tags::set(client, &tags)?;
    Ok(Report::new(target, plan, counts, set))
}

#[cfg(test)]
mod tests;
