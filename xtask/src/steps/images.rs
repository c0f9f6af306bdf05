// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tool images: a base of locked packages, the packages that the tool needs, and the step program.
//!
//! A builder (podman or buildah) carries out the Containerfile in a store of its own below `target`.
//! What it saves is then brought into one form, so both give the same digest.

mod base;
mod builder;
pub(super) mod packages;
pub(crate) mod update_lock;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use oci::{Digest, Layout};
use release::{Architecture, Engine, layout};

use self::builder::{Builder, Job};
use super::build::{material, output};
use super::package::copy;
use super::{Input, Need, Outcome, Plan, Step, StepLog};
use crate::ops::debian::lock::Lock;
use crate::ops::epoch::rfc3339;
use crate::ops::oci::normalise;
use crate::ops::{atomic, checksum, source, tree};
use crate::run::Run;
use crate::workspace::{Image, ImageBase};

/// `cargo xtask images`.
pub(crate) struct Images;

/// Where images are put together, relative to the root.
const FOLDER: &str = "target/xtask/images";

/// A change of how images are made from the same inputs: part of the cache's key.
const RECIPE: &str = "1";

impl Step for Images {
    fn name(&self) -> &'static str {
        "images"
    }

    fn about(&self) -> &'static str {
        "build the tool images, each as an OCI layout"
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        needs(run)
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        plan(run, Kind::Tools)
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        build(run, log, Kind::Tools)
    }
}

/// Which images a step makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Those of the tools.
    Tools,
    /// The one that the live ISO is made of.
    Maintenance,
}

/// What building images needs.
pub(super) fn needs(run: &Run) -> Vec<Need> {
    let builder = Builder::chosen(run).ok().map(|builder| Need::Tool(builder.program()));
    // The base, its copy in the builder's store, and the layouts.
    builder.into_iter().chain([Need::Tool("mmdebstrap"), Need::Space(1 << 30)]).collect()
}

/// What building the images of `kind` would do.
pub(super) fn plan(run: &Run, kind: Kind) -> Result<Plan> {
    let builder = Builder::chosen(run)?;
    let mut plan = Plan::new()
        .reads(Input::Path("release.toml".into()))
        .reads(Input::Tool(builder.program()))
        .reads(Input::Tool("mmdebstrap"));
    for work in works(run, kind)? {
        let Work { image, base, architecture, .. } = &work;
        let binary = output(run, &image.binary, *architecture)?.path_in_plan();
        let path = run.dist_in_plan().join(layout_of(image));
        plan = plan
            .reads(Input::Source(image.context.clone()))
            .reads(Input::Path(base.lock.clone()))
            .reads(Input::Path(binary))
            .native(format!("make the base {} of {}", base.name, base.lock.display()));
        // What names the base is known when it is made.
        for command in builder.commands(&work.job(run, Path::new("BASE"), "DIGEST")?) {
            plan = plan.command(command);
        }
        plan = plan.native(format!("write {}", path.display())).writes(path);
    }
    Ok(plan)
}

/// Builds the images of `kind` and puts them on record.
pub(super) fn build(run: &Run, log: &StepLog, kind: Kind) -> Result<Outcome> {
    let builder = Builder::chosen(run)?;
    let works = works(run, kind)?;
    let mut images = Vec::new();
    let mut materials = Vec::new();
    let mut facts = Vec::new();
    for work in &works {
        let image = work.make(run, log, builder)?;
        facts.push(format!("{} {}", image.repository, megabytes(run, &image)?));
        images.push(image);
        let (sha256, _) = checksum::sha256(&run.workspace.root().join(&work.base.lock))?;
        materials.push(material(format!("file:{}", work.base.lock.display()), "sha256", &sha256));
    }
    let engine = |program: &str| Engine {
        name: program.to_owned(),
        version: run.tools.version(program).unwrap_or_default(),
    };
    run.update_manifest(|manifest| {
        for image in images {
            manifest.put_image(image);
        }
        for material in materials {
            manifest.put_material(material);
        }
        manifest.engines.insert("images".to_owned(), engine(builder.program()));
        manifest.engines.insert("base".to_owned(), engine("mmdebstrap"));
        Ok(())
    })?;
    Ok(Outcome::Done(facts.join(", ")))
}

/// One image to be made.
struct Work<'a> {
    image: &'a Image,
    base: &'a ImageBase,
    architecture: Architecture,
    lock: Lock,
}

fn works(run: &Run, kind: Kind) -> Result<Vec<Work<'_>>> {
    let product = run.workspace.product();
    let [architecture] = run.options.architectures[..] else {
        bail!("images are made for one architecture at a time: say which with --target");
    };
    product
        .images
        .iter()
        .filter(|image| product.is_maintenance(image) == (kind == Kind::Maintenance))
        .map(|image| {
            let base = product.base(&image.base)?;
            let lock = Lock::read(&run.workspace.root().join(&base.lock))?;
            Ok(Work { image, base, architecture, lock })
        })
        .collect()
}

/// Where the layout of an image lies in the release folder.
fn layout_of(image: &Image) -> String {
    format!("{}/{}", layout::IMAGES, image.name)
}

impl Work<'_> {
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
            arguments: BTreeMap::from(arguments),
            epoch: run.workspace.epoch(),
        })
    }

    /// Makes the image, or takes the one that was made of the same inputs, and puts it into the
    /// release folder.
    fn make(&self, run: &Run, log: &StepLog, builder: Builder) -> Result<release::Image> {
        let base = base::made(run, log, self.base, &self.lock, self.architecture)?;
        let job = self.job(run, base.layout.root(), &base.digest)?;
        let extra = if self.image.packages_for(self.architecture).next().is_none() {
            Vec::new()
        } else {
            self.lock.set(self.architecture, &self.image.name)?
        };
        let packages = packages::fetched(run, log, &self.base.suite, self.architecture, &extra)?;
        let binary = output(run, &self.image.binary, self.architecture)?.verified(run)?;

        let finished = job.folder.join("image");
        let key_file = job.folder.join("image.key");
        let key = self.key(run, &job, builder, &binary, &packages)?;
        if fs::read_to_string(&key_file).is_ok_and(|known| known == key) {
            log.note(&format!("{}: nothing changed, taken from the cache", self.image.name));
        } else {
            remove(&job.folder)?;
            self.context(run, &job.context(), &binary, &packages)?;
            for command in builder.commands(&job) {
                run.exec(log, &command)?;
            }
            let created = rfc3339(run.workspace.epoch())?;
            normalise::image(&Layout::open(job.saved())?, &base.layout, &finished, &created)?;
            // The builder's store is as large as the image, and of no more use.
            remove(&job.store())?;
            remove(&job.saved())?;
            atomic::write(&key_file, key.as_bytes())?;
        }
        self.deliver(run, &Layout::open(finished)?)
    }

    /// Everything that decides the image, as one digest.
    fn key(
        &self,
        run: &Run,
        job: &Job,
        builder: Builder,
        binary: &Path,
        packages: &[PathBuf],
    ) -> Result<String> {
        let mut parts = vec![
            RECIPE.to_owned(),
            builder.program().to_owned(),
            run.tools.version(builder.program()).unwrap_or_default(),
            job.epoch.to_string(),
        ];
        parts.extend(job.arguments.iter().map(|(name, value)| format!("{name}={value}")));
        parts.push(tree::digest(run.workspace.root(), [self.image.context.as_path()])?);
        for file in packages.iter().map(PathBuf::as_path).chain([binary]) {
            parts.push(checksum::sha256(file)?.0);
        }
        Ok(Digest::sha256(parts.join("\n").as_bytes()).to_string())
    }

    /// The build context: the image's folder, its program and the package files, with fixed modes.
    fn context(&self, run: &Run, folder: &Path, binary: &Path, packages: &[PathBuf]) -> Result<()> {
        let root = run.workspace.root();
        for path in source::paths(root)? {
            if let Ok(name) = Path::new(&path).strip_prefix(&self.image.context) {
                let file = root.join(&path);
                let executable = fs::metadata(&file)?.permissions().mode() & 0o111 != 0;
                copy(&file, &folder.join(name), if executable { 0o755 } else { 0o644 })?;
            }
        }
        copy(binary, &folder.join(&self.image.binary), 0o755)?;
        let place = folder.join("packages");
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        for package in packages {
            copy(package, &place.join(package.file_name().unwrap_or_default()), 0o644)?;
        }
        Ok(())
    }

    fn deliver(&self, run: &Run, made: &Layout) -> Result<release::Image> {
        let path = layout_of(self.image);
        let target = run.dist().join(&path);
        let partial = target.with_extension("part");
        remove(&partial)?;
        normalise::copy(made, &partial)?;
        remove(&target)?;
        fs::rename(&partial, &target)
            .with_context(|| format!("cannot write {}", target.display()))?;
        let index = made.index()?;
        let manifest = index.manifests().first().context("the image's layout is empty")?;
        Ok(release::Image {
            repository: self.image.name.clone(),
            layout: path,
            digest: manifest.digest().to_string(),
            media_type: manifest.media_type().to_string(),
            architectures: vec![self.architecture],
            tags: tags(run),
        })
    }
}

/// The tags that publishing sets: the version, and the commit where the image is made of that alone.
/// Tags that move (`latest`, `X.Y`) are for promotion.
fn tags(run: &Run) -> Vec<String> {
    let mut tags = vec![format!("v{}", run.version().text())];
    if !run.workspace.dirty() {
        tags.push(run.workspace.commit().to_owned());
    }
    tags
}

/// Removes a folder and all in it, if it is there.
pub(super) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot remove {}", folder.display())),
    }
}

/// The size of an image's blobs, as people read it.
///
/// # Errors
/// When it is more than `release.toml` allows.
fn megabytes(run: &Run, image: &release::Image) -> Result<String> {
    let contents = Layout::open(run.dist().join(&image.layout))?.walk()?;
    let bytes: u64 = contents.blobs.iter().map(oci::spec::Descriptor::size).sum();
    let limit = run.workspace.product().image(&image.repository)?.limit_mb;
    ensure!(
        bytes <= limit * 1_000_000,
        "{} has {bytes} bytes, release.toml allows {limit} MB",
        image.repository
    );
    // One decimal, in whole numbers.
    let tenths = bytes / 100_000;
    Ok(format!("{}.{} MB", tenths / 10, tenths % 10))
}
