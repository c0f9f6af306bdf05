// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Live ISO by our own code: the maintenance OS's image as squashfs root with dm-verity hash tree,
//! kernel, initial RAM disk and boot loaders.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use debian::lock::Lock;
use engine::{Plan, Run, StepLog};
use foundation::command::Command;
use foundation::tree::remove;
use foundation::{atomic, checksum, file};
use media::flatten;
use media::live::{parts, tree};
use oci::{Digest, Layout};

use super::Work;
use crate::images::packages;

/// Part of the key; changes when ISOs are built differently from the same inputs.
const RECIPE: &str = "2";

/// Required programs.
pub(super) const TOOLS: [&str; 6] =
    ["dpkg-deb", "mcopy", "mkfs.vfat", "mmd", "mksquashfs", "veritysetup"];

/// Adds the actions of [`make`] to `plan`.
pub(super) fn plan(run: &Run, work: &Work<'_>, plan: Plan) -> Plan {
    let plan = plan.native(format!("unpack the image {} to a tar file", work.declared.image));
    commands(run, work).into_iter().fold(plan, Plan::command)
}

/// Builds the ISO, unless it is cached.
pub(super) fn make(run: &Run, log: &StepLog, work: &Work<'_>) -> Result<PathBuf> {
    let image = work.image(run)?;
    let lock = Lock::read(&run.workspace.root().join(&work.base.lock))?;
    let boot = lock.set(work.architecture, &work.declared.name)?;
    let boot = packages::fetch(run, log, &work.base.suite, work.architecture, &boot)?;
    let iso = work.folder.join("live.iso");
    let key_file = work.folder.join("live.key");
    let key = key(work, run, &image.digest, &boot)?;
    if fs::read_to_string(&key_file).is_ok_and(|known| known == key) {
        log.note("unchanged, cached");
        return Ok(iso);
    }
    remove(&work.folder)?;
    file::create_folder(&work.folder)?;
    let layout = Layout::open(run.dist().join(&image.layout))?;
    let (kernel, initramfs) = unpack(work, &layout)?;
    for package in &boot {
        run.exec(log, &parts::unpack(package, &work.folder.join("boot")))?;
    }
    let mut root_hash = String::new();
    for command in commands(run, work) {
        if command.program == "veritysetup" {
            let printed = run.capture(log, &command)?;
            root_hash = parts::root_hash(&String::from_utf8_lossy(&printed))?;
        } else {
            run.exec(log, &command)?;
        }
    }
    let image = tree::image(&tree::Parts {
        architecture: work.architecture,
        kernel,
        initramfs,
        root: work.folder.join("root.squashfs"),
        verity: work.folder.join("root.verity"),
        root_hash,
        esp: work.folder.join("esp.img"),
        boot: work.folder.join("boot"),
        description: run.workspace.root().join(&work.declared.description),
        label: &work.declared.label,
        version: run.version().text(),
        epoch: work.epoch,
    })?;
    image.write_to_file(&iso)?;
    // At least as large as the ISO and no longer needed.
    for name in ["root.tar", "root.squashfs"] {
        remove(&work.folder.join(name))?;
    }
    atomic::write(&key_file, key.as_bytes())?;
    Ok(iso)
}

/// The commands from the root's tar file to the ISO.
fn commands(run: &Run, work: &Work<'_>) -> Vec<Command> {
    let folder = &work.folder;
    let root = folder.join("root.squashfs");
    let mut commands = vec![
        parts::squash(&folder.join("root.tar"), &root, work.epoch),
        parts::verity(&root, &folder.join("root.verity")),
    ];
    let esp = folder.join("esp.img");
    let boot = folder.join("boot");
    let configuration = run.workspace.root().join(&work.declared.description).join("esp.cfg");
    commands.extend(parts::esp(&boot, &configuration, work.architecture, work.epoch, &esp));
    commands
}

/// Writes the image's root to `root.tar`, and kernel and initial RAM disk to separate files.
fn unpack(work: &Work<'_>, layout: &Layout) -> Result<(PathBuf, PathBuf)> {
    let tar = work.folder.join("root.tar");
    let file = File::create(&tar).with_context(|| format!("cannot write {}", tar.display()))?;
    // bootc's location: usr/lib/modules/VERSION/.
    let wanted = |path: &str| {
        let rest = path.strip_prefix("usr/lib/modules/").and_then(|rest| rest.split_once('/'));
        rest.is_some_and(|(_, name)| matches!(name, "vmlinuz" | "initramfs.img"))
    };
    let platform = work.platform(layout)?;
    let found = flatten::flatten(layout, &platform.manifest, BufWriter::new(file), wanted)?;
    let take = |name: &str| -> Result<PathBuf> {
        let mut named = found.iter().filter(|(path, _)| path.ends_with(name));
        let (Some((_, bytes)), None) = (named.next(), named.next()) else {
            bail!("the image does not have exactly one usr/lib/modules/VERSION/{name}");
        };
        let path = work.folder.join(name);
        atomic::write(&path, bytes)?;
        Ok(path)
    };
    Ok((take("vmlinuz")?, take("initramfs.img")?))
}

/// Digest of all inputs of the ISO.
fn key(work: &Work<'_>, run: &Run, image: &str, boot: &[PathBuf]) -> Result<String> {
    let mut facts = vec![
        RECIPE.to_owned(),
        image.to_owned(),
        work.epoch.to_string(),
        work.declared.label.clone(),
        run.version().text().to_owned(),
        foundation::tree::digest(run.workspace.root(), [work.declared.description.as_path()])?,
    ];
    facts.extend(TOOLS.iter().map(|tool| run.tools.version(tool).unwrap_or_default()));
    for package in boot {
        facts.push(checksum::sha256(package)?.0);
    }
    Ok(Digest::sha256(facts.join("\n").as_bytes()).to_string())
}
