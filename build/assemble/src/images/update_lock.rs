// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Updates the lock of image packages to the mirror's current versions.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use debian::apt::{self, Apt, Candidate};
use debian::copyright;
use debian::lock::{Lock, Locked, NO_LICENSE, TEST_ARTIFACTS};
use engine::workspace::{ImageBase, names};
use engine::{Description, Input, Outcome, Plan, Run, Step, StepLog};
use foundation::atomic;
use release::Architecture;
use sbom::license;

use super::packages;

/// `cargo xtask images --update-lock`.
pub struct UpdateLock;

impl Step for UpdateLock {
    fn describe(&self) -> Description {
        Description::step(
            "update-lock",
            "lock the packages of the tool images to the versions on the mirror",
        )
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new()
            .native("resolve the packages of each base and image on the host's mirror")
            .native("read the licences in their copyright files")
            .reads(Input::Path("release.toml".into()));
        let bases = &run.workspace.product().bases;
        Ok(bases.iter().fold(plan, |plan, base| {
            plan.native(format!("write {}", base.lock.display())).writes(base.lock.clone())
        }))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let mut count = 0;
        for base in &run.workspace.product().bases {
            let lock = resolve(run, log, base)?;
            count += lock.packages.len();
            let path = run.workspace.root().join(&base.lock);
            atomic::write(&path, lock.to_text().as_bytes())?;
        }
        Ok(Outcome::Done(format!("{count} packages")))
    }
}

/// The new lock of `base`. All architectures are resolved from the same state of the mirror.
fn resolve(run: &Run, log: &StepLog, base: &ImageBase) -> Result<Lock> {
    let mut epoch = 0;
    let mut packages = Vec::new();
    for architecture in [Architecture::Amd64, Architecture::Arm64] {
        let apt = packages::apt(run, log, &base.suite, architecture)?;
        epoch = apt.index_date(&base.suite)?.max(epoch);
        packages.extend(resolve_for(run, log, base, architecture, &apt)?);
    }
    let licenses = licenses(run, log, &base.suite, &packages)?;
    Ok(Lock { suite: base.suite.clone(), epoch, packages, licenses })
}

/// Licences of `packages` by label, from their copyright files.
fn licenses(
    run: &Run,
    log: &StepLog,
    suite: &str,
    packages: &[Locked],
) -> Result<BTreeMap<String, String>> {
    let mut licenses = BTreeMap::new();
    for architecture in [Architecture::Amd64, Architecture::Arm64] {
        let of: BTreeMap<&str, &Locked> = packages
            .iter()
            .filter(|it| it.image == architecture)
            .map(|it| (it.name.as_str(), it))
            .collect();
        let locked: Vec<&Locked> = of.into_values().collect();
        let files = packages::fetch(run, log, suite, architecture, &locked)?;
        let mut copyrights = BTreeMap::new();
        for (package, file) in locked.iter().zip(&files) {
            let tar = run.attempt_machine(log, &copyright::files_command(file))?.success()?;
            let found = copyright::find(tar.as_slice(), &package.name)
                .with_context(|| format!("cannot read {}", file.display()))?;
            copyrights.extend(found.map(|it| (package.name.clone(), it)));
        }
        for package in locked {
            let text = copyright::text(&copyrights, &package.name);
            let license = text.and_then(license::read_expression);
            licenses.insert(package.label(), license.unwrap_or_else(|| NO_LICENSE.to_owned()));
        }
    }
    Ok(licenses)
}

fn resolve_for(
    run: &Run,
    log: &StepLog,
    base: &ImageBase,
    architecture: Architecture,
    apt: &Apt,
) -> Result<Vec<Locked>> {
    let dump = run.attempt_machine(log, &apt.dump())?.success()?;
    let essential = apt::parse_essential(&String::from_utf8_lossy(&dump));
    let resolve = |names: &BTreeSet<String>| -> Result<BTreeSet<Candidate>> {
        let printed = run.capture(log, &apt.resolve(names))?;
        apt::candidates(&String::from_utf8_lossy(&printed))
    };
    let mut essential = essential;
    essential.extend(names(&base.packages, architecture));
    let of_base = resolve(&essential).with_context(|| format!("base {:?}", base.name))?;
    let mut sets = BTreeMap::new();
    let product = run.workspace.product();
    for image in product.images.iter().filter(|image| image.base == base.name) {
        let mut names = essential.clone();
        names.extend(image.packages_for(architecture).map(str::to_owned));
        let candidates = resolve(&names).with_context(|| format!("image {:?}", image.name))?;
        sets.insert(image.name.clone(), candidates);
    }
    if let Some(tests) = &run.workspace.product().test_artifacts
        && tests.base == base.name
    {
        let names: BTreeSet<_> = tests.packages_for(architecture).map(str::to_owned).collect();
        let candidates = resolve(&names).context("test artifacts")?;
        let taken = candidates.into_iter().filter(|it| it.is_of(&names)).collect();
        sets.insert(TEST_ARTIFACTS.to_owned(), taken);
    }
    for iso in product
        .iso
        .iter()
        .filter(|iso| product.image(&iso.image).is_ok_and(|it| it.base == base.name))
    {
        // Boot loaders are unpacked, not installed, so their dependencies are not needed.
        let wanted = names(&iso.packages, architecture);
        let candidates = resolve(&essential.union(&wanted).cloned().collect())?;
        let picked = candidates.into_iter().filter(|it| wanted.contains(it.name())).collect();
        sets.insert(iso.name.clone(), picked);
    }
    Ok(apt::lock(architecture, &of_base, &sets))
}
