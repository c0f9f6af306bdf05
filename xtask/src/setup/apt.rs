// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! apt of the system: package lists, what an installation takes, and the installation.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use debian::{apt, expired};
use engine::{Run, StepLog};
use foundation::command::Command;

/// `apt-get` with the rights to change the system.
fn apt_get(run: &Run) -> Command {
    let variables = ["DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"];
    let command = if rustix::process::geteuid().is_root() {
        run.command("env")
    } else {
        run.command("sudo").args(["--non-interactive", "env"])
    };
    // Another installation, such as that of the machine itself at its start, ends in a while.
    command.args(variables).args(["apt-get", "-o", "DPkg::Lock::Timeout=300"])
}

/// The command that fetches the package lists.
pub(super) fn update_command(run: &Run) -> Command {
    apt_get(run).arg("update")
}

/// The command that installs `packages`. What Debian recommends beside them is four times as much as they
/// are, and of no use here; the versions that it needs have made apt give up.
pub(super) fn install_command(run: &Run, packages: &BTreeSet<&str>) -> Command {
    apt_get(run).args(["install", "--yes", "--no-install-recommends"]).args(packages)
}

/// Fetches the package lists.
///
/// # Errors
/// When a list can't be fetched, or is older than Debian allows.
pub(super) fn update(run: &Run, log: &StepLog) -> Result<()> {
    checked(run, log, &update_command(run))
}

/// Runs a command of apt's, and names an index that has expired as the cause of its failure.
///
/// # Errors
/// As [`Run::exec`].
pub(super) fn checked(run: &Run, log: &StepLog, command: &Command) -> Result<()> {
    let finished = run.attempt(log, command)?;
    if finished.code() != Some(0)
        && let Some(text) = expired::explain(finished.stderr())
    {
        bail!(text);
    }
    finished.success()?;
    Ok(())
}

/// The sources of the host, as [`apt::suite_sources`] and [`apt::archive`] read them, and its suite.
///
/// # Errors
/// When this is no system of Debian's.
pub(super) fn host(run: &Run, log: &StepLog) -> Result<(String, String)> {
    let printed = run.capture(log, &apt::sources_command())?;
    Ok((String::from_utf8_lossy(&printed).into_owned(), apt::host_suite()?))
}

/// What an installation takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// How many packages apt would install.
    pub(super) packages: usize,
    /// What apt would fetch, in its words: `320 MB`.
    pub(super) download: String,
    /// What they take on disk, in its words.
    pub(super) disk: String,
}

/// What installing `packages` takes, if apt can tell.
///
/// # Errors
/// When the run is stopped.
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
        // `Need to get 1 MB/2 MB of archives.` where a part is there already.
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
