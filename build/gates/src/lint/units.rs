// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! What systemd says of our units, and of those that Quadlet makes of our containers.
//!
//! `systemd-analyze verify` exits with 0 on a line that it can't read, so whatever it writes about
//! a unit of ours is a fault. It checks copies, in which a program that this machine lacks is
//! replaced by one that it has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::finding::Finding;
use foundation::{atomic, source, tree};
use rules::unit;

/// The program that makes units of containers.
pub(super) const QUADLET: &str = "quadlet";

/// Whether there is anything for [`QUADLET`].
pub(super) fn has_containers(run: &Run) -> bool {
    files(run).is_ok_and(|files| files.iter().any(|file| unit::is_quadlet(&file.path)))
}

/// The commands for what there is; none where there is nothing.
pub(super) fn commands(run: &Run) -> Result<Vec<Command>> {
    let files = files(run)?;
    let mut commands = Vec::new();
    if files.iter().any(|file| unit::is_quadlet(&file.path)) {
        commands.push(quadlet(run));
    }
    if !files.is_empty() {
        commands.push(verify(
            run,
            files
                .iter()
                .filter(|it| unit::is_unit(&it.path))
                .map(|it| unit::checked_name(name(&it.path))),
        ));
    }
    Ok(commands)
}

/// How many units there are, and what is wrong with them.
///
/// # Errors
/// When a program can't be run, or the copies can't be written.
pub(super) fn check(run: &Run, log: &StepLog) -> Result<(usize, Vec<Finding>)> {
    let files = files(run)?;
    let folder = folder(run);
    for old in [&folder, &containers(run)] {
        tree::remove(old)?;
    }
    // By file name: that is all that systemd knows of a unit.
    let mut sources = BTreeMap::new();
    for file in &files {
        let place = if unit::is_unit(&file.path) { &folder } else { &containers(run) };
        let text = unit::with_stand_ins(&file.text, |program| Path::new(program).exists());
        atomic::write(&place.join(name(&file.path)), text.as_bytes())?;
        let checked = unit::checked_name(name(&file.path));
        if checked != name(&file.path) {
            // Other units may name the template, so that its file is there as well.
            atomic::write(&place.join(&checked), text.as_bytes())?;
        }
        sources.insert(checked, file.path.clone());
    }
    let mut findings = Vec::new();
    if files.iter().any(|file| unit::is_quadlet(&file.path)) {
        findings.extend(generate(run, log, &files, &mut sources)?);
    }
    let units: Vec<_> = sources.keys().filter(|it| unit::is_unit(it)).cloned().collect();
    if !units.is_empty() {
        let finished = run.attempt(log, &verify(run, units.iter().cloned()))?;
        let found = unit::findings(finished.stderr(), |name| sources.get(name).cloned());
        // What only a real instance has is missing, too, and some versions of systemd then end with 1.
        let mut messages = finished.stderr().lines().filter(|it| !it.trim().is_empty()).peekable();
        let explained = messages.peek().is_some() && messages.all(unit::is_of_instance);
        if found.is_empty() && finished.code() != Some(0) && !explained {
            finished.success()?;
        }
        findings.extend(found);
    }
    findings.sort();
    findings.dedup();
    Ok((units.len(), findings))
}

/// Has Quadlet make units of the containers, beside the copies of ours.
fn generate(
    run: &Run,
    log: &StepLog,
    files: &[source::File],
    sources: &mut BTreeMap<String, String>,
) -> Result<Vec<Finding>> {
    let finished = run.attempt(log, &quadlet(run))?;
    let said = finished.stderr().to_owned();
    let output = String::from_utf8_lossy(finished.stdout()).into_owned();
    for (unit, text) in unit::generated(&output) {
        let stem = unit.rsplit_once('.').map_or(unit.as_str(), |(stem, _)| stem);
        let of = sources.iter().find(|(name, _)| {
            unit::is_quadlet(name) && name.rsplit_once('.').is_some_and(|it| it.0 == stem)
        });
        let source = of.map_or_else(|| unit.clone(), |(_, path)| path.clone());
        let text = unit::with_stand_ins(&text, |program| Path::new(program).exists());
        atomic::write(&folder(run).join(&unit), text.as_bytes())?;
        sources.insert(unit, source);
    }
    // It ends with 1 on a key that it does not know, and with 0 on other faults.
    let findings = unit::quadlet_findings(&said, files);
    if findings.is_empty() {
        finished.success()?;
    }
    Ok(findings)
}

/// Units, files that Quadlet makes units of, and its drop-ins.
fn files(run: &Run) -> Result<Vec<source::File>> {
    run.workspace.texts(|path| {
        (unit::is_unit(path) || unit::is_quadlet(path) || unit::is_quadlet_drop_in(path))
            && !source::is_test_data(path)
    })
}

/// The file name, for a drop-in with its folder.
fn name(path: &str) -> &str {
    let parts = if unit::is_quadlet_drop_in(path) { 2 } else { 1 };
    path.rmatch_indices('/')
        .nth(parts - 1)
        .and_then(|(slash, _)| path.get(slash + 1..))
        .unwrap_or(path)
}

/// The copies that systemd reads.
fn folder(run: &Run) -> PathBuf {
    run.workspace.scratch().join("units/systemd")
}

/// The copies that Quadlet reads.
fn containers(run: &Run) -> PathBuf {
    run.workspace.scratch().join("units/quadlet")
}

fn verify(run: &Run, units: impl Iterator<Item = String>) -> Command {
    let folder = folder(run);
    // The colon at the end stands for the machine's own folders.
    let path = format!("{}:", folder.display());
    run.command("systemd-analyze")
        .env("SYSTEMD_UNIT_PATH", path)
        .args(["verify", "--man=no"])
        .args(units.map(|unit| folder.join(unit)))
}

fn quadlet(run: &Run) -> Command {
    run.command(QUADLET).env("QUADLET_UNIT_DIRS", containers(run)).arg("--dryrun")
}
