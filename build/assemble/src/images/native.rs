// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Native programs for a foreign base: from the host's packages in the base's own lock.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use debian::copyright;
use debian::lock::{BASE, Lock, Locked};
use engine::workspace::ImageBase;
use engine::{Run, StepLog};
use foundation::{atomic, emulation};
use media::native::{self, Collector};
use oci::Digest;
use release::Architecture;

use super::packages;

/// A tar file of the native programs for the base `declared` for `architecture`. `None` if that is
/// the host's own, or if the host's packages are not available: QEMU then runs all programs.
pub(super) fn programs(
    run: &Run,
    log: &StepLog,
    declared: &ImageBase,
    lock: &Lock,
    architecture: Architecture,
) -> Result<Option<PathBuf>> {
    if emulation::emulator(architecture).is_none() {
        return Ok(None);
    }
    let host = emulation::host();
    let locked = match lock.set(host, BASE) {
        Ok(all) => all.into_iter().filter(|it| native::is_needed(&it.name)).collect::<Vec<_>>(),
        Err(error) => return Ok(note_missing(log, &error)),
    };
    let name = format!("{}.tar", Digest::sha256(key(lock.epoch, &locked).as_bytes()).hex());
    let path = run.workspace.scratch().join("native").join(name);
    if path.is_file() {
        return Ok(Some(path));
    }
    let files = match packages::fetch(run, log, &declared.suite, host, &locked) {
        Ok(files) => files,
        Err(error) => return Ok(note_missing(log, &error)),
    };
    atomic::write_with(&path, 0o644, |out| {
        let mut collector = Collector::new(host, lock.epoch, out);
        for (package, file) in locked.iter().zip(&files) {
            let tar = run.attempt_machine(log, &copyright::files_command(file))?.success()?;
            collector
                .package(&package.name, tar.as_slice())
                .with_context(|| format!("cannot read {}", file.display()))?;
        }
        collector.finish()?;
        Ok(())
    })?;
    Ok(Some(path))
}

/// Reports why programs are emulated.
fn note_missing(log: &StepLog, error: &anyhow::Error) -> Option<PathBuf> {
    log.note(&format!("no native programs, all are emulated: {error:#}"));
    None
}

/// All inputs of the tar file.
fn key(epoch: u64, locked: &[&Locked]) -> String {
    let packages = locked.iter().map(|it| format!("{} {}", it.name, it.sha256));
    let recipe = format!("{} {epoch}", native::RECIPE);
    std::iter::once(recipe).chain(packages).collect::<Vec<_>>().join("\n")
}
