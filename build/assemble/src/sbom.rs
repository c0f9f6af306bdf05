// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writes SBOMs of all binaries, packages, images and ISOs, in all formats.

mod engines;
mod iso;
mod native;
pub mod scan;

use anyhow::{Context as _, Result};
use engine::workspace::{Deliver, Job};
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::{archive, atomic, checksum, parallel};
use inspect::ar;
use media::platforms::{self, Platform};
use oci::Layout;
use release::layout::{self, SbomFormat};
use release::{Architecture, Artifact, ArtifactKind};
use sbom::bom::{Bom, Component, Kind, Origin};
use sbom::crates::Subject;
use sbom::purl;

use self::engines::{Engine, Name, commands};
use super::build::{Output, outputs};
use super::package::{self, artifact, file_name};

/// `cargo xtask sbom`.
pub struct Sbom;

/// Tool version in the documents.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");

impl Step for Sbom {
    fn describe(&self) -> Description {
        Description::step(
            "sbom",
            "write SBOMs (CycloneDX, SPDX) of each binary, package, image and ISO",
        )
        .example("--engine sbom=syft")
        .arguments(&[Argument::Engine(Job::Sbom), Argument::Target])
        .with_cache()
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        // Without an engine, planning fails.
        let engine = run.engines().sbom().ok();
        let scanner = engine.filter(|it| *it == Name::Syft).map(|_| Need::Tool("syft"));
        [Need::Tool("cargo")].into_iter().chain(scanner).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new().reads(Input::Path("Cargo.lock".into())).reads(Input::Manifest);
        let mut plan = package::build_packager(run)?.into_iter().fold(plan, Plan::command);
        let engine = run.engines().sbom()?;
        for output in outputs(run)? {
            plan = commands(engine, run, &output).into_iter().fold(plan, Plan::command);
        }
        if engine == Name::Syft {
            plan = plan.native("the same for each image, one architecture at a time");
        }
        let images = run.workspace.product().images.iter().map(|image| image.name.clone());
        for name in files(run)?.into_iter().chain(images) {
            for format in SbomFormat::ALL {
                let path = run.dist_in_plan().join(layout::sbom(&name, format));
                plan = plan.native(format!("write {}", path.display())).writes(path);
            }
        }
        if let Some(iso) = &run.workspace.product().iso {
            plan = plan.native(format!("write the SBOMs of the ISO {}", iso.name));
        }
        Ok(plan)
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let engine = Engine::open(run, log)?;
        if let Some(command) = package::build_packager(run)? {
            run.exec(log, &command)?;
        }
        let mut documents = Vec::new();
        for output in outputs(run)? {
            if output.binary.deliver.is_empty() {
                continue;
            }
            let bom = engine.binary(run, log, &output)?;
            for form in &output.binary.deliver {
                let describes = file_name(run, &output, *form);
                let bom = match form {
                    Deliver::Raw => bom.clone(),
                    Deliver::TarGz | Deliver::Deb | Deliver::Rpm => {
                        of_package(run, log, &describes, *form, &bom)?
                    }
                };
                let architecture = Some(output.target.architecture);
                documents.push(Document { describes, architecture, bom });
            }
        }
        let manifest = run.manifest()?;
        let jobs = run.options.jobs;
        documents
            .extend(parallel::map(jobs, &manifest.images, |it| of_image(run, log, &engine, it))?);
        for iso in manifest.artifacts.iter().filter(|it| it.kind == ArtifactKind::Iso) {
            documents.push(iso::document(run, log, &engine, &manifest, iso)?);
        }
        let files = documents.iter().flat_map(|it| SbomFormat::ALL.map(|format| (it, format)));
        let files: Vec<_> = files.collect();
        let artifacts = parallel::map(jobs, &files, |(document, format)| {
            document.write(run, &engine, *format)
        })?;
        let (subjects, count) = (documents.len(), artifacts.len());
        run.update_manifest(|manifest| {
            manifest.artifacts.retain(|known| known.kind != ArtifactKind::Sbom);
            for artifact in artifacts {
                manifest.put_artifact(artifact);
            }
            manifest.engines.insert("sbom".to_owned(), engine.record());
            Ok(())
        })?;
        Ok(Outcome::Done(format!("{count} documents about {subjects} files and images")))
    }
}

/// An SBOM, to be written in each format.
struct Document {
    /// Described file or image of the release.
    describes: String,
    /// Architecture, if it is a single one.
    architecture: Option<Architecture>,
    bom: Bom,
}

impl Document {
    fn write(&self, run: &Run, engine: &Engine, format: SbomFormat) -> Result<Artifact> {
        let product = &run.workspace.product().product;
        let origin = Origin {
            tool_version: OWN_VERSION,
            vendor: &product.vendor,
            source: &product.source,
            epoch: run.workspace.epoch(),
            scanner: engine.scanner(),
        };
        let path = layout::sbom(&self.describes, format);
        let text = sbom::to_json(&self.bom, &origin, format)?;
        atomic::write(&run.dist().join(&path), text.as_bytes())?;
        let describes = Some(self.describes.clone());
        artifact(&run.dist(), &path, ArtifactKind::Sbom, self.architecture, describes)
    }
}

/// Binaries and packages of the release.
fn files(run: &Run) -> Result<Vec<String>> {
    let outputs = outputs(run)?;
    let names = outputs
        .iter()
        .flat_map(|output| output.binary.deliver.iter().map(|form| file_name(run, output, *form)));
    Ok(names.collect())
}

/// SBOM of a package: the executable's, plus the other files.
fn of_package(
    run: &Run,
    log: &StepLog,
    name: &str,
    form: Deliver,
    executable: &Bom,
) -> Result<Bom> {
    let product = &run.workspace.product().product;
    let version = run.version().text();
    let path = run.dist().join(name);
    let (sha256, _) = checksum::sha256(&path)?;
    let checksum = format!("sha256:{sha256}");
    let qualifiers = [("checksum", checksum.as_str())];
    let purl = purl::purl("generic", Some(&product.name), name, version, &qualifiers);
    let mut bom = Bom::new(Component {
        supplier: Some(product.vendor.clone()),
        sha256: Some(sha256),
        license: Some(product.license.clone()),
        vcs: Some(product.source.clone()),
        ..Component::new(Kind::Archive, name, version, purl)
    });
    bom.include(executable.clone());
    let files = match form {
        Deliver::Deb => ar::files_of_deb(&path)?,
        Deliver::Rpm => package::list_rpm(run, log, &path)?,
        Deliver::TarGz | Deliver::Raw => archive::files(&path)?,
    };
    for (member, sha256) in files {
        if executable.subject.sha256.as_ref() == Some(&sha256) {
            continue;
        }
        let reference = format!("file:{member}");
        bom.depends(&bom.subject.reference.clone(), &reference);
        bom.add(Component {
            supplier: Some(product.vendor.clone()),
            sha256: Some(sha256),
            license: Some(product.license.clone()),
            ..Component::without_purl(Kind::File, &member, version, reference)
        });
    }
    Ok(bom)
}

/// Subject of the SBOM of the executable `output` with this SHA-256.
fn describe_executable<'a>(run: &'a Run, output: &'a Output<'_>, sha256: &'a str) -> Subject<'a> {
    let product = &run.workspace.product().product;
    Subject {
        name: &output.binary.name,
        version: run.version().text(),
        sha256,
        product: &product.name,
        vendor: &product.vendor,
        license: &product.license,
        source: &product.source,
        commit: run.workspace.commit(),
    }
}

/// SBOM of an image: the engine's components for each architecture. A multi-arch image is described
/// by its index, which depends on each platform.
fn of_image(run: &Run, log: &StepLog, engine: &Engine, image: &release::Image) -> Result<Document> {
    let layout = Layout::open(run.dist().join(&image.layout))?;
    let mut parts = Vec::new();
    for platform in platforms::read(&layout)? {
        parts.push(of_platform(run, log, engine, &layout, &platform, image)?);
    }
    let several = parts.len() > 1;
    let bom = if several {
        let subject = container(run, image, &image.digest, None)?;
        parts.into_iter().fold(Bom::new(subject), |mut bom, part| {
            bom.include(part);
            bom
        })
    } else {
        parts.pop().with_context(|| format!("{} has no architecture", image.repository))?
    };
    Ok(Document {
        describes: image.repository.clone(),
        architecture: image.architectures.first().copied().filter(|_| !several),
        bom,
    })
}

/// SBOM of an image's platform.
fn of_platform(
    run: &Run,
    log: &StepLog,
    engine: &Engine,
    layout: &Layout,
    platform: &Platform,
    image: &release::Image,
) -> Result<Bom> {
    let digest = platform.descriptor.digest().to_string();
    let mut bom = Bom::new(container(run, image, &digest, Some(platform.architecture))?);
    engine.fill(run, log, &mut bom, layout, platform, image)?;
    Ok(bom)
}

/// Subject of the SBOM of an image; `digest` is that of an index or a manifest.
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
        supplier: Some(product.product.vendor.clone()),
        description: Some(product.image(&image.repository)?.description.clone()),
        sha256: Some(hex.to_owned()),
        license: Some(product.product.license.clone()),
        vcs: Some(product.product.source.clone()),
        ..Component::new(Kind::Container, &image.repository, run.version().text(), purl)
    })
}
