// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds the files for operators: archives, distribution packages, bare binaries, and their debug
//! information.

mod contents;
mod notices;
mod system;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use engine::workspace::{Binary, Deliver};
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::archive::{self, Member, Mode};
use foundation::command::Command;
use foundation::{atomic, checksum, parallel};
use release::{Architecture, Artifact, ArtifactKind};

pub(crate) use self::system::list_rpm;
use super::build::{Output, metadata, outputs, stem};

/// `cargo xtask package`.
pub struct Package;

/// A release file.
struct Delivery<'a> {
    output: Output<'a>,
    form: Deliver,
}

impl Step for Package {
    fn describe(&self) -> Description {
        Description::step(
            "package",
            "package the binaries as tar.gz, .deb and .rpm, with configuration, unit and licence",
        )
        .example("--target x86_64")
        .arguments(&[Argument::Target])
        .with_cache()
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        // Programs generate their manual pages themselves, emulated where needed.
        let outputs = outputs(run).unwrap_or_default();
        let documented = outputs.iter().filter(|output| output.binary.documents_itself);
        let emulators = documented.filter_map(|output| output.target.emulator().map(Need::Tool));
        [Need::Tool("cargo")].into_iter().chain(emulators).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let mut plan = Plan::new()
            .reads(Input::Path("release.toml".into()))
            .reads(Input::Path("Cargo.lock".into()));
        let deliveries = deliveries(run)?;
        if deliveries.iter().any(|it| system::writes(it.form)) {
            plan = plan.reads(Input::Source("packager".into())).command(system::build(run));
        }
        for output in outputs(run)?.iter().filter(|it| contents::has_files(it.binary)) {
            if let Some(command) = contents::documents(run, output) {
                plan = plan.command(command);
            }
            plan = plan.native(format!("write the third-party notices of {}", output.binary.name));
        }
        for delivery in deliveries {
            let path = run.dist_in_plan().join(delivery.file_name(run));
            plan = if system::writes(delivery.form) {
                plan.command(system::command(run, delivery.form, &path))
            } else {
                plan.native(format!("write {}", path.display()))
            };
            plan = plan.writes(path).reads(Input::Path(delivery.output.path_in_plan()));
            let Binary { files, system, .. } = delivery.output.binary;
            let of_system = system.iter().flat_map(|it| it.config.values().chain([&it.unit]));
            for file in files.values().chain(of_system) {
                plan = plan.reads(Input::Path(file.clone()));
            }
        }
        for output in outputs(run)? {
            let path = run.dist_in_plan().join(debug_name(run, &output));
            plan = plan
                .native(format!("write {}", path.display()))
                .reads(Input::Path(output.debug_in_plan()))
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
        let outputs = outputs(run)?;
        let metadata = metadata(run, log)?;
        let mut generated = BTreeMap::new();
        for output in outputs.iter().filter(|it| contents::has_files(it.binary)) {
            let files = contents::generate(run, log, output, &metadata)?;
            generated.insert((output.target.architecture, &output.binary.name), files);
        }
        let deliveries = deliveries(run)?;
        if let Some(command) = build_packager(run)? {
            run.exec(log, &command)?;
        }
        parallel::map(run.options.jobs, &deliveries, |delivery| {
            let Output { target, binary, .. } = &delivery.output;
            let belonging = generated.get(&(target.architecture, &binary.name));
            let belonging = belonging.map(Vec::as_slice).unwrap_or_default();
            delivery.write(run, log, belonging, &run.dist().join(delivery.file_name(run)))
        })?;
        for delivery in &deliveries {
            describe(&delivery.file_name(run), delivery.kind(), &delivery.output)?;
        }
        for output in outputs {
            let name = debug_name(run, &output);
            let from = run.workspace.root().join(output.debug_in_plan());
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

/// The command that builds `packager`, if a package needs it.
pub(crate) fn build_packager(run: &Run) -> Result<Option<Command>> {
    let wanted = deliveries(run)?.iter().any(|it| system::writes(it.form));
    Ok(wanted.then(|| system::build(run)))
}

/// Release name of an executable's debug information.
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

    /// Writes it to `path`; `generated` is the result of [`contents::generate`] for the executable.
    fn write(
        &self,
        run: &Run,
        log: &StepLog,
        generated: &[(String, PathBuf)],
        path: &Path,
    ) -> Result<()> {
        let executable = self.output.verify_binary(run)?;
        match self.form {
            Deliver::TarGz => {
                let members = self.members(run, executable, generated);
                archive::write_file(path, members, run.workspace.epoch())
            }
            Deliver::Raw => copy(&executable, path, 0o755),
            Deliver::Deb | Deliver::Rpm => {
                system::write(run, log, &self.output, self.form, (&executable, generated), path)
            }
        }
    }

    fn members(
        &self,
        run: &Run,
        executable: PathBuf,
        generated: &[(String, PathBuf)],
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
        members.extend(named.chain(generated.iter().cloned()).map(|(name, source)| Member {
            path: path(&name),
            mode: Mode::File,
            source,
        }));
        members
    }
}

/// Release name of `output` in the format `form`.
pub(crate) fn file_name(run: &Run, output: &Output<'_>, form: Deliver) -> String {
    let stem = stem(run, output);
    match form {
        Deliver::TarGz => format!("{stem}.tar.gz"),
        Deliver::Raw => stem,
        Deliver::Deb => format!("{stem}.deb"),
        Deliver::Rpm => format!("{stem}.rpm"),
    }
}

/// Release names of an executable's files.
pub(crate) struct FileNames {
    /// Binaries and packages.
    pub(crate) delivered: Vec<String>,
    /// Debug information.
    pub(crate) debug: String,
}

/// Release names of the files of `output`.
pub(crate) fn file_names(run: &Run, output: &Output<'_>) -> FileNames {
    let forms = output.binary.deliver.iter();
    FileNames {
        delivered: forms.map(|form| file_name(run, output, *form)).collect(),
        debug: debug_name(run, output),
    }
}

/// Copies the file `from` to `to` atomically, with mode `mode`.
pub(crate) fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    atomic::write_with(to, mode, |file| {
        let place = || format!("cannot read {}", from.display());
        let mut source = std::fs::File::open(from).with_context(place)?;
        std::io::copy(&mut source, file).with_context(place)?;
        Ok(())
    })
}

/// Manifest entry of the file `path` in the release folder `dist`.
pub(crate) fn artifact(
    dist: &Path,
    path: &str,
    kind: ArtifactKind,
    architecture: Option<Architecture>,
    describes: Option<String>,
) -> Result<Artifact> {
    let (sha256, size) = checksum::sha256(&dist.join(path))?;
    Ok(Artifact { path: path.to_owned(), kind, architecture, describes, size, sha256 })
}
