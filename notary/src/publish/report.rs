// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Report of a publication, as text and as JSON.

use std::io::{self, Write as _};

use oci::Namespace;
use serde::Serialize;

use super::plan::Plan;
use super::progress::bytes;
use super::push::Counts;
use super::tags::TagCounts;

/// Report of a publication, as printed by `--json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// `REGISTRY[:PORT][/PREFIX]`.
    target: String,
    repositories: Vec<Published>,
    #[serde(flatten)]
    counts: Counts,
    tags: TagCounts,
}

/// One repository.
#[derive(Debug, Serialize)]
struct Published {
    /// Repository with registry, as clients need it.
    name: String,
    /// Digest that the tags point to.
    digest: String,
    tags: Vec<String>,
}

impl Report {
    pub(super) fn new(target: &Namespace, plan: &Plan, counts: Counts, tags: TagCounts) -> Self {
        let repositories = plan
            .repositories
            .iter()
            .map(|repository| Published {
                name: format!("{}/{}", target.registry, repository.name),
                digest: repository.root.digest.to_string(),
                tags: repository.tags.iter().map(|planned| planned.tag.to_string()).collect(),
            })
            .collect();
        Self { target: target.to_string(), repositories, counts, tags }
    }

    /// Prints to standard output.
    pub(super) fn print(&self, as_json: bool) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if as_json {
            serde_json::to_writer_pretty(&mut out, self)?;
            return writeln!(out);
        }
        for repository in &self.repositories {
            writeln!(out, "{}@{}", repository.name, repository.digest)?;
            for tag in &repository.tags {
                writeln!(out, "  {}:{tag}", repository.name)?;
            }
        }
        let Counts { blobs, manifests, bytes_uploaded } = self.counts;
        writeln!(
            out,
            "{}: {} blobs uploaded ({}), {} mounted, {} already there; {} manifests uploaded, {} already there; {} tags set, {} already there",
            self.target,
            blobs.uploaded,
            bytes(bytes_uploaded),
            blobs.mounted,
            blobs.present,
            manifests.uploaded,
            manifests.present,
            self.tags.set,
            self.tags.present
        )
    }
}
