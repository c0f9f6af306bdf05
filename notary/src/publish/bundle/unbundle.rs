// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary unbundle`: extracts a bundle to a release folder, and publishes it to a registry.
#![expect(clippy::doc_markdown, reason = "these comments are the help, where a backtick is noise")]

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use files::{Mode, TemporaryFolder};
use oci::Namespace;

use super::super::Destination;
use super::super::plan::Plan;
use super::super::preflight::ensure_free;
use super::archive;
use super::restore::Bundle;
use crate::release_folder::ReleaseFolder;

/// Arguments of `unbundle`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File that `notary bundle` wrote
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
    /// Release folder to write, which must not exist
    #[arg(long, value_name = "DIR", required_unless_present = "to")]
    release: Option<PathBuf>,
    /// File for the trusted root in the bundle
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// Registry to publish to, and prefix of all repositories; http://HOST… without TLS
    #[arg(long, value_name = "HOST[:PORT][/PREFIX]")]
    to: Option<Namespace>,
    /// Print the report of the publication as JSON
    #[arg(long, requires = "to")]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When there is no space for the bundle, it is malformed or not a complete release, the folder
/// exists, or the registry refuses something.
pub(crate) fn run(args: &Args) -> Result<()> {
    let Args { bundle, release, trusted_root, to, json } = args;
    if let Some(release) = release {
        ensure!(!release.exists(), "{} exists; give another --release", release.display());
    }
    let context = || format!("cannot unpack the bundle {}", bundle.display());
    let size = fs::metadata(bundle).with_context(context)?.len();
    let staging = staging(release.as_deref())?;
    // A bundle is not compressed, and its blobs are linked into the release folder.
    ensure_free(staging.path(), size, || "the blobs of the bundle".to_owned())
        .with_context(context)?;
    let layout = archive::extract(bundle, &staging.path().join("layout")).with_context(context)?;
    let unpacked = Bundle::read(&layout).with_context(context)?;
    if let Some(path) = trusted_root {
        let bytes = unpacked.trusted_root()?;
        files::write(path, Mode::DEFAULT, &bytes)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut folder = staging.path().join("release");
    unpacked.restore(&folder).with_context(context)?;
    // Compares every file and image with release.json.
    ReleaseFolder::open(&folder).with_context(context)?;
    if let Some(release) = release {
        files::rename(&folder, release)
            .with_context(|| format!("cannot write {}", release.display()))?;
        release.clone_into(&mut folder);
        eprintln!(
            "{}: unpacked; signatures are not checked: run `notary verify --release {0} --key FILE`",
            release.display()
        );
    }
    let Some(to) = to else { return Ok(()) };
    let destination = Destination { to: to.clone(), plain_http: false, json: *json };
    destination.send(&Plan::new(&ReleaseFolder::open(&folder)?, to)?)
}

/// A temporary folder on the file system of the result.
fn staging(release: Option<&Path>) -> Result<TemporaryFolder> {
    let context = || "cannot make a temporary folder";
    let Some(release) = release else { return TemporaryFolder::new().with_context(context) };
    let parent = files::parent(release);
    let context = || format!("cannot write to {}", parent.display());
    fs::create_dir_all(parent).with_context(context)?;
    TemporaryFolder::new_in(parent).with_context(context)
}
