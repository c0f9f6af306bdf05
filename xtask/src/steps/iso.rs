// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The live ISO: the maintenance OS's image as a compressed root, with a kernel, an initial RAM disk
//! and boot loaders. It runs from the medium and never installs itself.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};
use oci::{Digest, Layout};
use release::{Architecture, ArtifactKind, Engine, layout};

use super::images::{is_bound, megabytes, packages};
use super::maintenance::undeclared;
use super::package::{artifact, copy};
use super::{Finding, Input, Need, Outcome, Plan, Step, StepLog};
use crate::ops::command::Command;
use crate::ops::debian::lock::Lock;
use crate::ops::live::{installer, parts, tree};
use crate::ops::oci::{flatten, platforms};
use crate::ops::tree::remove;
use crate::ops::{atomic, checksum};
use crate::run::Run;
use crate::workspace::{ImageBase, Iso as Declared};

/// `cargo xtask iso`.
pub(crate) struct Iso;

/// A change of how ISOs are made from the same inputs: part of the cache's key.
const RECIPE: &str = "1";

/// The programs that make its parts.
const TOOLS: [&str; 6] = ["dpkg-deb", "mcopy", "mkfs.vfat", "mmd", "mksquashfs", "veritysetup"];

impl Step for Iso {
    fn name(&self) -> &'static str {
        "iso"
    }

    fn about(&self) -> &'static str {
        "make the live ISO of the maintenance OS"
    }

    fn needs(&self, run: &Run) -> Vec<Need> {
        if run.workspace.product().iso.is_none() {
            return Vec::new();
        }
        // The root as it is, compressed, and in the image.
        TOOLS.into_iter().map(Need::Tool).chain([Need::Space(1 << 30)]).collect()
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new().reads(Input::Path("release.toml".into())).reads(Input::Manifest);
        let mut plan = TOOLS.into_iter().fold(plan, |plan, tool| plan.reads(Input::Tool(tool)));
        for work in works(run)? {
            let target = run.dist_in_plan().join(work.path(run));
            plan = plan
                .reads(Input::Source(work.declared.description.clone()))
                .reads(Input::Path(work.base.lock.clone()))
                .native(format!("unpack the image {} to a tar file", work.declared.image));
            for command in work.commands() {
                plan = plan.command(command);
            }
            plan = plan.native(format!("write {}", target.display())).writes(target);
        }
        Ok(plan)
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        if run.workspace.product().iso.is_none() {
            return Ok(Outcome::Skipped(undeclared()));
        }
        let mut isos = Vec::new();
        let mut findings = Vec::new();
        let mut facts = Vec::new();
        for work in works(run)? {
            let path = work.path(run);
            copy(&work.made(run, log)?, &run.dist().join(&path), 0o644)?;
            let architecture = Some(work.architecture);
            let iso = artifact(&run.dist(), &path, ArtifactKind::Iso, architecture, None)?;
            let made = run.dist().join(&path);
            let made =
                File::open(&made).with_context(|| format!("cannot read {}", made.display()))?;
            findings.extend(installer::traces(made)?.into_iter().map(|trace| {
                Finding::in_file(
                    &path,
                    "iso-installs",
                    trace,
                    "a live ISO installs nothing: take out what does",
                )
            }));
            let (limit, field) = work.limit(run)?;
            let size = megabytes(iso.size);
            if iso.size > limit.saturating_mul(1_000_000) {
                findings.push(Finding::in_file(
                    "release.toml",
                    "iso-size",
                    format!("{path} takes {size}, {field} is {limit}"),
                    "take a package out of the maintenance OS, or raise the limit if every one of \
                     them is needed",
                ));
            }
            facts.push(format!("{path} {size}"));
            isos.push(iso);
        }
        run.update_manifest(|manifest| {
            for iso in isos {
                manifest.put_artifact(iso);
            }
            let version = env!("CARGO_PKG_VERSION").to_owned();
            let engine = Engine { name: "native".to_owned(), version };
            manifest.engines.insert("iso".to_owned(), engine);
            Ok(())
        })?;
        let fact = facts.join(", ");
        Ok(if findings.is_empty() { Outcome::Done(fact) } else { Outcome::Found(findings) })
    }
}

/// An ISO to be made.
struct Work<'a> {
    declared: &'a Declared,
    base: &'a ImageBase,
    architecture: Architecture,
    epoch: u64,
    /// Where it is put together.
    folder: PathBuf,
}

/// The ISOs to be made: one for each architecture.
fn works(run: &Run) -> Result<Vec<Work<'_>>> {
    let product = run.workspace.product();
    let Some(declared) = &product.iso else { return Ok(Vec::new()) };
    let engine = run.engine("iso")?;
    ensure!(engine == "native", "there is no engine {engine:?} for the ISO: expected native");
    let base = product.base(&product.image(&declared.image)?.base)?;
    let work = |architecture: &Architecture| Work {
        declared,
        base,
        architecture: *architecture,
        epoch: run.workspace.epoch(),
        folder: run.workspace.scratch().join("iso").join(architecture.oci()),
    };
    Ok(run.options.architectures.iter().map(work).collect())
}

impl Work<'_> {
    /// Where it lies in the release folder.
    fn path(&self, run: &Run) -> String {
        let (name, architecture) = (&self.declared.name, self.architecture.oci());
        format!("{}/{name}_v{}_{architecture}.iso", layout::ISO, run.version().text())
    }

    /// The most that it may take, and the field of `[iso]` that says so.
    fn limit(&self, run: &Run) -> Result<(u64, &'static str)> {
        let manifest = run.manifest()?;
        let image = manifest.images.iter().find(|image| image.repository == self.declared.image);
        let image = image.context("there is no image of the ISO")?;
        let layout = Layout::open(run.dist().join(&image.layout))?;
        for platform in platforms::of(&layout)? {
            if is_bound(&layout, &platform)? {
                return Ok((self.declared.bound_limit_mb, "bound_limit_mb"));
            }
        }
        Ok((self.declared.limit_mb, "limit_mb"))
    }

    /// The commands between the root as a tar file and the ISO.
    fn commands(&self) -> Vec<Command> {
        let folder = &self.folder;
        let root = folder.join("root.squashfs");
        let mut commands = vec![
            parts::squash(&folder.join("root.tar"), &root, self.epoch),
            parts::verity(&root, &folder.join("root.verity")),
        ];
        let esp = folder.join("esp.img");
        commands.extend(parts::esp(&folder.join("boot"), self.architecture, self.epoch, &esp));
        commands
    }

    /// The ISO, from the cache if nothing has changed.
    fn made(&self, run: &Run, log: &StepLog) -> Result<PathBuf> {
        let manifest = run.manifest()?;
        let image = manifest.images.iter().find(|image| image.repository == self.declared.image);
        let image = image.with_context(|| {
            format!(
                "there is no image {}: run `cargo xtask maintenance` first",
                self.declared.image
            )
        })?;
        let lock = Lock::read(&run.workspace.root().join(&self.base.lock))?;
        let boot = lock.set(self.architecture, &self.declared.name)?;
        let boot = packages::fetched(run, log, &self.base.suite, self.architecture, &boot)?;
        let iso = self.folder.join("live.iso");
        let key_file = self.folder.join("live.key");
        let key = self.key(run, &image.digest, &boot)?;
        if fs::read_to_string(&key_file).is_ok_and(|known| known == key) {
            log.note("nothing changed, taken from the cache");
            return Ok(iso);
        }
        remove(&self.folder)?;
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot make {}", self.folder.display()))?;
        let layout = Layout::open(run.dist().join(&image.layout))?;
        let (kernel, initramfs) = self.unpack(&layout)?;
        for package in &boot {
            run.exec(log, &parts::unpack(package, &self.folder.join("boot")))?;
        }
        let mut root_hash = String::new();
        for command in self.commands() {
            if command.program() == "veritysetup" {
                let printed = run.capture(log, &command)?;
                root_hash = parts::root_hash(&String::from_utf8_lossy(&printed))?;
            } else {
                run.exec(log, &command)?;
            }
        }
        let image = tree::image(&tree::Parts {
            architecture: self.architecture,
            kernel,
            initramfs,
            root: self.folder.join("root.squashfs"),
            verity: self.folder.join("root.verity"),
            root_hash,
            esp: self.folder.join("esp.img"),
            boot: self.folder.join("boot"),
            description: run.workspace.root().join(&self.declared.description),
            label: &self.declared.label,
            version: run.version().text(),
            epoch: self.epoch,
        })?;
        image.write_to_file(&iso)?;
        // As large as the ISO, or larger, and of no more use.
        for name in ["root.tar", "root.squashfs"] {
            remove(&self.folder.join(name))?;
        }
        atomic::write(&key_file, key.as_bytes())?;
        Ok(iso)
    }

    /// Writes the image's root to `root.tar`, and kernel and initial RAM disk to files of their own.
    fn unpack(&self, layout: &Layout) -> Result<(PathBuf, PathBuf)> {
        let tar = self.folder.join("root.tar");
        let file = File::create(&tar).with_context(|| format!("cannot write {}", tar.display()))?;
        // Where bootc looks for them: usr/lib/modules/VERSION/.
        let wanted = |path: &str| {
            let rest = path.strip_prefix("usr/lib/modules/").and_then(|rest| rest.split_once('/'));
            rest.is_some_and(|(_, name)| matches!(name, "vmlinuz" | "initramfs.img"))
        };
        let platform = platforms::of(layout)?
            .into_iter()
            .find(|platform| platform.architecture == self.architecture)
            .with_context(|| {
                format!("{} is not made for {}", self.declared.image, self.architecture.oci())
            })?;
        let found = flatten::flatten(layout, &platform.manifest, BufWriter::new(file), wanted)?;
        let take = |name: &str| -> Result<PathBuf> {
            let mut named = found.iter().filter(|(path, _)| path.ends_with(name));
            let (Some((_, bytes)), None) = (named.next(), named.next()) else {
                bail!("the image has not one usr/lib/modules/VERSION/{name}");
            };
            let path = self.folder.join(name);
            atomic::write(&path, bytes)?;
            Ok(path)
        };
        Ok((take("vmlinuz")?, take("initramfs.img")?))
    }

    /// Everything that decides the ISO, as one digest.
    fn key(&self, run: &Run, image: &str, boot: &[PathBuf]) -> Result<String> {
        let mut facts = vec![
            RECIPE.to_owned(),
            image.to_owned(),
            self.epoch.to_string(),
            self.declared.label.clone(),
            run.version().text().to_owned(),
            crate::ops::tree::digest(run.workspace.root(), [self.declared.description.as_path()])?,
        ];
        facts.extend(TOOLS.iter().map(|tool| run.tools.version(tool).unwrap_or_default()));
        for package in boot {
            facts.push(checksum::sha256(package)?.0);
        }
        Ok(Digest::sha256(facts.join("\n").as_bytes()).to_string())
    }
}
