// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Live ISO by osbuild's image-builder (which includes bootc-image-builder). It requires root, and
//! reads the image from the host's container storage.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use engine::workspace::LIVE_TYPE;
use engine::{Plan, Run, StepLog};
use foundation::command::Command;
use foundation::tree::remove;
use foundation::{atomic, file};
use media::live::contract;
use media::{flatten, platforms};
use oci::{Digest, Layout};
use release::Architecture;
use walkdir::WalkDir;

use super::Work;

pub(super) const PROGRAM: &str = "image-builder";

/// Required programs.
pub(super) const TOOLS: [&str; 3] = [PROGRAM, "podman", "skopeo"];

/// Adds the actions of [`make`] to `plan`.
pub(super) fn plan(run: &Run, work: &Work<'_>, plan: Plan) -> Plan {
    let plan =
        plan.native(format!("check the requirements of image-builder on {}", work.declared.image));
    commands(run, work).into_iter().fold(plan, Plan::command)
}

/// Builds the ISO, unless it is cached.
pub(super) fn make(run: &Run, log: &StepLog, work: &Work<'_>) -> Result<PathBuf> {
    let image = work.image(run)?;
    let iso = work.folder.join("live.iso");
    let key_file = work.folder.join("live.key");
    let version = TOOLS.map(|tool| run.tools.version(tool).unwrap_or_default()).join(" ");
    let key = format!("{version} {} {}", image.digest, work.epoch);
    let key = Digest::sha256(key.as_bytes()).to_string();
    if fs::read_to_string(&key_file).is_ok_and(|known| known == key) {
        log.note("unchanged, cached");
        return Ok(iso);
    }
    let layout = Layout::open(run.dist().join(&image.layout))?;
    let platform = work.platform(&layout)?;
    let files = RefCell::new(BTreeSet::new());
    flatten::flatten(&layout, &platform.manifest, std::io::sink(), |path| {
        files.borrow_mut().insert(path.to_owned());
        false
    })?;
    let lacks = contract::lacks(&files.into_inner(), work.architecture);
    ensure!(
        lacks.is_empty(),
        "image-builder cannot build a live ISO from {}, which lacks {}: see docs/maintenance-os.md, or use \
         --engine iso=native",
        work.declared.image,
        lacks.join(", ")
    );
    remove(&work.folder)?;
    file::create_folder(&work.folder)?;
    platforms::take_out(&layout, &platform, &part(work))?;
    let done = commands(run, work).iter().try_for_each(|command| run.exec(log, command));
    // The copy in the host's storage is no longer needed, even after a failure.
    let removed =
        run.exec(log, &run.command("podman").args(["image", "rm", &reference(run, work)]));
    done.and(removed)?;
    fs::rename(only_iso(&work.folder.join("output"))?, &iso)
        .with_context(|| format!("cannot write {}", iso.display()))?;
    atomic::write(&key_file, key.as_bytes())?;
    Ok(iso)
}

/// The commands from image to ISO.
fn commands(run: &Run, work: &Work<'_>) -> Vec<Command> {
    let mut layout = OsString::from("oci:");
    layout.push(part(work));
    let reference = reference(run, work);
    let store = format!("containers-storage:{reference}");
    let architecture = match work.architecture {
        Architecture::Amd64 => "x86_64",
        Architecture::Arm64 => "aarch64",
    };
    vec![
        run.command("skopeo").arg("copy").arg(layout).arg(store),
        run.command(PROGRAM)
            .args(["build", LIVE_TYPE, "--bootc-ref", &reference, "--arch", architecture])
            // Required although no disk image is built (osbuild/image-builder, issue 2474).
            .args(["--bootc-default-fs", "ext4"])
            // Without a seed, the ISO's identifiers are random.
            .args(["--seed", &work.epoch.to_string(), "--progress", "verbose", "--cache"])
            .arg(work.folder.join("cache"))
            .arg("--output-dir")
            .arg(work.folder.join("output")),
    ]
}

/// Temporary image name in the host's container storage.
fn reference(run: &Run, work: &Work<'_>) -> String {
    let (name, tag) = (&work.declared.image, run.version().text().replace('+', "_"));
    format!("localhost/{name}:{tag}-{}", work.architecture.oci())
}

/// Layout with the image of one architecture.
fn part(work: &Work<'_>) -> PathBuf {
    work.folder.join("image")
}

/// The only ISO in `folder`: its name depends on image-builder's version.
fn only_iso(folder: &Path) -> Result<PathBuf> {
    let mut isos = Vec::new();
    for entry in WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
        if entry.file_type().is_file() && entry.path().extension().is_some_and(|it| it == "iso") {
            isos.push(entry.into_path());
        }
    }
    match isos.pop() {
        Some(iso) if isos.is_empty() => Ok(iso),
        found => bail!(
            "image-builder wrote {} ISO images to {}, expected one",
            isos.len() + usize::from(found.is_some()),
            folder.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_iso_is_found_whatever_it_is_called_unless_there_are_several() {
        let folder = tempfile::tempdir().unwrap();
        let error = |folder: &Path| only_iso(folder).unwrap_err().to_string();
        assert!(error(folder.path()).contains("wrote 0 ISO images"));
        let path = folder.path().join("bootiso/install.iso");
        fs::create_dir(folder.path().join("bootiso")).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(only_iso(folder.path()).unwrap(), path);
        fs::write(folder.path().join("other.iso"), "").unwrap();
        assert!(error(folder.path()).contains("wrote 2 ISO images"));
    }
}
