// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Tool images: a base of locked packages, the tool's packages, and the step program.
//!
//! A builder (podman or buildah) builds the Containerfile in a separate store below `target`. Its
//! output is then normalised, so that both builders give the same digest. An image for several
//! architectures is an index of one image for each.

mod base;
mod bound;
mod builder;
mod cached;
mod deliver;
mod native;
pub(crate) mod packages;
mod push;
pub mod update_lock;
mod work;

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use clap::{Args, Command};
use engine::workspace::{Image, ImageBase, Job, Pinned};
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog, flag};
use foundation::{checksum, emulation, parallel};
use oci::Layout;
use programs::notary;
use release::Engine;

use self::builder::{Build as _, Builder};
use self::work::{Prepared, Work};
use super::build::material;

pub use self::bound::is_bound;

/// `cargo xtask images`.
pub struct Images;

/// Arguments of `cargo xtask images`.
#[derive(Default, Args)]
pub struct ImagesArguments {
    /// Images to build, such as tools/sgdisk [default: all]
    #[arg(value_name = "NAME")]
    pub name: Vec<String>,
    /// Push the images, unsigned, to a registry for testing [default: the registry in release.toml]
    #[arg(
        long,
        value_name = "NAME|HOST/PREFIX",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    pub push: Option<String>,
}

/// Arguments of commands that build the maintenance OS.
#[derive(Default, Args)]
pub struct BindArguments {
    /// Include the tool images, for sites without a registry
    #[arg(long)]
    pub bind_tools: bool,
}

/// Whether tool images are bound into the maintenance OS.
pub(crate) fn binds_tools(run: &Run) -> bool {
    run.options.everything || run.options.step_arguments::<BindArguments>().bind_tools
}

impl Step for Images {
    fn describe(&self) -> Description {
        Description::step("images", "build the tool images as OCI layouts")
            .example("tools/sgdisk --target all")
            .arguments(&[Argument::Engine(Job::Images), Argument::Target])
            .with_cache()
    }

    fn own_arguments(&self, command: Command) -> Command {
        let update_lock = flag("update-lock")
            .conflicts_with_all(["push", "engine", "target", "name"])
            .help("Update the lock to the packages on the mirror; build nothing");
        ImagesArguments::augment_args(command).arg(update_lock)
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        let pushed = run
            .options
            .step_arguments::<ImagesArguments>()
            .push
            .into_iter()
            .flat_map(|_| notary::needs());
        needs(run).into_iter().chain(pushed).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let chosen = select_images(run)?;
        let plan = plan(run, &chosen)?;
        Ok(push::commands(run, &chosen)?.into_iter().fold(plan, Plan::command))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let chosen = select_images(run)?;
        let commands = push::commands(run, &chosen)?;
        let outcome = build(run, log, &chosen)?;
        // An oversized image is not pushed.
        if let Outcome::Done(_) = outcome {
            for command in commands {
                run.exec(log, &command)?;
            }
        }
        Ok(outcome)
    }
}

/// Prerequisites of building images.
pub(crate) fn needs(run: &Run) -> Vec<Need> {
    let builder = run.engines().images().ok().map(|builder| Need::Tool(builder.program()));
    let foreign = run.options.architectures.iter().filter_map(|architecture| {
        let emulator = emulation::emulator(*architecture)?;
        Some([Need::Tool(emulator), Need::Runs(*architecture)])
    });
    let makers: BTreeSet<_> = run.workspace.product().bases.iter().map(maker).collect();
    let bases = makers.into_iter().map(Need::Tool);
    // Bases, their copies in the builder's store, and layouts.
    let space = Need::Space(2 << 30);
    builder.into_iter().chain(bases).chain([space]).chain(foreign.flatten()).collect()
}

/// The program that provides a base.
fn maker(base: &ImageBase) -> &'static str {
    if base.image.is_some() { "skopeo" } else { "mmdebstrap" }
}

/// The plan of building the images `chosen`.
pub(crate) fn plan(run: &Run, chosen: &[&Image]) -> Result<Plan> {
    let builder = run.engines().images()?;
    let mut plan =
        Plan::new().reads(Input::Path("release.toml".into())).reads(Input::Tool(builder.program()));
    for image in chosen {
        for work in works(run, image)? {
            plan = work.plan(run, builder, plan.reads(Input::Tool(maker(work.base))))?;
        }
        if binds_tools(run) {
            plan = plan.reads(Input::Manifest).native("bind the tool images");
        }
        let path = run.dist_in_plan().join(deliver::folder(image));
        plan = plan.native(format!("write {}", path.display())).writes(path);
    }
    Ok(plan)
}

/// Builds the images `chosen` and records them in the manifest.
pub(crate) fn build(run: &Run, log: &StepLog, chosen: &[&Image]) -> Result<Outcome> {
    let builder = run.engines().images()?;
    let mut works = Vec::new();
    for image in chosen {
        works.extend(self::works(run, image)?);
    }
    // Checked first: building bases takes minutes.
    for work in &works {
        work.binary(run)?;
    }
    work::fetch_packages(run, log, &works)?;
    // Sequentially: shared parts are built by the first image that needs them.
    let prepared: Vec<Prepared<'_>> =
        works.iter().map(|work| work.prepare(run, log)).collect::<Result<_>>()?;
    let made = parallel::map(run.options.jobs, &prepared, |it| it.make(run, log, builder))?;

    let mut images = Vec::new();
    let mut findings = Vec::new();
    for image in chosen {
        let own = prepared.iter().zip(&made).filter(|(it, _)| it.image().name == image.name);
        let parts: Vec<Layout> = own.map(|(_, layout)| layout.clone()).collect();
        findings.extend(deliver::check_sizes(log, image, &parts)?);
        let parts = if binds_tools(run) {
            let own = prepared.iter().filter(|it| it.image().name == image.name).zip(&parts);
            own.map(|(it, part)| bound::image(run, log, builder, it, part))
                .collect::<Result<_>>()?
        } else {
            parts
        };
        images.push(deliver::image(run, image, &parts)?);
    }
    let fact = deliver::summary(run, &images)?;
    record(run, builder, &works, images)?;
    Ok(Outcome::of(findings, fact))
}

/// The plan of [`make_bases`].
pub(crate) fn plan_bases(run: &Run) -> Result<Plan> {
    let mut plan = Plan::new().reads(Input::Path("release.toml".into()));
    for image in &run.workspace.product().images {
        let builder = run.engines().images()?;
        for work in works(run, image)? {
            let reads =
                plan.reads(Input::Tool(maker(work.base))).reads(Input::Tool(builder.program()));
            plan = work.plan_base(run, builder, reads);
        }
    }
    Ok(plan)
}

/// Builds the bases of all images and returns the number of images. Sequentially: the compiler runs
/// beside it.
pub(crate) fn make_bases(run: &Run, log: &StepLog) -> Result<usize> {
    let mut works = Vec::new();
    for image in &run.workspace.product().images {
        works.extend(self::works(run, image)?);
    }
    work::fetch_packages(run, log, &works)?;
    for work in &works {
        work.prepare(run, log)?.packages(run, log, run.engines().images()?)?;
    }
    Ok(works.len())
}

/// Records images, inputs and builder in the manifest.
fn record(
    run: &Run,
    builder: Builder,
    works: &[Work<'_>],
    images: Vec<release::Image>,
) -> Result<()> {
    let mut materials = Vec::new();
    for work in works {
        let (sha256, _) = checksum::sha256(&run.workspace.root().join(&work.base.lock))?;
        let uri = format!("file:{}", work.base.lock.display());
        materials.push(material(uri, "sha256", &sha256));
        if let Some(Pinned { name, digest, .. }) = &work.base.image {
            let (algorithm, hex) = digest.split_once(':').context("a base has no digest")?;
            materials.push(material(format!("docker://{name}@{digest}"), algorithm, hex));
        }
    }
    let engine = |program: &str| Engine {
        name: program.to_owned(),
        version: run.tools.version(program).unwrap_or_default(),
    };
    run.update_manifest(|manifest| {
        let product = run.workspace.product();
        // Images that are no longer declared are not part of the release.
        manifest.images.retain(|known| product.image(&known.repository).is_ok());
        for image in images {
            manifest.put_image(image);
        }
        for material in materials {
            manifest.put_material(material);
        }
        manifest.engines.insert("images".to_owned(), engine(builder.program()));
        for work in works {
            manifest.engines.insert("base".to_owned(), engine(maker(work.base)));
        }
        Ok(())
    })
}

/// The tool images named on the command line; all by default.
fn select_images(run: &Run) -> Result<Vec<&Image>> {
    let product = run.workspace.product();
    let names = run.options.step_arguments::<ImagesArguments>().name;
    if names.is_empty() {
        return Ok(product.tools().collect());
    }
    names.iter().map(|name| product.image(name)).collect()
}

/// The builds of `image`, one per architecture.
fn works<'a>(run: &'a Run, image: &'a Image) -> Result<Vec<Work<'a>>> {
    let architectures = run.options.architectures.iter();
    architectures.map(|architecture| Work::new(run, image, *architecture)).collect()
}
