// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! One image for one architecture.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use oci::{Digest, Layout};
use release::Architecture;

use super::base::{self, Base};
use super::builder::{Builder, Job};
use super::packages;
use crate::ops::container::remove_store;
use crate::ops::debian::lock::{BASE, Lock, Locked};
use crate::ops::epoch::rfc3339;
use crate::ops::oci::normalise;
use crate::ops::tree::remove;
use crate::ops::{atomic, checksum};
use crate::run::Run;
use crate::steps::build::output;
use crate::steps::package::copy;
use crate::steps::{Input, Plan, StepLog};
use crate::workspace::{Image, ImageBase};

/// Where images are put together, relative to the root.
const FOLDER: &str = "target/xtask/images";

/// A change of how images are made from the same inputs: part of the cache's key.
const RECIPE: &str = "2";

/// One image to be made.
pub(super) struct Work<'a> {
    pub(super) image: &'a Image,
    pub(super) base: &'a ImageBase,
    architecture: Architecture,
    lock: Lock,
}

/// An image with everything that it is made of at hand.
pub(super) struct Prepared<'a> {
    work: &'a Work<'a>,
    base: Base,
    packages: Vec<PathBuf>,
    binary: PathBuf,
}

/// Fetches the packages of all `works` that are not in the cache, in one go for each architecture.
pub(super) fn fetch_packages(run: &Run, log: &StepLog, works: &[Work<'_>]) -> Result<()> {
    let mut wanted: BTreeMap<(&str, Architecture), BTreeSet<&Locked>> = BTreeMap::new();
    for work in works {
        let packages = wanted.entry((&work.base.suite, work.architecture)).or_default();
        packages.extend(work.lock.set(work.architecture, BASE)?);
        packages.extend(work.extra()?);
    }
    for ((suite, architecture), packages) in wanted {
        let packages: Vec<&Locked> = packages.into_iter().collect();
        packages::fetched(run, log, suite, architecture, &packages)?;
    }
    Ok(())
}

impl<'a> Work<'a> {
    /// What it takes to make `image` for `architecture`.
    pub(super) fn new(run: &'a Run, image: &'a Image, architecture: Architecture) -> Result<Self> {
        let base = run.workspace.product().base(&image.base)?;
        let lock = Lock::read(&run.workspace.root().join(&base.lock))?;
        Ok(Self { image, base, architecture, lock })
    }

    /// Adds to `plan` what [`Prepared::make`] does.
    pub(super) fn plan(&self, run: &Run, builder: Builder, plan: Plan) -> Result<Plan> {
        let binary = output(run, &self.image.binary, self.architecture)?.path_in_plan();
        let lock = &self.base.lock;
        let plan = plan
            .reads(Input::Source(self.image.context.clone()))
            .reads(Input::Path(lock.clone()))
            .reads(Input::Path(binary))
            .native(format!("make the base {} of {}", self.base.name, lock.display()));
        // What names the base is known when it is made.
        let commands = builder.commands(&self.job(run, Path::new("BASE"), "DIGEST")?);
        Ok(commands.into_iter().fold(plan, Plan::command))
    }

    /// Makes the base, unless it is there, and names what the image is made of.
    pub(super) fn prepare(&'a self, run: &Run, log: &StepLog) -> Result<Prepared<'a>> {
        let base = base::made(run, log, self.base, &self.lock, self.architecture)?;
        let extra = self.extra()?;
        let packages = packages::fetched(run, log, &self.base.suite, self.architecture, &extra)?;
        let binary = output(run, &self.image.binary, self.architecture)?.verified(run)?;
        Ok(Prepared { work: self, base, packages, binary })
    }

    /// The packages that it takes beside those of the base.
    fn extra(&self) -> Result<Vec<&Locked>> {
        if self.image.packages_for(self.architecture).next().is_none() {
            return Ok(Vec::new());
        }
        self.lock.set(self.architecture, &self.image.name)
    }

    /// Where it is put together, absolute; known before, so that a plan can show it.
    fn folder(&self, run: &Run) -> PathBuf {
        let name = format!("{}_{}", self.image.name.replace('/', "_"), self.architecture.oci());
        run.workspace.root().join(FOLDER).join(name)
    }

    /// What the builder is told, for the base in the layout `base` with the digest `digest`.
    fn job(&self, run: &Run, base: &Path, digest: &str) -> Result<Job> {
        let product = &run.workspace.product().product;
        let arguments = [
            ("BASE_DIGEST", digest.to_owned()),
            ("BASE_NAME", self.base.name.clone()),
            ("CREATED", rfc3339(run.workspace.epoch())?),
            ("DESCRIPTION", self.image.description.clone()),
            ("LICENSES", product.license.clone()),
            ("REVISION", run.workspace.commit().to_owned()),
            ("SOURCE", product.source.clone()),
            ("TITLE", self.image.title.clone()),
            ("VENDOR", product.vendor.clone()),
            ("VERSION", run.version().text().to_owned()),
        ];
        Ok(Job {
            folder: self.folder(run),
            base: base.to_owned(),
            architecture: self.architecture,
            arguments: BTreeMap::from(arguments),
            epoch: run.workspace.epoch(),
        })
    }

    fn containerfile(&self, run: &Run) -> PathBuf {
        run.workspace.root().join(&self.image.context).join("Containerfile")
    }
}

impl Prepared<'_> {
    /// What it is to be.
    pub(super) fn image(&self) -> &Image {
        self.work.image
    }

    /// Makes the image, or takes the one that was made of the same inputs.
    pub(super) fn make(&self, run: &Run, log: &StepLog, builder: Builder) -> Result<Layout> {
        let job = self.work.job(run, self.base.layout.root(), &self.base.digest)?;
        let finished = job.folder.join("image");
        let key_file = job.folder.join("image.key");
        let key = self.key(run, &job, builder)?;
        if fs::read_to_string(&key_file).is_ok_and(|known| known == key) {
            log.note(&format!("{}: nothing changed, taken from the cache", self.work.image.name));
        } else {
            remove_store(&job.store())?;
            remove(&job.folder)?;
            self.context(run, &job.context())?;
            for command in builder.commands(&job) {
                run.exec(log, &command)?;
            }
            let created = rfc3339(run.workspace.epoch())?;
            let saved = Layout::open(job.saved())?;
            normalise::image(&saved, &self.base.layout, &finished, &created)?;
            // The builder's store is as large as the image, and of no more use.
            remove_store(&job.store())?;
            remove(&job.saved())?;
            remove(&job.context())?;
            atomic::write(&key_file, key.as_bytes())?;
        }
        Ok(Layout::open(finished)?)
    }

    /// Everything that decides the image, as one digest.
    fn key(&self, run: &Run, job: &Job, builder: Builder) -> Result<String> {
        let mut parts = vec![
            RECIPE.to_owned(),
            builder.program().to_owned(),
            run.tools.version(builder.program()).unwrap_or_default(),
            job.epoch.to_string(),
        ];
        parts.extend(job.arguments.iter().map(|(name, value)| format!("{name}={value}")));
        let containerfile = self.work.containerfile(run);
        let files = [&containerfile, &self.binary].into_iter().chain(&self.packages);
        for file in files {
            parts.push(checksum::sha256(file)?.0);
        }
        Ok(Digest::sha256(parts.join("\n").as_bytes()).to_string())
    }

    /// The build context: the Containerfile, the step program and the package files, with fixed modes.
    fn context(&self, run: &Run, folder: &Path) -> Result<()> {
        copy(&self.work.containerfile(run), &folder.join("Containerfile"), 0o644)?;
        copy(&self.binary, &folder.join("step"), 0o755)?;
        let place = folder.join("packages");
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        for package in &self.packages {
            copy(package, &place.join(package.file_name().unwrap_or_default()), 0o644)?;
        }
        Ok(())
    }
}
