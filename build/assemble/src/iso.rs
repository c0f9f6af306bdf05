// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Live ISO of the maintenance OS's image, built by one of two engines. It runs from the medium and
//! is not an installer.

mod engines;
mod image_builder;
mod native;

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use engine::workspace::{ImageBase, Iso as Declared, Job};
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::finding::Finding;
use foundation::text::megabytes;
use media::live::installer;
use media::platforms::{self, Platform};
use oci::Layout;
use release::{Architecture, ArtifactKind, layout};

use self::engines::{IsoBuilder, maker, record};
use super::images::is_bound;
use super::maintenance::skip_undeclared;
use super::package::{artifact, copy};

/// `cargo xtask iso`.
pub struct Iso;

impl Step for Iso {
    fn describe(&self) -> Description {
        Description::step("iso", "build the live ISO of the maintenance OS")
            .example("--engine iso=native")
            .arguments(&[Argument::Engine(Job::Iso), Argument::Target])
            .with_cache()
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        if run.workspace.product().iso.is_none() {
            return Vec::new();
        }
        // Without an engine, planning fails.
        let tools = run.engines().iso().map(|it| maker(it).tools).unwrap_or_default();
        // The root uncompressed, compressed, and in the ISO.
        tools.iter().copied().map(Need::Tool).chain([Need::Space(1 << 30)]).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let mut plan = Plan::new().reads(Input::Path("release.toml".into())).reads(Input::Manifest);
        for work in works(run)? {
            plan = work.maker.tools.iter().fold(plan, |plan, tool| plan.reads(Input::Tool(tool)));
            let target = run.dist_in_plan().join(work.path(run));
            plan = plan
                .reads(Input::Source(work.declared.description.clone()))
                .reads(Input::Path(work.base.lock.clone()));
            plan = (work.maker.plan)(run, &work, plan);
            plan = plan.native(format!("write {}", target.display())).writes(target);
        }
        Ok(plan)
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        if run.workspace.product().iso.is_none() {
            return Ok(Outcome::Skipped(skip_undeclared()));
        }
        let mut isos = Vec::new();
        let mut findings = Vec::new();
        let mut facts = Vec::new();
        for work in works(run)? {
            let path = work.path(run);
            copy(&(work.maker.make)(run, log, &work)?, &run.dist().join(&path), 0o644)?;
            let architecture = Some(work.architecture);
            let iso = artifact(&run.dist(), &path, ArtifactKind::Iso, architecture, None)?;
            let made = run.dist().join(&path);
            let made =
                File::open(&made).with_context(|| format!("cannot read {}", made.display()))?;
            findings.extend(installer::find_traces(made)?.into_iter().map(|trace| {
                Finding::in_file(
                    &path,
                    "iso-installs",
                    trace,
                    "a live ISO must not install anything: remove the installer",
                )
            }));
            let (limit, field) = work.limit(run)?;
            let size = megabytes(iso.size);
            if iso.size > limit.saturating_mul(1_000_000) {
                findings.push(Finding::in_file(
                    "release.toml",
                    "iso-size",
                    format!("{path} has {size}, {field} is {limit}"),
                    "remove a package from the maintenance OS, or raise the limit if all are needed",
                ));
            }
            facts.push(format!("{path} {size}"));
            isos.push(iso);
        }
        let engine = record(run.engines().iso()?, run)?;
        run.update_manifest(|manifest| {
            for iso in isos {
                manifest.put_artifact(iso);
            }
            manifest.engines.insert("iso".to_owned(), engine);
            Ok(())
        })?;
        let fact = facts.join(", ");
        Ok(Outcome::of(findings, fact))
    }
}

/// An ISO build.
struct Work<'a> {
    maker: IsoBuilder,
    declared: &'a Declared,
    base: &'a ImageBase,
    architecture: Architecture,
    epoch: u64,
    /// Working directory.
    folder: PathBuf,
}

/// The ISO builds, one per architecture.
fn works(run: &Run) -> Result<Vec<Work<'_>>> {
    let product = run.workspace.product();
    let Some(declared) = &product.iso else { return Ok(Vec::new()) };
    let engine = run.engines().iso()?;
    let base = product.base(&product.image(&declared.image)?.base)?;
    let folder = run.workspace.scratch().join(maker(engine).folder);
    let work = |architecture: &Architecture| Work {
        maker: maker(engine),
        declared,
        base,
        architecture: *architecture,
        epoch: run.workspace.epoch(),
        folder: folder.join(architecture.oci()),
    };
    Ok(run.options.architectures.iter().map(work).collect())
}

impl Work<'_> {
    /// Path in the release folder.
    fn path(&self, run: &Run) -> String {
        let (name, architecture) = (&self.declared.name, self.architecture.oci());
        format!("{}/{name}_v{}_{architecture}.iso", layout::ISO, run.version().text())
    }

    /// The image that it is built from.
    fn image(&self, run: &Run) -> Result<release::Image> {
        let mut images = run.manifest()?.images.into_iter();
        images.find(|image| image.repository == self.declared.image).with_context(|| {
            format!(
                "there is no image {}: run `cargo xtask maintenance` first",
                self.declared.image
            )
        })
    }

    /// The manifest for the ISO's architecture in `layout`.
    fn platform(&self, layout: &Layout) -> Result<Platform> {
        let mut platforms = platforms::read(layout)?.into_iter();
        platforms.find(|platform| platform.architecture == self.architecture).with_context(|| {
            format!("{} is not built for {}", self.declared.image, self.architecture.oci())
        })
    }

    /// The size limit, and its key in `[iso]`.
    fn limit(&self, run: &Run) -> Result<(u64, &'static str)> {
        Ok(if is_bound(run, &self.image(run)?)? {
            (self.declared.bound_limit_mb, "bound_limit_mb")
        } else {
            (self.declared.limit_mb, "limit_mb")
        })
    }
}
