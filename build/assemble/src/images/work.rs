// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds one image for one architecture in two stages: base and packages, which change only with
//! the lock, then binary and labels, which change with every commit.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use debian::lock::{BASE, Lock, Locked};
use engine::workspace::{Image, ImageBase};
use engine::{Input, Plan, Run, StepLog};
use foundation::epoch::rfc3339;
use media::platforms;
use oci::Layout;
use oci::spec::{
    ANNOTATION_BASE_IMAGE_DIGEST, ANNOTATION_BASE_IMAGE_NAME, ANNOTATION_CREATED,
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_REVISION, ANNOTATION_SOURCE,
    ANNOTATION_TITLE, ANNOTATION_VENDOR, ANNOTATION_VERSION,
};
use release::Architecture;

use super::base::{self, Base};
use super::builder::{Build as _, Builder, Job};
use super::cached::{self, BaseImage, ContextFile};
use super::{native, packages};
use crate::build::output;

/// Working directory of images, relative to the root.
const FOLDER: &str = "target/xtask/images";

/// An image build for one architecture.
pub(super) struct Work<'a> {
    pub(super) image: &'a Image,
    pub(super) base: &'a ImageBase,
    architecture: Architecture,
    lock: Lock,
}

/// An image build with its base available.
pub(super) struct Prepared<'a> {
    work: &'a Work<'a>,
    base: Base,
    packages: Vec<PathBuf>,
    /// Tar file of native programs, for a foreign architecture.
    native: Option<PathBuf>,
}

/// Downloads all packages of `works` that are not cached, in one call per architecture.
pub(super) fn fetch_packages(run: &Run, log: &StepLog, works: &[Work<'_>]) -> Result<()> {
    let mut wanted: BTreeMap<(&str, Architecture), BTreeSet<&Locked>> = BTreeMap::new();
    for work in works {
        let packages = wanted.entry((&work.base.suite, work.architecture)).or_default();
        if work.base.image.is_none() {
            packages.extend(work.lock.set(work.architecture, BASE)?);
        }
        packages.extend(work.extra()?);
    }
    for ((suite, architecture), packages) in wanted {
        let packages: Vec<&Locked> = packages.into_iter().collect();
        packages::fetch(run, log, suite, architecture, &packages)?;
    }
    Ok(())
}

impl<'a> Work<'a> {
    /// Collects what is needed to build `image` for `architecture`.
    pub(super) fn new(run: &'a Run, image: &'a Image, architecture: Architecture) -> Result<Self> {
        let base = run.workspace.product().base(&image.base)?;
        let lock = Lock::read(&run.workspace.root().join(&base.lock))?;
        Ok(Self { image, base, architecture, lock })
    }

    /// Adds the actions of [`Prepared::make`] to `plan`.
    pub(super) fn plan(&self, run: &Run, builder: Builder, plan: Plan) -> Result<Plan> {
        let binary = output(run, &self.image.binary, self.architecture)?.path_in_plan();
        let plan = plan.reads(Input::Source(self.image.context.clone())).reads(Input::Path(binary));
        let plan = self.plan_base(run, builder, plan);
        let image = builder.commands(&self.job(run, "DIGEST")?);
        Ok(image.into_iter().fold(plan, Plan::command))
    }

    /// Adds the actions of [`Work::prepare`] and [`Prepared::packages`] to `plan`.
    pub(super) fn plan_base(&self, run: &Run, builder: Builder, plan: Plan) -> Plan {
        let lock = &self.base.lock;
        let plan = plan.reads(Input::Path(lock.clone()));
        let plan = match &self.base.image {
            Some(image) => {
                plan.command(base::pull(run, image, self.architecture, Path::new("BASE")))
            }
            None => {
                plan.native(format!("build the base {} from {}", self.base.name, lock.display()))
            }
        };
        let plan = self
            .base
            .containerfile
            .iter()
            .fold(plan, |plan, file| plan.reads(Input::Path(file.clone())));
        // The base's layout path contains a digest that is only known after the build.
        let packages = builder.commands(&self.packages_job(run));
        packages.into_iter().fold(plan, Plan::command)
    }

    /// Provides the base.
    pub(super) fn prepare(&'a self, run: &Run, log: &StepLog) -> Result<Prepared<'a>> {
        let native = match &self.base.image {
            Some(_) => None,
            None => native::programs(run, log, self.base, &self.lock, self.architecture)?,
        };
        let (lock, architecture) = (&self.lock, self.architecture);
        let base = base::ensure_base(run, log, self.base, lock, architecture, native.as_deref())?;
        let extra = self.extra()?;
        let packages = packages::fetch(run, log, &self.base.suite, self.architecture, &extra)?;
        Ok(Prepared { work: self, base, packages, native })
    }

    /// The verified binary for the image.
    pub(super) fn binary(&self, run: &Run) -> Result<PathBuf> {
        output(run, &self.image.binary, self.architecture)?.verify_binary(run)
    }

    /// Packages in addition to those of the base.
    fn extra(&self) -> Result<Vec<&Locked>> {
        if self.image.packages_for(self.architecture).next().is_none() {
            return Ok(Vec::new());
        }
        self.lock.set(self.architecture, &self.image.name)
    }

    /// Absolute working directory; deterministic, so that a plan can show it.
    fn folder(&self, run: &Run) -> PathBuf {
        let name = format!("{}_{}", self.image.name.replace('/', "_"), self.architecture.oci());
        run.workspace.root().join(FOLDER).join(name)
    }

    /// Layout of the base with packages.
    fn packages_layout(&self, run: &Run) -> PathBuf {
        self.folder(run).join("packages")
    }

    /// Builder job for the packages. Its timestamp is the lock's, so that it is independent of the
    /// commit.
    fn packages_job(&self, run: &Run) -> Job {
        Job {
            folder: self.folder(run).join("build"),
            architecture: self.architecture,
            // For the programs that write a date to a file.
            arguments: BTreeMap::from([("EPOCH", self.lock.epoch.to_string())]),
            labels: BTreeMap::new(),
            epoch: self.lock.epoch,
        }
    }

    /// Builder job for the image, whose base has the digest `digest`.
    fn job(&self, run: &Run, digest: &str) -> Result<Job> {
        let product = &run.workspace.product().product;
        let created = rfc3339(run.workspace.epoch())?;
        let (commit, version) = (run.workspace.commit(), run.version().text());
        // For Containerfiles that write their image's identity to a file.
        let arguments = [
            ("BASE_DIGEST", digest.to_owned()),
            ("CREATED", created.clone()),
            ("REVISION", commit.to_owned()),
            ("VERSION", version.to_owned()),
        ];
        let labels = [
            (ANNOTATION_BASE_IMAGE_DIGEST, digest),
            (ANNOTATION_BASE_IMAGE_NAME, self.base.label()),
            (ANNOTATION_CREATED, &created),
            (ANNOTATION_DESCRIPTION, &self.image.description),
            (ANNOTATION_LICENSES, &product.license),
            (ANNOTATION_REVISION, commit),
            (ANNOTATION_SOURCE, &product.source),
            (ANNOTATION_TITLE, &self.image.title),
            (ANNOTATION_VENDOR, &product.vendor),
            (ANNOTATION_VERSION, version),
        ];
        Ok(Job {
            folder: self.folder(run).join("build"),
            architecture: self.architecture,
            arguments: BTreeMap::from(arguments),
            labels: labels.map(|(label, value)| (label, value.to_owned())).into(),
            epoch: run.workspace.epoch(),
        })
    }
}

impl Prepared<'_> {
    /// The declared image.
    pub(super) fn image(&self) -> &Image {
        self.work.image
    }

    pub(super) fn architecture(&self) -> Architecture {
        self.work.architecture
    }

    /// The working directory.
    pub(super) fn folder(&self, run: &Run) -> PathBuf {
        self.work.folder(run)
    }

    /// The tar file of native programs.
    pub(super) fn native(&self) -> Option<&Path> {
        self.native.as_deref()
    }

    /// Builder job for another image on top of the finished one.
    pub(super) fn job_on_image(&self, run: &Run) -> Job {
        Job {
            folder: self.folder(run).join("build"),
            architecture: self.work.architecture,
            arguments: BTreeMap::new(),
            labels: BTreeMap::new(),
            epoch: run.workspace.epoch(),
        }
    }

    /// Builds the image, unless it is cached.
    pub(super) fn make(&self, run: &Run, log: &StepLog, builder: Builder) -> Result<Layout> {
        let work = self.work;
        let on = self.packages(run, log, builder)?;
        let on_digest = platforms::root(&on)?.digest().to_string();
        let mut files = context(run, &work.image.context)?;
        files.push(ContextFile::new(work.binary(run)?, &work.image.binary, 0o755));
        let job = work.job(run, &self.base.digest)?;
        let to = work.folder(run).join("image");
        let on = BaseImage { layout: &on, digest: &on_digest, native: self.native() };
        cached::image(run, log, builder, &job, &on, &files, &to)
    }

    /// The base with the image's packages, or prepared by its own Containerfile.
    pub(super) fn packages(&self, run: &Run, log: &StepLog, builder: Builder) -> Result<Layout> {
        let work = self.work;
        let files = match &work.image.prepare {
            Some(folder) => context(run, folder)?,
            None if self.packages.is_empty() => {
                return Ok(Layout::open(self.base.layout.root())?);
            }
            None => self.installation(run)?,
        };
        let job = work.packages_job(run);
        let Base { layout, digest } = &self.base;
        let on = BaseImage { layout, digest, native: self.native() };
        cached::image(run, log, builder, &job, &on, &files, &work.packages_layout(run))
    }

    /// The packages and the Containerfile that installs them.
    fn installation(&self, run: &Run) -> Result<Vec<ContextFile>> {
        let work = self.work;
        let containerfile = work.base.containerfile.as_ref().with_context(|| {
            format!(
                "{} has packages, but its base {:?} has no containerfile",
                work.image.name, work.base.name
            )
        })?;
        let containerfile = run.workspace.root().join(containerfile);
        let mut files = vec![ContextFile::new(containerfile, "Containerfile", 0o644)];
        for package in &self.packages {
            let name = package.file_name().unwrap_or_default();
            files.push(ContextFile::new(package, Path::new("packages").join(name), 0o644));
        }
        Ok(files)
    }
}

/// The source files below `folder`, relative to the root, as a build context.
fn context(run: &Run, folder: &Path) -> Result<Vec<ContextFile>> {
    let root = run.workspace.root();
    let mut files = Vec::new();
    for path in run.workspace.paths()?.iter() {
        if let Ok(name) = Path::new(path).strip_prefix(folder) {
            let executable = fs::metadata(root.join(path))?.permissions().mode() & 0o111 != 0;
            let mode = if executable { 0o755 } else { 0o644 };
            files.push(ContextFile::new(root.join(path), name, mode));
        }
    }
    Ok(files)
}
