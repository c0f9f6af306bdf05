// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The bills of materials of each binary, package and image, in each format.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use cargo_metadata::Metadata;
use oci::Layout;
use release::layout::{self, SbomFormat};
use release::{Architecture, Artifact, ArtifactKind, Engine, Manifest};

use super::build::{self, Output, outputs};
use super::images::packages;
use super::package::{artifact, file_name};
use super::{Input, Need, Outcome, Plan, Step, StepLog};
use crate::ops::cargo::graph::{self, Crate, Edges, Graph};
use crate::ops::command::Command;
use crate::ops::debian::bootstrap;
use crate::ops::debian::lock::Lock;
use crate::ops::oci::root;
use crate::ops::sbom::bom::{Bom, Component, Kind, Origin};
use crate::ops::sbom::crates::{self, Sources, Subject};
use crate::ops::sbom::debian::RootFacts;
use crate::ops::sbom::{self, debian, purl};
use crate::ops::{archive, atomic, checksum};
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
        "write the bills of materials (CycloneDX, SPDX) of each binary, package and image"
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("cargo")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let mut plan = Plan::new().reads(Input::Path("Cargo.lock".into())).reads(Input::Manifest);
        for output in outputs(run)? {
            plan = plan.command(tree(run, &output, Edges::Linked));
            plan = plan.command(tree(run, &output, Edges::Built));
        }
        let images = run.workspace.product().images.iter().map(|image| image.name.clone());
        for name in files(run)?.into_iter().chain(images) {
            for format in SbomFormat::ALL {
                let path = run.dist_in_plan().join(layout::sbom(&name, format));
                plan = plan.native(format!("write {}", path.display())).writes(path);
            }
        }
        if let Some(iso) = &run.workspace.product().iso {
            plan = plan.native(format!("write those of the ISO {}", iso.name));
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
            if output.binary.deliver.is_empty() {
                continue;
            }
            let bom = sources.bom(run, log, &output)?;
            for form in &output.binary.deliver {
                let describes = file_name(run, &output, *form);
                let bom = match form {
                    Deliver::Raw => bom.clone(),
                    Deliver::TarGz => of_package(run, &describes, &bom)?,
                };
                let architecture = Some(output.target.architecture);
                documents.push(Document { describes, architecture, bom });
            }
        }
        let manifest = run.manifest()?;
        for image in &manifest.images {
            documents.push(of_image(run, log, &sources, image)?);
        }
        for iso in manifest.artifacts.iter().filter(|it| it.kind == ArtifactKind::Iso) {
            documents.push(of_iso(run, log, &sources, &manifest, iso)?);
        }
        let mut artifacts = Vec::new();
        for document in &documents {
            for format in SbomFormat::ALL {
                artifacts.push(document.write(run, format)?);
            }
        }
        let (subjects, count) = (documents.len(), artifacts.len());
        run.update_manifest(|manifest| {
            manifest.artifacts.retain(|known| known.kind != ArtifactKind::Sbom);
            for artifact in artifacts {
                manifest.put_artifact(artifact);
            }
            let engine = Engine { name: "native".to_owned(), version: OWN_VERSION.to_owned() };
            manifest.engines.insert("sbom".to_owned(), engine);
            Ok(())
        })?;
        Ok(Outcome::Done(format!("{count} documents about {subjects} files and images")))
    }
}

/// What is to be written in each format.
struct Document {
    /// The file or image of the release that it describes.
    describes: String,
    /// What that was made for, where that is one architecture.
    architecture: Option<Architecture>,
    bom: Bom,
}

impl Document {
    fn write(&self, run: &Run, format: SbomFormat) -> Result<Artifact> {
        let product = &run.workspace.product().product;
        let origin = Origin {
            tool_version: OWN_VERSION,
            vendor: &product.vendor,
            source: &product.source,
            epoch: run.workspace.epoch(),
        };
        let path = layout::sbom(&self.describes, format);
        let text = sbom::to_json(&self.bom, &origin, format)?;
        atomic::write(&run.dist().join(&path), text.as_bytes())?;
        let describes = Some(self.describes.clone());
        artifact(&run.dist(), &path, ArtifactKind::Sbom, self.architecture, describes)
    }
}

/// The binaries and packages of the release.
fn files(run: &Run) -> Result<Vec<String>> {
    let outputs = outputs(run)?;
    let names = outputs
        .iter()
        .flat_map(|output| output.binary.deliver.iter().map(|form| file_name(run, output, *form)));
    Ok(names.collect())
}

/// The bill of materials of a package: the executable's, and the files beside it.
fn of_package(run: &Run, name: &str, executable: &Bom) -> Result<Bom> {
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
    for (member, sha256) in archive::files(&path)? {
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

/// The bill of materials of an ISO: the image that it is made of, and the boot loaders beside it.
fn of_iso(
    run: &Run,
    log: &StepLog,
    sources: &CrateSources,
    manifest: &Manifest,
    iso: &Artifact,
) -> Result<Document> {
    let product = run.workspace.product();
    let declared = product.iso.as_ref().context("release.toml declares no ISO")?;
    let image = manifest.images.iter().find(|image| image.repository == declared.image);
    let image = image.with_context(|| format!("the release has no image {}", declared.image))?;
    let architecture = iso.architecture.context("an ISO has no architecture")?;
    let version = run.version().text();
    let purl =
        purl::purl("generic", None, &declared.name, version, &[("arch", architecture.oci())]);
    let mut bom = Bom::new(Component {
        supplier: Some(product.product.vendor.clone()),
        sha256: Some(iso.sha256.clone()),
        license: Some(product.product.license.clone()),
        vcs: Some(product.product.source.clone()),
        ..Component::new(Kind::OperatingSystem, &declared.name, version, purl)
    });
    bom.include(of_image(run, log, sources, image)?.bom);

    let base = product.base(&product.image(&declared.image)?.base)?;
    let lock = Lock::read(&run.workspace.root().join(&base.lock))?;
    let locked = lock.set(architecture, &declared.name)?;
    let files = packages::fetched(run, log, &base.suite, architecture, &locked)?;
    let mut facts = RootFacts {
        os_release: root::facts(&Layout::open(run.dist().join(&image.layout))?)?.os_release,
        ..RootFacts::default()
    };
    for file in &files {
        let control = run.capture(log, &bootstrap::control_command(file))?;
        let control = String::from_utf8_lossy(&control).trim().to_owned();
        for part in ["Status: install ok installed\n", &control, "\n\n"] {
            facts.status.push_str(part);
        }
    }
    debian::add(&mut bom, &facts, &lock.checksums(architecture, &declared.name))?;
    Ok(Document { describes: iso.path.clone(), architecture: Some(architecture), bom })
}

/// The bill of materials of an image: its distribution's packages, and the executable in it.
fn of_image(
    run: &Run,
    log: &StepLog,
    sources: &CrateSources,
    image: &release::Image,
) -> Result<Document> {
    let product = run.workspace.product();
    let declared = product.image(&image.repository)?;
    let [architecture] = image.architectures[..] else {
        bail!("{} holds several architectures: a bill of materials is for one", image.repository);
    };
    let (_, hex) = image.digest.split_once(':').context("the image's digest has no algorithm")?;
    let (_, name) = image.repository.rsplit_once('/').unwrap_or(("", &image.repository));
    let qualifiers = [("arch", architecture.oci())];
    let purl = purl::purl("oci", None, name, &image.digest, &qualifiers);
    let mut bom = Bom::new(Component {
        supplier: Some(product.product.vendor.clone()),
        description: Some(declared.description.clone()),
        sha256: Some(hex.to_owned()),
        license: Some(product.product.license.clone()),
        vcs: Some(product.product.source.clone()),
        ..Component::new(Kind::Container, &image.repository, run.version().text(), purl)
    });
    let facts = root::facts(&Layout::open(run.dist().join(&image.layout))?)?;
    let lock = Lock::read(&run.workspace.root().join(&product.base(&declared.base)?.lock))?;
    debian::add(&mut bom, &facts, &lock.checksums(architecture, &image.repository))?;
    bom.include(sources.bom(run, log, &build::output(run, &declared.binary, architecture)?)?);
    Ok(Document { describes: image.repository.clone(), architecture: Some(architecture), bom })
}
