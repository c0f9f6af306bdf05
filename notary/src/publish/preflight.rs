// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks before the first byte is sent: the clock, free tags, push rights and local disk space.
//!
//! OCI distribution has no request for the free space of a registry.

use std::cmp::Reverse;
use std::env;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use oci::client::Client;

use super::plan::Plan;
use super::planned::Content;
use super::progress::bytes;
use super::{parallel, tags};

/// Largest difference between the clocks of registry and host. Certificates and the expiry of
/// channels depend on it.
const CLOCK: Duration = Duration::from_mins(5);

/// Runs all checks. Returns the planned tags with their current targets.
///
/// # Errors
/// When one of them fails. Nothing was sent.
pub(super) fn check<'a>(client: &Client, plan: &'a Plan) -> Result<Vec<tags::Change<'a>>> {
    let date = client.ping().context("cannot use the registry")?;
    if let Some(date) = date {
        check_clock(client.host(), date, SystemTime::now())?;
    }
    let tags = tags::check(client, plan)?;
    check_space(plan, &env::temp_dir())?;
    check_rights(client, &tags)?;
    Ok(tags)
}

fn check_clock(host: &str, theirs: SystemTime, ours: SystemTime) -> Result<()> {
    let (difference, relation) = match theirs.duration_since(ours) {
        Ok(ahead) => (ahead, "behind"),
        Err(error) => (error.duration(), "ahead of"),
    };
    if difference <= CLOCK {
        return Ok(());
    }
    bail!(
        "the clock of this machine is {} {relation} that of {host}; nothing was pushed. Certificates \
         and the expiry of channels need the right time: set the clock, such as with `timedatectl \
         set-ntp true`, or have that of the registry set",
        humantime::format_duration(Duration::from_secs(difference.as_secs()))
    )
}

/// Checks the space for blobs of another registry, which are in temporary files while they are
/// sent. Files of a release folder are sent from where they are.
fn check_space(plan: &Plan, folder: &Path) -> Result<()> {
    let blobs = plan.repositories.iter().flat_map(|it| &it.blobs);
    let remote = blobs.filter(|it| matches!(it.content, Content::Remote(..)));
    let mut sizes: Vec<_> = remote.map(|it| (&it.digest, it.size)).collect();
    sizes.sort_by_key(|(digest, size)| (Reverse(*size), *digest));
    sizes.dedup();
    let largest = sizes.iter().take(parallel::LIMIT).map(|(_, size)| *size);
    let needed = largest.fold(0_u64, u64::saturating_add);
    if needed == 0 {
        return Ok(());
    }
    let count = sizes.len().min(parallel::LIMIT);
    ensure_free(folder, needed, || {
        format!("the {count} largest blobs, which are copied through it at the same time")
    })
}

/// Checks that the file system of `folder` has `needed` bytes free for `what`, a plural.
///
/// # Errors
/// When it has less.
pub(crate) fn ensure_free(folder: &Path, needed: u64, what: impl FnOnce() -> String) -> Result<()> {
    let context = || format!("cannot read the free space of {}", folder.display());
    let free = files::free_space(folder).with_context(context)?;
    if needed > free {
        bail!(
            "{} has {} free, and {} need {}; nothing was written or pushed. Make space there, or use a \
             folder of another file system (TMPDIR is that of temporary files)",
            folder.display(),
            bytes(free),
            what(),
            bytes(needed)
        );
    }
    Ok(())
}

/// Checks that the client may push to every repository whose tag changes. If no tag changes, an
/// earlier run has pushed everything.
fn check_rights(client: &Client, tags: &[tags::Change<'_>]) -> Result<()> {
    let mut repositories: Vec<_> =
        tags.iter().filter_map(tags::Change::pending_repository).collect();
    repositories.dedup();
    parallel::for_each(&repositories, |repository| {
        client.check_push(repository).with_context(|| {
            format!("cannot push to {}/{repository}; nothing was pushed", client.host())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_off_by_more_than_minutes_is_refused() {
        let ours = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        let check = |theirs| check_clock("r.example", theirs, ours);
        for near in [ours, ours + CLOCK, ours - CLOCK] {
            check(near).unwrap();
        }
        let hour = Duration::from_hours(1);
        let error = check(ours + hour).unwrap_err().to_string();
        assert!(error.contains("is 1h behind that of r.example"), "{error}");
        let error = check(ours - hour).unwrap_err().to_string();
        assert!(error.contains("is 1h ahead of that of r.example"), "{error}");
    }
}
