// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `controller registry …`: maintenance, even while a service runs.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use escape::print_line;
use oci::{Digest, Repository, Tag};

use super::Settings;
use crate::config::RegistryConfig;
use crate::registry::storage::{Collection, DamagedManifest, Scrub, Storage};

#[derive(Debug, Subcommand)]
pub(super) enum RegistryCommand {
    /// Collect garbage: move unreferenced content to quarantine, delete expired content from there
    #[command(after_help = "Example:\n  controller registry gc --plan --config controller.toml")]
    Gc(Gc),
    /// Compare all content with its digest, and move corrupt content to `corrupt/`
    #[command(after_help = "Example:\n  controller registry scrub --config controller.toml")]
    Scrub(Settings),
}

#[derive(Debug, Args)]
pub(super) struct Gc {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    mode: CollectionMode,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct CollectionMode {
    /// Print what would be collected
    #[arg(long)]
    plan: bool,
    /// Collect garbage
    #[arg(long)]
    run: bool,
}

impl RegistryCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Gc(Gc { settings, mode }) => {
                let config = settings.load()?;
                crate::logging::start(&config.log_level, config.log_format)?;
                let storage = Storage::maintain(config.registry_dir())?;
                let RegistryConfig { gc, rules, .. } = &config.registry;
                let immutable =
                    |repository: &Repository, tag: &Tag| rules.is_immutable(repository, tag);
                let done = if mode.run {
                    storage.collect(gc, &immutable).context("garbage collection failed")?
                } else {
                    storage
                        .plan_collection(gc, &immutable)
                        .context("cannot plan the garbage collection")?
                };
                print_line(describe(&done, mode.run).trim_end())?;
                let damaged = done.damaged.len();
                anyhow::ensure!(
                    damaged == 0,
                    "{damaged} damaged manifests: their repositories were skipped\n\
                     fix: push the images listed above again, or delete them by digest"
                );
                Ok(())
            }
            Self::Scrub(settings) => {
                let config = settings.load()?;
                crate::logging::start(&config.log_level, config.log_format)?;
                let scrub =
                    Storage::maintain(config.registry_dir())?.scrub().context("scrub failed")?;
                print_line(report(&scrub).trim_end())?;
                let faults = scrub.corrupt.len() + scrub.missing.len();
                anyhow::ensure!(
                    faults == 0,
                    "{faults} faults\nfix: push the images listed above again"
                );
                Ok(())
            }
        }
    }
}

fn describe(collection: &Collection, done: bool) -> String {
    let mut text = String::new();
    let Collection { tags, manifests, blobs, contents, expired, damaged } = collection;
    for DamagedManifest { repository, digest, reason } in damaged {
        text.push_str(&format!("damaged     {repository}@{digest}: {reason}\n"));
    }
    for (repository, tag) in tags {
        text.push_str(&format!("tag         {repository}:{tag}\n"));
    }
    for (repository, digest) in manifests {
        text.push_str(&format!("manifest    {repository}@{digest}\n"));
    }
    for (repository, digest) in blobs {
        text.push_str(&format!("blob        {repository}@{digest}\n"));
    }
    for (digest, size) in contents {
        text.push_str(&format!("quarantine  {digest} {size} bytes\n"));
    }
    for (digest, size) in expired {
        text.push_str(&format!("remove      {digest} {size} bytes\n"));
    }
    let bytes = |list: &[(Digest, u64)]| list.iter().map(|(_, size)| size).sum::<u64>();
    let verb = if done { "collected" } else { "would collect" };
    text.push_str(&format!(
        "{verb} {} tags, {} manifests, {} blobs; quarantine {} bytes, delete {} bytes\n",
        tags.len(),
        manifests.len(),
        blobs.len(),
        bytes(contents),
        bytes(expired)
    ));
    text
}

fn report(scrub: &Scrub) -> String {
    let mut text = String::new();
    for digest in &scrub.corrupt {
        text.push_str(&format!("corrupt  {digest}\n"));
    }
    for (repository, digest) in &scrub.missing {
        text.push_str(&format!("missing  {repository}@{digest}\n"));
    }
    text.push_str(&format!("verified {} contents\n", scrub.contents));
    text
}
