// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Builds the binaries as they are delivered: static, stripped, hardened, and with nothing of this
//! machine inside.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use release::{Architecture, Engine, Material};

use super::{Input, Need, Outcome, Plan, Step, StepLog};
use crate::ops::cargo::build::{self, Folders, Identity};
use crate::ops::cargo::toolchain::{Libc, Target, Toolchain};
use crate::ops::command::Command;
use crate::ops::{checksum, elf};
use crate::run::Run;
use crate::workspace::Binary;

/// `cargo xtask build`.
pub(crate) struct Build;

/// Cargo's target folder for deliveries, below `target`; apart from the one for development, whose
/// flags differ.
const FOLDER: &str = "target/xtask/build";

impl Step for Build {
    fn name(&self) -> &'static str {
        "build"
    }

    fn about(&self) -> &'static str {
        "build the binaries as they are delivered, and check their ELF headers"
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        // A release build of all binaries, for one architecture, takes about half of this.
        vec![Need::Tool("cargo"), Need::Space(3 << 30)]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new().reads(Input::Source(PathBuf::new())).reads(Input::Tool("cargo"));
        let plan = outputs(run)?.into_iter().try_fold(plan, |plan, output| {
            Ok::<_, anyhow::Error>(plan.command(output.command(run)?).writes(output.path_in_plan()))
        })?;
        Ok(plan
            .native("check the ELF headers of each: static, PIE, RELRO, no path of this machine"))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let outputs = outputs(run)?;
        for output in &outputs {
            run.exec(log, &output.command(run)?)?;
            output.verified(run)?;
        }
        let materials = materials(run, log, &outputs)?;
        let compiler = outputs.first().map(|output| output.toolchain.version.clone());
        run.update_manifest(|manifest| {
            for material in materials {
                manifest.put_material(material);
            }
            if let Some(version) = compiler {
                let engine = Engine { name: "cargo".to_owned(), version };
                manifest.engines.insert("binaries".to_owned(), engine);
            }
            Ok(())
        })?;
        Ok(Outcome::Done(format!("{} static binaries", outputs.len())))
    }
}

/// One executable for one architecture.
#[derive(Debug)]
pub(super) struct Output<'a> {
    /// What `release.toml` says of it.
    pub(super) binary: &'a Binary,
    /// What it is built for.
    pub(super) target: Target,
    /// The compiler.
    pub(super) toolchain: Toolchain,
}

/// Every executable of the product, for every architecture that was asked for.
pub(super) fn outputs(run: &Run) -> Result<Vec<Output<'_>>> {
    let toolchain = Toolchain::detect(run.workspace.root())?;
    let mut outputs = Vec::new();
    for architecture in &run.options.architectures {
        let target = toolchain.target(*architecture)?;
        outputs.extend(run.workspace.product().binaries.iter().map(|binary| Output {
            binary,
            target,
            toolchain: toolchain.clone(),
        }));
    }
    Ok(outputs)
}

/// The executable `name` for `architecture`.
pub(super) fn output<'a>(
    run: &'a Run,
    name: &str,
    architecture: Architecture,
) -> Result<Output<'a>> {
    let binary = run.workspace.product().binary(name)?;
    let toolchain = Toolchain::detect(run.workspace.root())?;
    Ok(Output { binary, target: toolchain.target(architecture)?, toolchain })
}

impl Output<'_> {
    /// Where it lies, relative to the root.
    pub(super) fn path_in_plan(&self) -> PathBuf {
        build::output(Path::new(FOLDER), self.target, &self.binary.name)
    }

    fn folders(run: &Run) -> Result<Folders> {
        let root = run.workspace.root();
        Folders::new(root, root.join(FOLDER))
    }

    fn command(&self, run: &Run) -> Result<Command> {
        let Binary { package, name, .. } = self.binary;
        let identity = identity(run);
        build::command(&Self::folders(run)?, &self.toolchain, self.target, &identity, package, name)
    }

    /// The path of the finished binary, which was held against what a delivery promises.
    ///
    /// # Errors
    /// When it is not there, is of another version, or fails the check.
    pub(super) fn verified(&self, run: &Run) -> Result<PathBuf> {
        let path = run.workspace.root().join(self.path_in_plan());
        if !path.exists() {
            bail!("{} is not built: run `cargo xtask build`", self.path_in_plan().display());
        }
        let version = identity(run).long_version()?;
        let folders = Self::folders(run)?.private(&self.toolchain);
        let expected = elf::Expected {
            architecture: self.target.architecture,
            version: &version,
            folders: &folders,
        };
        let faults = elf::check_file(&path, &expected)?;
        if faults.is_empty() {
            return Ok(path);
        }
        let faults: Vec<_> = faults.iter().map(|fault| format!("  {fault}")).collect();
        bail!(
            "{} can't be delivered:\n{}\n(wanted: version {version})",
            self.path_in_plan().display(),
            faults.join("\n")
        )
    }
}

fn identity(run: &Run) -> Identity<'_> {
    Identity {
        version: run.version().text(),
        commit: run.workspace.commit(),
        epoch: run.workspace.epoch(),
    }
}

/// Everything that decides the bytes of the binaries (SLSA provenance v1, `resolvedDependencies`).
fn materials(run: &Run, log: &StepLog, outputs: &[Output<'_>]) -> Result<Vec<Material>> {
    let root = run.workspace.root();
    let commit = run.workspace.commit();
    let (lock, _) = checksum::sha256(&root.join("Cargo.lock"))?;
    let source = &run.workspace.product().product.source;
    let mut materials = vec![
        material(format!("git+{source}@{commit}"), "gitCommit", commit),
        material("file:Cargo.lock".to_owned(), "sha256", &lock),
    ];
    for output in outputs {
        let Toolchain { version, commit, .. } = &output.toolchain;
        materials.push(material(format!("pkg:generic/rustc@{version}"), "gitCommit", commit));
        if output.target.libc == Libc::Glibc {
            // It goes into the binary, and it is the build machine's.
            let printed = run.capture(log, &run.command("cc").arg("-print-file-name=libc.a"))?;
            let path = String::from_utf8(printed).context("the path of libc.a is no UTF-8")?;
            let (sha256, _) = checksum::sha256(Path::new(path.trim_end()))?;
            let version = run.capture(log, &run.command("getconf").arg("GNU_LIBC_VERSION"))?;
            let version = String::from_utf8_lossy(&version);
            let version = version.trim().trim_start_matches("glibc ");
            materials.push(material(format!("pkg:generic/glibc@{version}"), "sha256", &sha256));
        }
    }
    materials.sort();
    materials.dedup();
    Ok(materials)
}

/// One input by its URI, with one digest.
pub(super) fn material(uri: String, algorithm: &str, digest: &str) -> Material {
    Material { uri, digest: BTreeMap::from([(algorithm.to_owned(), digest.to_owned())]) }
}
