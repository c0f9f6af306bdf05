// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks systemd units, including those that Quadlet generates from our containers.
//!
//! `systemd-analyze verify` exits with 0 on a line that it cannot parse, so any message about our
//! units is a finding. It checks copies in which programs that are missing on this host are
//! replaced by existing ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use engine::{Run, StepLog};
use foundation::command::Command;
use foundation::finding::Finding;
use foundation::{atomic, source, tree};
use rules::unit;

/// Podman's unit generator.
pub(super) const QUADLET: &str = "quadlet";

/// Whether there are files for [`QUADLET`].
pub(super) fn has_containers(run: &Run) -> bool {
    files(run).is_ok_and(|files| files.iter().any(|file| unit::is_quadlet(&file.path)))
}

/// The commands for the existing files; empty without files.
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

/// Number of units, and findings.
pub(super) fn check(run: &Run, log: &StepLog) -> Result<(usize, Vec<Finding>)> {
    let files = files(run)?;
    let folder = folder(run);
    for old in [&folder, &containers(run)] {
        tree::remove(old)?;
    }
    // By file name, as systemd identifies units.
    let mut sources = BTreeMap::new();
    for file in &files {
        let place = if unit::is_unit(&file.path) { &folder } else { &containers(run) };
        let text = unit::with_stand_ins(&file.text, |program| Path::new(program).exists());
        atomic::write(&place.join(name(&file.path)), text.as_bytes())?;
        let checked = unit::checked_name(name(&file.path));
        if checked != name(&file.path) {
            // Other units may refer to the template, so its file has to exist too.
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
        // Units of a real instance are missing too, which makes some versions of systemd exit with
        // 1.
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

/// Runs Quadlet to generate units of the containers, beside the copies of our units.
fn generate(
    run: &Run,
    log: &StepLog,
    files: &[source::File],
    sources: &mut BTreeMap<String, String>,
) -> Result<Vec<Finding>> {
    let finished = run.attempt(log, &quadlet(run))?;
    let stderr = finished.stderr().to_owned();
    let output = String::from_utf8_lossy(finished.stdout()).into_owned();
    for (unit, text) in unit::parse_generated(&output) {
        let stem = unit.rsplit_once('.').map_or(unit.as_str(), |(stem, _)| stem);
        let of = sources.iter().find(|(name, _)| {
            unit::is_quadlet(name) && name.rsplit_once('.').is_some_and(|it| it.0 == stem)
        });
        let source = of.map_or_else(|| unit.clone(), |(_, path)| path.clone());
        let text = unit::with_stand_ins(&text, |program| Path::new(program).exists());
        atomic::write(&folder(run).join(&unit), text.as_bytes())?;
        sources.insert(unit, source);
    }
    // It exits with 1 on an unknown key, and with 0 on other faults.
    let findings = unit::quadlet_findings(&stderr, files);
    if findings.is_empty() {
        finished.success()?;
    }
    Ok(findings)
}

/// Units, Quadlet files, and Quadlet drop-ins.
fn files(run: &Run) -> Result<Vec<source::File>> {
    run.workspace.texts(|path| {
        (unit::is_unit(path) || unit::is_quadlet(path) || unit::is_quadlet_drop_in(path))
            && !source::is_test_data(path)
    })
}

/// The file name; for a drop-in, with its folder.
fn name(path: &str) -> &str {
    let parts = if unit::is_quadlet_drop_in(path) { 2 } else { 1 };
    path.rmatch_indices('/')
        .nth(parts - 1)
        .and_then(|(slash, _)| path.get(slash + 1..))
        .unwrap_or(path)
}

/// Folder of the copies for systemd.
fn folder(run: &Run) -> PathBuf {
    run.workspace.scratch().join("units/systemd")
}

/// Folder of the copies for Quadlet.
fn containers(run: &Run) -> PathBuf {
    run.workspace.scratch().join("units/quadlet")
}

fn verify(run: &Run, units: impl Iterator<Item = String>) -> Command {
    let folder = folder(run);
    // The trailing colon adds the host's default folders.
    let path = format!("{}:", folder.display());
    run.command("systemd-analyze")
        .env("SYSTEMD_UNIT_PATH", path)
        .args(["verify", "--man=no"])
        .args(units.map(|unit| folder.join(unit)))
}

fn quadlet(run: &Run) -> Command {
    run.command(QUADLET).env("QUADLET_UNIT_DIRS", containers(run)).arg("--dryrun")
}
