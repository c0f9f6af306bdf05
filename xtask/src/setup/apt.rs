// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The host's apt: package lists, cost of an installation, installation.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use debian::{apt, expired};
use engine::{Run, StepLog};
use foundation::command::Command;

/// `env` with root privileges.
pub(super) fn env_as_root(run: &Run) -> Command {
    if rustix::process::geteuid().is_root() {
        run.command("env")
    } else {
        run.command("sudo").args(["--non-interactive", "env"])
    }
}

/// `apt-get` with root privileges.
fn apt_get(run: &Run) -> Command {
    let variables = ["DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"];
    let command = env_as_root(run);
    // Waits for another installation, such as the host's own at boot.
    command.args(variables).args(["apt-get", "-o", "DPkg::Lock::Timeout=300"])
}

/// The command that updates the package lists.
pub(super) fn update_command(run: &Run) -> Command {
    apt_get(run).arg("update")
}

/// The command that installs `packages`, without recommended packages: they are four times as
/// large, useless here, and their version constraints have made apt fail.
pub(super) fn install_command(run: &Run, packages: &BTreeSet<&str>) -> Command {
    apt_get(run).args(["install", "--yes", "--no-install-recommends"]).args(packages)
}

/// Updates the package lists.
pub(super) fn update(run: &Run, log: &StepLog) -> Result<()> {
    run_checked(run, log, &update_command(run))
}

/// Runs an apt command; reports an expired index as the cause of its failure.
pub(super) fn run_checked(run: &Run, log: &StepLog, command: &Command) -> Result<()> {
    let finished = run.attempt(log, command)?;
    if finished.code() != Some(0)
        && let Some(text) = expired::explain(finished.stderr())
    {
        bail!(text);
    }
    finished.success()?;
    Ok(())
}

/// The host's sources, in the form of [`apt::suite_sources`] and [`apt::archive`], and its suite.
///
/// # Errors
/// When the host does not run Debian.
pub(super) fn host(run: &Run, log: &StepLog) -> Result<(String, String)> {
    let printed = run.capture(log, &apt::sources_command())?;
    Ok((String::from_utf8_lossy(&printed).into_owned(), apt::host_suite()?))
}

/// Cost of an installation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// Number of packages.
    pub(super) packages: usize,
    /// Download size in apt's form: `320 MB`.
    pub(super) download: String,
    /// Disk space in apt's form.
    pub(super) disk: String,
}

/// The cost of installing `packages`, if apt reports it.
pub(super) fn cost(run: &Run, log: &StepLog, packages: &BTreeSet<&str>) -> Result<Option<Cost>> {
    let command = run
        .command("env")
        .args(["LC_ALL=C", "apt-get", "install", "--yes", "--print-uris"])
        .arg("--no-install-recommends")
        .args(packages);
    let finished = run.attempt(log, &command)?;
    Ok((finished.code() == Some(0))
        .then(|| read_cost(&String::from_utf8_lossy(finished.stdout())))
        .flatten())
}

fn read_cost(printed: &str) -> Option<Cost> {
    let between = |start: &str, end: &str| {
        printed.lines().find_map(|line| Some(line.strip_prefix(start)?.split_once(end)?.0))
    };
    Some(Cost {
        packages: printed.lines().filter(|line| line.starts_with('\'')).count(),
        // `Need to get 1 MB/2 MB of archives.` where a part is cached.
        download: between("Need to get ", " of archives")?.split('/').next()?.to_owned(),
        disk: between("After this operation, ", " of additional disk")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_an_installation_takes() {
        let printed = "Reading package lists...\n\
            Need to get 320 MB/328 MB of archives.\n\
            After this operation, 1438 MB of additional disk space will be used.\n\
            'http://mirror.example/a_1_all.deb' a_1_all.deb 3 SHA256:00\n\
            'http://mirror.example/b_1_all.deb' b_1_all.deb 3 SHA256:00\n";
        let cost = read_cost(printed).unwrap();
        assert_eq!((cost.packages, cost.download.as_str()), (2, "320 MB"));
        assert_eq!(cost.disk, "1438 MB");
        assert_eq!(read_cost("E: Unable to locate package x\n"), None);
    }
}
