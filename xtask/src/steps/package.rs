// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Packages: what an operator downloads. Archives with what belongs to a binary, bare binaries, and
//! the debug information of each.

mod contents;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use cargo_metadata::Metadata;
use release::{Architecture, Artifact, ArtifactKind};

use super::build::{Output, metadata, outputs, stem};
use super::{Input, Need, Outcome, Plan, Step, StepLog};
use crate::ops::archive::{self, Member, Mode};
use crate::ops::{atomic, checksum};
use crate::run::Run;
use crate::workspace::Deliver;

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
        // Programs write their manual pages themselves, in an emulator where they have to.
        let outputs = outputs(run).unwrap_or_default();
        let documented = outputs.iter().filter(|output| output.binary.documents_itself);
        let emulators = documented.filter_map(|output| output.target.emulator().map(Need::Tool));
        [Need::Tool("cargo")].into_iter().chain(emulators).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let mut plan = Plan::new()
            .reads(Input::Path("release.toml".into()))
            .reads(Input::Path("Cargo.lock".into()));
        for delivery in deliveries(run)? {
            if delivery.form == Deliver::TarGz {
                if let Some(command) = contents::documents(run, &delivery.output) {
                    plan = plan.command(command);
                }
                let name = &delivery.output.binary.name;
                plan = plan.native(format!("list the work of others in {name}"));
            }
            let path = run.dist_in_plan().join(delivery.file_name(run));
            plan = plan.native(format!("write {}", path.display())).writes(path);
            plan = plan.reads(Input::Path(delivery.output.path_in_plan()));
            for file in delivery.output.binary.files.values() {
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
        let mut artifacts = Vec::new();
        let mut describe = |name: &str, kind, output: &Output<'_>| -> Result<()> {
            let architecture = Some(output.target.architecture);
            let artifact = artifact(&run.dist(), name, kind, architecture, None)?;
            log.note(&format!("{} {} bytes", artifact.path, artifact.size));
            artifacts.push(artifact);
            Ok(())
        };
        let metadata = metadata(run, log)?;
        for delivery in deliveries(run)? {
            let name = delivery.file_name(run);
            delivery.write(run, log, &metadata, &run.dist().join(&name))?;
            describe(&name, delivery.kind(), &delivery.output)?;
        }
        for output in outputs(run)? {
            let name = debug_name(run, &output);
            let from = run.workspace.root().join(output.debug_in_plan(run));
            copy(&from, &run.dist().join(&name), 0o644)?;
            describe(&name, ArtifactKind::Debug, &output)?;
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
            Deliver::TarGz => ArtifactKind::Package,
            Deliver::Raw => ArtifactKind::Binary,
        }
    }

    fn write(&self, run: &Run, log: &StepLog, metadata: &Metadata, path: &Path) -> Result<()> {
        let executable = self.output.verified(run)?;
        match self.form {
            Deliver::TarGz => {
                let generated = contents::generate(run, log, &self.output, metadata)?;
                let members = self.members(run, executable, generated);
                archive::write_file(path, members, run.workspace.epoch())
            }
            Deliver::Raw => copy(&executable, path, 0o755),
        }
    }

    fn members(
        &self,
        run: &Run,
        executable: PathBuf,
        generated: Vec<(String, PathBuf)>,
    ) -> Vec<Member> {
        let folder = stem(run, &self.output);
        let path = |name: &str| format!("{folder}/{name}");
        let mut members = vec![Member {
            path: path(&self.output.binary.name),
            mode: Mode::Executable,
            source: executable,
        }];
        let root = run.workspace.root();
        let named = self.output.binary.files.iter().map(|(name, at)| (name.clone(), root.join(at)));
        members.extend(named.chain(generated).map(|(name, source)| Member {
            path: path(&name),
            mode: Mode::File,
            source,
        }));
        members
    }
}

/// The name of the file that delivers `output` in the form `form`.
pub(super) fn file_name(run: &Run, output: &Output<'_>, form: Deliver) -> String {
    let stem = stem(run, output);
    match form {
        Deliver::TarGz => format!("{stem}.tar.gz"),
        Deliver::Raw => stem,
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
