// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads the files of a run and of a release.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use engine::graph::Report;
use engine::junit::{self, Case};
use release::{ArtifactKind, Manifest, layout};
use rules::coverage::{self, LineCoverage};
use walkdir::WalkDir;

use super::components::{self, Sbom};
use super::file::{Known, read, read_text, show_path};

/// The report of the last run, below the root.
const REPORT: &str = "target/xtask/report.json";
/// The folder of releases, below the root.
const DIST: &str = "target/dist";

/// Input of the page.
#[derive(Debug)]
pub(crate) struct Input {
    /// The last run.
    pub(crate) run: Known<Report>,
    /// Tests of the step `test`.
    pub(crate) tests: Known<Vec<Case>>,
    /// Coverage by crate, of the step `coverage`.
    pub(crate) coverage: Known<BTreeMap<String, LineCoverage>>,
    /// The release of the run's version.
    pub(crate) release: Known<Release>,
    /// The release before it in the same folder.
    pub(crate) previous: Option<Release>,
}

/// A release folder.
#[derive(Debug)]
pub(crate) struct Release {
    /// Its manifest.
    pub(crate) manifest: Manifest,
    /// Sizes of the blobs of its images, by repository.
    pub(crate) images: BTreeMap<String, u64>,
    /// Its SBOMs in the format `CycloneDX`, by the file or image that each describes.
    pub(crate) sboms: BTreeMap<String, Known<Sbom>>,
    /// Whether the manifest is signed.
    pub(crate) is_signed: bool,
}

impl Input {
    /// Reads the files of the workspace at `root`.
    pub(crate) fn read(root: &Path) -> Self {
        let run = read_run(root);
        let has = |step: &str| match &run {
            Ok(run) if run.steps.iter().any(|row| row.step == step) => Ok(()),
            Ok(run) => Err(format!("The pipeline {} has no step {step}.", run.pipeline)),
            Err(_) => Err("It is unknown which steps ran.".to_owned()),
        };
        let tests = has("test").and_then(|()| read_tests(root));
        let coverage = has("coverage").and_then(|()| read_coverage(root));
        let dist = root.join(DIST);
        let folder = dist.join(run.as_ref().map_or("latest", |run| run.version.as_str()));
        let release = read_release(root, &folder);
        let previous = release.as_ref().ok().and_then(|it| read_previous(root, &dist, it));
        Self { run, tests, coverage, release, previous }
    }
}

fn read_run(root: &Path) -> Known<Report> {
    let bytes = read(root, &root.join(REPORT), "run `cargo xtask validate` or another pipeline")?;
    serde_json::from_slice(&bytes).map_err(|error| {
        format!("{REPORT} is malformed or of another version of cargo xtask: {error}.")
    })
}

fn read_tests(root: &Path) -> Known<Vec<Case>> {
    let path = gates::test::JUNIT;
    let text = read_text(root, path, "install cargo-nextest with `cargo xtask setup`")?;
    let cases = junit::cases(&text);
    if cases.is_empty() { Err(format!("{path} names no test.")) } else { Ok(cases) }
}

fn read_coverage(root: &Path) -> Known<BTreeMap<String, LineCoverage>> {
    let lcov = read_text(root, gates::coverage::LCOV, "run `cargo xtask coverage`")?;
    let mut crates: BTreeMap<String, LineCoverage> = BTreeMap::new();
    for (file, share) in coverage::totals(&lcov, &root.display().to_string()) {
        let name = file.split_once("/src/").map_or(file.as_str(), |(folder, _)| folder);
        let sum = crates.entry(name.to_owned()).or_default();
        sum.lines += share.lines;
        sum.reached += share.reached;
    }
    Ok(crates)
}

/// Reads the release in `folder`.
fn read_release(root: &Path, folder: &Path) -> Known<Release> {
    let path = folder.join(layout::MANIFEST);
    let bytes = read(root, &path, "run `cargo xtask release --snapshot` or `cargo xtask dist`")?;
    let manifest = Manifest::parse(&bytes)
        .map_err(|error| format!("{} is malformed: {error}.", show_path(root, &path)))?;
    let images = manifest.images.iter().map(|image| {
        let blobs = folder.join(&image.layout).join("blobs");
        (image.repository.clone(), size(&blobs))
    });
    let sboms = manifest.artifacts.iter().filter_map(|it| {
        let is_read = it.kind == ArtifactKind::Sbom
            && layout::sbom_format(&it.path) == Some(layout::SbomFormat::CycloneDx);
        let subject = it.describes.clone().filter(|_| is_read)?;
        let name =
            it.architecture.map_or(subject.clone(), |it| format!("{subject} ({})", it.oci()));
        Some((name, components::read(root, &folder.join(&it.path))))
    });
    Ok(Release {
        images: images.collect(),
        sboms: sboms.collect(),
        is_signed: folder.join(layout::signature(layout::MANIFEST)).exists(),
        manifest,
    })
}

/// The newest release in `dist` that is older than `release`, by the time of its commit.
fn read_previous(root: &Path, dist: &Path, release: &Release) -> Option<Release> {
    let age = |manifest: &Manifest| (manifest.epoch, manifest.version.clone());
    let folders = fs::read_dir(dist).ok()?.filter_map(Result::ok);
    let folders = folders.filter(|it| it.file_type().is_ok_and(|it| it.is_dir()));
    let manifests = folders.filter_map(|entry| {
        let bytes = fs::read(entry.path().join(layout::MANIFEST)).ok()?;
        let manifest = Manifest::parse(&bytes).ok()?;
        Some((age(&manifest), entry.path()))
    });
    let older = manifests.filter(|(other, _)| *other < age(&release.manifest));
    let (_, folder): (_, PathBuf) = older.max()?;
    read_release(root, &folder).ok()
}

/// Total size of the files below `folder`.
fn size(folder: &Path) -> u64 {
    let entries = WalkDir::new(folder).into_iter().filter_map(Result::ok);
    let files = entries.filter(|it| it.file_type().is_file());
    files.filter_map(|it| it.metadata().ok()).map(|it| it.len()).sum()
}
