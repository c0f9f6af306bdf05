// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks our SBOMs against syft: each package that syft finds in the same files and images has to
//! be in ours.

use anyhow::{Context as _, Result};
use assemble::sbom::scan;
use engine::{Argument, Description, Input, Need, Outcome, Plan, Run, Step, StepLog};
use foundation::file;
use foundation::finding::Finding;
use media::platforms;
use oci::Layout;
use release::layout::{self, SbomFormat};
use release::{ArtifactKind, Manifest};
use sbom::syft::{ListedComponents, SyftPackages};

/// `cargo xtask smoke sbom`.
pub struct SmokeSbom;

impl Step for SmokeSbom {
    fn describe(&self) -> Description {
        Description::step("smoke-sbom", "compare the SBOMs with the packages that syft finds")
            .arguments(&[Argument::Release])
    }

    fn needs(&self, _run: &Run) -> Vec<Need> {
        vec![Need::Tool("syft")]
    }

    fn plan(&self, run: &Run) -> Result<Plan> {
        let plan = Plan::new().reads(Input::Path(run.dist_in_plan()));
        let Ok(manifest) = run.manifest() else {
            return Ok(plan.native("scan all binaries and images in release.json"));
        };
        let files = files(&manifest).map(|path| scan::of_file(run, &run.dist().join(path)));
        let images = manifest.images.iter().flat_map(|image| {
            let parts = image.architectures.iter();
            parts.map(|it| scan::of_image(run, &image.repository, *it))
        });
        Ok(files.chain(images).fold(plan, Plan::command))
    }

    fn run(&self, run: &Run, log: &StepLog) -> Result<Outcome> {
        let manifest = run.manifest()?;
        let mut findings = Vec::new();
        let mut count = 0;
        for path in files(&manifest) {
            let found = scan::file(run, log, &run.dist().join(path))?;
            compare(run, log, path, &found, &mut findings)?;
            count += found.count();
        }
        for image in &manifest.images {
            let whole = Layout::open(run.dist().join(&image.layout))?;
            for platform in platforms::read(&whole)? {
                let found = scan::image(run, log, &image.repository, &whole, &platform)?;
                compare(run, log, &image.repository, &found, &mut findings)?;
                count += found.count();
            }
        }
        Ok(Outcome::of(findings, format!("all {count} packages found by syft are listed")))
    }
}

/// The binaries of a release. Packages contain the same binaries, and syft does not open packages.
fn files(manifest: &Manifest) -> impl Iterator<Item = &str> {
    let binaries = manifest.artifacts.iter().filter(|it| it.kind == ArtifactKind::Binary);
    binaries.map(|it| it.path.as_str())
}

/// Compares packages `found` in the file or image `name` with its SBOM.
fn compare(
    run: &Run,
    log: &StepLog,
    name: &str,
    found: &SyftPackages,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    let document = layout::sbom(name, SbomFormat::CycloneDx);
    let path = run.dist().join(&document);
    let bytes = file::read(&path)?;
    let listed = ListedComponents::parse(&bytes).with_context(|| path.display().to_string())?;
    log.note(&format!("{name}: syft finds {}, {} listed", found.count(), listed.count()));
    findings.extend(found.find_missing(&listed).into_iter().map(|package| {
        Finding::in_file(
            &document,
            "missing-package",
            format!("syft finds {package}, which is not in the SBOM"),
            "build the release again; if the finding stays, the package is neither a crate nor a \
             Debian package",
        )
    }));
    Ok(())
}
