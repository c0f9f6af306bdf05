// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! A `CycloneDX` bill of materials for each binary and each image.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::Metadata;
use oci::Layout;
use release::{Architecture, Artifact, ArtifactKind, Engine, layout};

use super::build::{self, Output, outputs};
use super::package::{artifact, file_name, stem};
use super::{Input, Need, Outcome, Plan, Step, StepLog};
use crate::ops::cargo::graph::{self, Crate, Edges, Graph};
use crate::ops::command::Command;
use crate::ops::debian::lock::Lock;
use crate::ops::oci::platforms::{self, Platform};
use crate::ops::oci::root;
use crate::ops::sbom::crates::{self, Sources, Subject};
use crate::ops::sbom::cyclonedx::{Bom, Component, Hash, Kind, License, Origin, Scope, Supplier};
use crate::ops::sbom::{debian, purl};
use crate::ops::{atomic, checksum};
use crate::run::Run;
use crate::workspace::Deliver;

/// `cargo xtask sbom`.
pub(crate) struct Sbom;

/// The version that stands in the documents as that of the program that made them.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

impl Step for Sbom {
    fn name(&self) -> &'static str {
        "sbom"
    }

    fn about(&self) -> &'static str {
        "write a CycloneDX bill of materials for each binary and image"
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("cargo")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let mut plan = Plan::new().reads(Input::Path("Cargo.lock".into())).reads(Input::Manifest);
        for output in outputs(run)? {
            plan = plan.command(tree(run, &output, Edges::Linked));
            plan = plan.command(tree(run, &output, Edges::Built));
            if delivered(run, &output).is_some() {
                let path = run.dist_in_plan().join(layout::sbom(&stem(run, &output)));
                plan = plan.native(format!("write {}", path.display())).writes(path);
            }
        }
        for image in &run.workspace.product().images {
            let path = run.dist_in_plan().join(layout::sbom(&image.name));
            plan = plan.native(format!("write {}", path.display())).writes(path);
        }
        Ok(plan)
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let engine = run.engine("sbom")?;
        if engine != "native" {
            bail!("there is no engine {engine:?} for bills of materials: expected native");
        }
        let sources = CrateSources::read(run, log)?;
        let mut documents = Vec::new();
        for output in outputs(run)? {
            if let Some(describes) = delivered(run, &output) {
                let bom = sources.bom(run, log, &output)?;
                let architecture = Some(output.target.architecture);
                let path = layout::sbom(&stem(run, &output));
                documents.push(Document { path, describes, architecture, bom });
            }
        }
        for image in run.manifest()?.images {
            documents.push(of_image(run, log, &sources, &image)?);
        }
        let artifacts: Vec<_> =
            documents.iter().map(|document| document.write(run)).collect::<Result<_>>()?;
        let count = artifacts.len();
        run.update_manifest(|manifest| {
            manifest.artifacts.retain(|known| known.kind != ArtifactKind::Sbom);
            for artifact in artifacts {
                manifest.put_artifact(artifact);
            }
            let engine = Engine { name: "native".to_owned(), version: OWN_VERSION.to_owned() };
            manifest.engines.insert("sbom".to_owned(), engine);
            Ok(())
        })?;
        Ok(Outcome::Done(format!("{count} documents")))
    }
}

/// One document to be written.
struct Document {
    /// Where to, in the release folder.
    path: String,
    /// The file or image of the release that it describes.
    describes: String,
    /// What that was made for, where that is one architecture.
    architecture: Option<Architecture>,
    bom: Bom,
}

impl Document {
    fn write(&self, run: &Run) -> Result<Artifact> {
        let origin = Origin {
            tool_version: OWN_VERSION,
            vendor: &run.workspace.product().product.vendor,
            epoch: run.workspace.epoch(),
        };
        let text = self.bom.to_json(&origin)?;
        atomic::write(&run.dist().join(&self.path), text.as_bytes())?;
        let describes = Some(self.describes.clone());
        artifact(&run.dist(), &self.path, ArtifactKind::Sbom, self.architecture, describes)
    }
}

/// The file of the release that holds the executable: the bare one where there is one.
fn delivered(run: &Run, output: &Output<'_>) -> Option<String> {
    let forms = &output.binary.deliver;
    let form = forms.iter().find(|form| **form == Deliver::Raw).or(forms.first())?;
    Some(file_name(run, output, *form))
}

/// `cargo tree` for one binary.
fn tree(run: &Run, output: &Output<'_>, edges: Edges) -> Command {
    let arguments = graph::arguments(&output.binary.package, output.target, edges);
    run.command("cargo").args(arguments)
}

/// What is known of all crates of the workspace; read once.
struct CrateSources {
    metadata: Metadata,
    checksums: BTreeMap<Crate, String>,
}

impl CrateSources {
    fn read(run: &Run, log: &StepLog) -> Result<Self> {
        let metadata = run.command("cargo").args(["metadata", "--locked", "--format-version", "1"]);
        let metadata = serde_json::from_slice(&run.attempt_machine(log, &metadata)?.success()?)
            .context("`cargo metadata` printed something else than its format, version 1")?;
        let lock = run.workspace.root().join("Cargo.lock");
        let lock = std::fs::read_to_string(&lock)
            .with_context(|| format!("cannot read {}", lock.display()))?;
        Ok(Self { metadata, checksums: graph::checksums(&lock)? })
    }

    /// The bill of materials of one executable.
    fn bom(&self, run: &Run, log: &StepLog, output: &Output<'_>) -> Result<Bom> {
        let read = |edges| -> Result<Graph> {
            let printed = run.capture(log, &tree(run, output, edges))?;
            graph::parse(std::str::from_utf8(&printed).context("`cargo tree` printed no UTF-8")?)
        };
        let (sha256, _) = checksum::sha256(&output.verified(run)?)?;
        let product = &run.workspace.product().product;
        let subject = Subject {
            name: &output.binary.name,
            version: run.version().text(),
            sha256: &sha256,
            product: &product.name,
            vendor: &product.vendor,
            license: &product.license,
            source: &product.source,
            commit: run.workspace.commit(),
        };
        let sources = Sources {
            linked: &read(Edges::Linked)?,
            built: &read(Edges::Built)?,
            metadata: &self.metadata,
            checksums: &self.checksums,
        };
        crates::bom(&subject, &sources)
    }
}

/// The bill of materials of an image: of each architecture its distribution's packages, and the
/// executable in it. Where there are several, the subject is the index, which depends on each.
fn of_image(
    run: &Run,
    log: &StepLog,
    sources: &CrateSources,
    image: &release::Image,
) -> Result<Document> {
    let layout = Layout::open(run.dist().join(&image.layout))?;
    let mut parts = Vec::new();
    for platform in platforms::of(&layout)? {
        parts.push(of_platform(run, log, sources, &layout, &platform, image)?);
    }
    let several = parts.len() > 1;
    let bom = if several {
        let subject = container(run, image, &image.digest, None)?;
        parts.into_iter().fold(Bom::new(subject), |mut bom, part| {
            bom.include(part);
            bom
        })
    } else {
        parts.pop().with_context(|| format!("{} is of no architecture", image.repository))?
    };
    Ok(Document {
        path: layout::sbom(&image.repository),
        describes: image.repository.clone(),
        architecture: image.architectures.first().copied().filter(|_| !several),
        bom,
    })
}

/// The bill of materials of an image's part for one architecture.
fn of_platform(
    run: &Run,
    log: &StepLog,
    sources: &CrateSources,
    layout: &Layout,
    platform: &Platform,
    image: &release::Image,
) -> Result<Bom> {
    let product = run.workspace.product();
    let declared = product.image(&image.repository)?;
    let architecture = platform.architecture;
    let digest = platform.descriptor.digest().to_string();
    let mut bom = Bom::new(container(run, image, &digest, Some(architecture))?);
    let facts = root::facts(layout, &platform.manifest)?;
    let lock = Lock::read(&run.workspace.root().join(&product.base(&declared.base)?.lock))?;
    debian::add(&mut bom, &facts, &lock.checksums(architecture, &image.repository))?;
    bom.include(sources.bom(run, log, &build::output(run, &declared.binary, architecture)?)?);
    Ok(bom)
}

/// What a bill of materials of an image is about: that with `digest`, an index or a manifest.
fn container(
    run: &Run,
    image: &release::Image,
    digest: &str,
    architecture: Option<Architecture>,
) -> Result<Component> {
    let product = run.workspace.product();
    let (_, hex) = digest.split_once(':').context("the image's digest has no algorithm")?;
    let (_, name) = image.repository.rsplit_once('/').unwrap_or(("", &image.repository));
    let qualifiers: Vec<_> = architecture.iter().map(|it| ("arch", it.oci())).collect();
    let purl = purl::purl("oci", None, name, digest, &qualifiers);
    Ok(Component {
        supplier: Some(Supplier { name: product.product.vendor.clone() }),
        description: Some(product.image(&image.repository)?.description.clone()),
        scope: Some(Scope::Required),
        hashes: vec![Hash::sha256(hex)],
        licenses: vec![License::Expression(product.product.license.clone())],
        ..Component::new(Kind::Container, &image.repository, run.version().text(), purl)
    })
}
