// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Package files: downloaded from the host's mirror, checked against the lock, and cached.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use debian::apt::{self, Apt};
use debian::lock::Locked;
use engine::{Run, StepLog};
use foundation::tree::remove;
use foundation::{checksum, file};
use release::Architecture;

/// Fix for a mirror that no longer has a locked version.
const FIX: &str = "`cargo xtask images --update-lock` locks the mirror's current versions";

/// The files of `locked`, in that order, from the cache or the mirror.
///
/// # Errors
/// When the mirror cannot be reached, no longer has a version, or its file has another digest.
pub(crate) fn fetch(
    run: &Run,
    log: &StepLog,
    suite: &str,
    architecture: Architecture,
    locked: &[&Locked],
) -> Result<Vec<PathBuf>> {
    let cache = run.workspace.scratch().join("packages");
    let missing = find_missing(locked, &cache);
    if !missing.is_empty() {
        log.note(&format!("{} packages are not in the cache", missing.len()));
        download(run, log, suite, architecture, &missing, &cache)?;
    }
    Ok(locked.iter().map(|package| cache.join(file_name(package))).collect())
}

/// Packages that are not cached, deduplicated.
fn find_missing<'a>(locked: &[&'a Locked], cache: &Path) -> Vec<&'a Locked> {
    let is_there = |package: &Locked| cache.join(file_name(package)).is_file();
    let mut absent: Vec<_> = locked.iter().filter(|it| !is_there(it)).copied().collect();
    absent.sort_by(|a, b| a.sha256.cmp(&b.sha256));
    absent.dedup_by(|a, b| a.sha256 == b.sha256);
    absent
}

/// File name in cache and build context: contains the digest, so that it identifies the content.
fn file_name(package: &Locked) -> String {
    format!("{}_{}.deb", package.name, package.sha256)
}

/// apt for `suite` with the host's mirrors and an updated index.
pub(super) fn apt(
    run: &Run,
    log: &StepLog,
    suite: &str,
    architecture: Architecture,
) -> Result<Apt> {
    let printed = run.capture(log, &apt::sources_command())?;
    let host = apt::host_suite()?;
    let sources = apt::sources_list(&String::from_utf8_lossy(&printed), &host, suite)?;
    let folder =
        run.workspace.scratch().join("apt").join(format!("{suite}-{}", architecture.oci()));
    let apt = Apt::new(folder, architecture, &sources)?;
    run.exec(log, &apt.update()).context("cannot reach the package mirror")?;
    Ok(apt)
}

fn download(
    run: &Run,
    log: &StepLog,
    suite: &str,
    architecture: Architecture,
    missing: &[&Locked],
    cache: &Path,
) -> Result<()> {
    let apt = apt(run, log, suite, architecture)?;
    let printed = run.capture(log, &apt.versions(missing))?;
    let gone = apt::find_dropped(missing, &String::from_utf8_lossy(&printed));
    if !gone.is_empty() {
        let list: Vec<_> =
            gone.iter().map(|package| format!("  {} {}", package.name, package.version)).collect();
        bail!("the mirror no longer has these packages:\n{}\n{FIX}", list.join("\n"));
    }
    let folder = cache.join("part");
    remove(&folder)?;
    file::create_folder(&folder)?;
    run.exec(log, &apt.download(missing, &folder))?;

    let mut found = BTreeMap::new();
    for path in file::list(&folder)? {
        found.insert(checksum::sha256(&path)?.0, path);
    }
    for package in missing {
        let Some(path) = found.get(&package.sha256) else {
            bail!(
                "the mirror's file of {} {} does not match the SHA-256 in the lock; if you trust \
                 the mirror, {FIX}",
                package.name,
                package.version
            );
        };
        let target = cache.join(file_name(package));
        fs::rename(path, &target).with_context(|| format!("cannot write {}", target.display()))?;
    }
    remove(&folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_images_want_is_fetched_once_and_what_is_kept_not_at_all() {
        let cache = tempfile::tempdir().unwrap();
        let package = |name: &str| Locked {
            image: Architecture::Amd64,
            set: name.to_owned(),
            name: name.to_owned(),
            version: "1".to_owned(),
            architecture: "all".to_owned(),
            sha256: format!("digest of {name}"),
        };
        let (kept, wanted) = (package("kept"), package("wanted"));
        fs::write(cache.path().join(file_name(&kept)), "").unwrap();
        let names: Vec<_> = find_missing(&[&wanted, &kept, &wanted], cache.path())
            .into_iter()
            .map(|package| package.name.as_str())
            .collect();
        assert_eq!(names, ["wanted"]);
    }
}
