// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Base images: built from a lock's packages or pulled from a registry, then cached.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use debian::bootstrap::{self, PackageFile, Root};
use debian::lock::{BASE, Lock};
use engine::workspace::{ImageBase, Pinned, names};
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::epoch::rfc3339;
use foundation::tree::remove;
use foundation::{checksum, file};
use media::identity;
use oci::{Digest, Layout};
use release::Architecture;

use super::packages;
use crate::package::copy;

/// An available base.
pub(super) struct Base {
    /// OCI layout with one image.
    pub(super) layout: Layout,
    /// Digest of the image's manifest.
    pub(super) digest: String,
}

/// The base `declared` for `architecture`: cached, else pulled or built from the packages in
/// `lock`, with the help of the programs in the tar file `native`.
pub(super) fn ensure_base(
    run: &Run,
    log: &StepLog,
    declared: &ImageBase,
    lock: &Lock,
    architecture: Architecture,
    native: Option<&Path>,
) -> Result<Base> {
    if let Some(image) = &declared.image {
        return pull_cached(run, log, image, architecture);
    }
    let tool = run.tools.version("mmdebstrap").unwrap_or_default();
    let without = declared.without.join(" ");
    let digest = lock.base_digest(architecture)?;
    let key = format!("{digest} {} {tool} {without}", bootstrap::RECIPE);
    let bases = run.workspace.scratch().join("base");
    let folder = bases.join(Digest::sha256(key.as_bytes()).hex());
    if folder.is_dir() {
        log.note(&format!("{}: cached", declared.name));
    } else {
        let partial = folder.with_extension("part");
        remove(&partial)?;
        make(run, log, declared, lock, architecture, native, &partial)?;
        fs::rename(partial.join("layout"), &folder)
            .with_context(|| format!("cannot write {}", folder.display()))?;
        remove(&partial)?;
    }
    let layout = Layout::open(folder)?;
    let index = layout.index()?;
    let manifest = index.manifests().first().context("the base's layout is empty")?;
    let digest = manifest.digest().to_string();
    Ok(Base { layout, digest })
}

/// The base `image` for `architecture`. `digest` is the one pinned in release.toml; for a
/// multi-arch base it is the index's.
fn pull_cached(
    run: &Run,
    log: &StepLog,
    image: &Pinned,
    architecture: Architecture,
) -> Result<Base> {
    let bases = run.workspace.scratch().join("base");
    let key = format!("{}@{} {}", image.name, image.digest, architecture.oci());
    let folder = bases.join(Digest::sha256(key.as_bytes()).hex());
    if folder.is_dir() {
        log.note(&format!("{}: cached", image.name));
    } else {
        let partial = folder.with_extension("part");
        remove(&partial)?;
        file::create_folder(&bases)?;
        run.exec(log, &pull(run, image, architecture, &partial))?;
        fs::rename(&partial, &folder)
            .with_context(|| format!("cannot write {}", folder.display()))?;
    }
    Ok(Base { layout: Layout::open(folder)?, digest: image.digest.clone() })
}

/// The command that pulls `image` for `architecture` to a layout in the new folder `to`. skopeo
/// verifies all digests.
pub(super) fn pull(run: &Run, image: &Pinned, architecture: Architecture, to: &Path) -> Command {
    let command = run.command("skopeo").args([
        "--override-os",
        "linux",
        "--override-arch",
        architecture.oci(),
        "copy",
    ]);
    let command = if image.plain_http { command.arg("--src-tls-verify=false") } else { command };
    let mut layout = OsString::from("oci:");
    layout.push(to);
    command.arg(format!("docker://{}@{}", image.name, image.digest)).arg(layout)
}

fn make(
    run: &Run,
    log: &StepLog,
    declared: &ImageBase,
    lock: &Lock,
    architecture: Architecture,
    native: Option<&Path>,
    folder: &Path,
) -> Result<()> {
    let pool = folder.join("pool");
    let locked = lock.set(architecture, BASE)?;
    let mut files = Vec::new();
    for path in packages::fetch(run, log, &declared.suite, architecture, &locked)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        copy(&path, &pool.join(&name), 0o644)?;
        let control = run.capture(log, &bootstrap::control_command(&path))?;
        let control = String::from_utf8(control)
            .with_context(|| format!("the control data of {} is not UTF-8", path.display()))?;
        let (sha256, size) = checksum::sha256(&path)?;
        files.push(PackageFile { name, control, size, sha256 });
    }
    bootstrap::index(&pool, &declared.suite, &files)?;
    let root = folder.join("root.tar");
    let made_of = Root {
        pool: &pool,
        suite: &declared.suite,
        architecture: architecture.oci(),
        packages: &names(&declared.packages, architecture),
        without: &declared.without,
        epoch: lock.epoch,
        native,
    };
    run.exec(log, &bootstrap::command(&made_of, &root))?;
    let created = rfc3339(lock.epoch)?;
    let layout = folder.join("layout");
    media::base::write(&layout, &root, architecture, &created)?;
    identity::check(&Layout::open(layout)?, None, lock.epoch)
}
