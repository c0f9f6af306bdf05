// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Packages: what an operator downloads. Archives with what belongs to a binary, packages of
//! distributions, bare binaries, and debug information.

pub(super) mod contents;
mod system;

use std::path::Path;

use anyhow::{Context as _, Result};
use release::{Architecture, Artifact, ArtifactKind};

use self::contents::Distribution;
pub(super) use super::build::stem;
use super::build::{Output, outputs};
use super::{Input, Need, Outcome, Plan, Step, StepLog};
use crate::ops::{archive, atomic, checksum};
use crate::run::Run;
use crate::workspace::{Binary, Deliver};

/// `cargo xtask package`.
pub(crate) struct Package;

/// A file of the release.
struct Delivery<'a> {
    output: Output<'a>,
    form: Deliver,
}

impl Step for Package {
    fn name(&self) -> &'static str {
        "package"
    }

    fn about(&self) -> &'static str {
        "put the binaries into archives, with configuration, unit and licence"
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        // Programs write their manual pages themselves.
        let outputs = outputs(run).unwrap_or_default();
        let documented = outputs.iter().filter(|output| output.binary.documents_itself);
        let mut needs: Vec<_> =
            documented.filter_map(|output| Some(Need::Tool(output.target.emulator()?))).collect();
        needs.push(Need::Tool("cargo"));
        needs
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let mut plan = Plan::new()
            .reads(Input::Path("release.toml".into()))
            .reads(Input::Source("packager".into()))
            .reads(Input::Path("Cargo.lock".into()));
        let deliveries = deliveries(run)?;
        if deliveries.iter().any(|delivery| delivery.form.distribution().is_some()) {
            plan = plan.command(system::build(run));
        }
        for output in outputs(run)?.iter().filter(|output| !output.binary.deliver.is_empty()) {
            if let Some(command) = contents::documents(run, output) {
                plan = plan.command(command);
            }
            plan = plan.native(format!("list the work of others in {}", output.binary.name));
        }
        for delivery in deliveries {
            let path = run.dist_in_plan().join(delivery.file_name(run));
            plan = match delivery.form.distribution() {
                Some(distribution) => plan.command(system::command(
                    run,
                    distribution,
                    &run.workspace.root().join(&path),
                )),
                None => plan.native(format!("write {}", path.display())),
            };
            plan = plan.writes(path);
            plan = plan.reads(Input::Path(delivery.output.path_in_plan()));
            let Binary { files, system, .. } = delivery.output.binary;
            let of_system =
                system.iter().flat_map(|it| it.files.values().chain(it.config.values()));
            for file in files.values().chain(of_system) {
                plan = plan.reads(Input::Path(file.clone()));
            }
        }
        for output in outputs(run)? {
            let path = run.dist_in_plan().join(debug_name(run, &output));
            plan = plan
                .native(format!("write {}", path.display()))
                .reads(Input::Path(output.debug_in_plan(run)))
                .writes(path);
        }
        Ok(plan)
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let outputs = outputs(run)?;
        for output in outputs.iter().filter(|output| !output.binary.deliver.is_empty()) {
            contents::generate(run, log, output)?;
        }
        let deliveries = deliveries(run)?;
        if deliveries.iter().any(|delivery| delivery.form.distribution().is_some()) {
            run.exec(log, &system::build(run))?;
        }
        let mut artifacts = Vec::new();
        let mut describe = |name: &str, kind, output: &Output<'_>| -> Result<()> {
            let architecture = Some(output.target.architecture);
            let artifact = artifact(&run.dist(), name, kind, architecture, None)?;
            log.note(&format!("{} {} bytes", artifact.path, artifact.size));
            artifacts.push(artifact);
            Ok(())
        };
        for delivery in &deliveries {
            let name = delivery.file_name(run);
            delivery.write(run, log, &run.dist().join(&name))?;
            describe(&name, delivery.kind(), &delivery.output)?;
        }
        for output in &outputs {
            let name = debug_name(run, output);
            let from = run.workspace.root().join(output.debug_in_plan(run));
            copy(&from, &run.dist().join(&name), 0o644)?;
            describe(&name, ArtifactKind::Debug, output)?;
        }
        let count = artifacts.len();
        run.update_manifest(|manifest| {
            manifest.artifacts.retain(|known| {
                !matches!(
                    known.kind,
                    ArtifactKind::Package | ArtifactKind::Binary | ArtifactKind::Debug
                )
            });
            for artifact in artifacts {
                manifest.put_artifact(artifact);
            }
            Ok(())
        })?;
        Ok(Outcome::Done(format!("{count} files")))
    }
}

/// The file with the debug information of an executable; the executable names it.
fn debug_name(run: &Run, output: &Output<'_>) -> String {
    format!("{}.debug", stem(run, output))
}

fn deliveries(run: &Run) -> Result<Vec<Delivery<'_>>> {
    let mut deliveries = Vec::new();
    for output in outputs(run)? {
        let Output { binary, target, toolchain } = output;
        deliveries.extend(binary.deliver.iter().map(|form| Delivery {
            output: Output { binary, target, toolchain: toolchain.clone() },
            form: *form,
        }));
    }
    Ok(deliveries)
}

impl Delivery<'_> {
    fn file_name(&self, run: &Run) -> String {
        file_name(run, &self.output, self.form)
    }

    fn kind(&self) -> ArtifactKind {
        match self.form {
            Deliver::TarGz | Deliver::Deb | Deliver::Rpm => ArtifactKind::Package,
            Deliver::Raw => ArtifactKind::Binary,
        }
    }

    fn write(&self, run: &Run, log: &StepLog, path: &Path) -> Result<()> {
        if let Some(distribution) = self.form.distribution() {
            return system::write(run, log, &self.output, distribution, path);
        }
        let executable = self.output.verified(run)?;
        if self.form == Deliver::Raw {
            return copy(&executable, path, 0o755);
        }
        let members = contents::members(run, &self.output, executable)?;
        archive::write_file(path, members, run.workspace.epoch())
    }
}

impl Deliver {
    /// The distributions that a package of this form is for.
    pub(super) fn distribution(self) -> Option<Distribution> {
        match self {
            Self::Deb => Some(Distribution::Debian),
            Self::Rpm => Some(Distribution::Rpm),
            Self::TarGz | Self::Raw => None,
        }
    }
}

/// The name of the file that delivers `output` in the form `form`.
pub(super) fn file_name(run: &Run, output: &Output<'_>, form: Deliver) -> String {
    let stem = stem(run, output);
    match form {
        Deliver::TarGz => format!("{stem}.tar.gz"),
        Deliver::Raw => stem,
        Deliver::Deb => format!("{stem}.deb"),
        Deliver::Rpm => format!("{stem}.rpm"),
    }
}

/// Copies the file `from` to `to`, whole or not at all, with the mode `mode`.
pub(super) fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    atomic::write_with(to, mode, |file| {
        let place = || format!("cannot read {}", from.display());
        let mut source = std::fs::File::open(from).with_context(place)?;
        std::io::copy(&mut source, file).with_context(place)?;
        Ok(())
    })
}

/// Describes the file `path` of the release folder `dist`.
pub(super) fn artifact(
    dist: &Path,
    path: &str,
    kind: ArtifactKind,
    architecture: Option<Architecture>,
    describes: Option<String>,
) -> Result<Artifact> {
    let (sha256, size) = checksum::sha256(&dist.join(path))?;
    Ok(Artifact { path: path.to_owned(), kind, architecture, describes, size, sha256 })
}
