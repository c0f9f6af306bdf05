// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reports the results of a run with their paths, and the command that verifies them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use engine::Run;
use engine::graph::Stage;
use foundation::text::{count, megabytes};
use publish::verify;
use release::{ArtifactKind, Manifest, layout};
use serde::Serialize;

/// Results of a pipeline.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    made: Vec<ReleaseOutput>,
    /// The command that verifies the results.
    #[serde(skip_serializing_if = "Option::is_none")]
    verify: Option<String>,
}

/// A result.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct ReleaseOutput {
    /// Path relative to the root.
    path: PathBuf,
    /// Description.
    what: String,
}

/// Intermediate binaries: not a result, the release contains the final ones.
const BUILD: &str = "target/xtask/binaries";
/// Reports and logs of a run.
const SCRATCH: &str = "target/xtask";
const LOGS: &str = "target/xtask/logs";

impl Results {
    /// Results of `stages`. After a failure there is no release; only reports are listed.
    pub(crate) fn of(stages: &[Stage], run: &Run, ended_well: bool) -> Self {
        let mut results = Self { made: Vec::new(), verify: None };
        if ended_well {
            let dist = run.dist_in_plan();
            let plans = stages.iter().filter_map(|it| Some((it.step, it.step.plan(run).ok()?)));
            let mut is_release = false;
            for (step, plan) in plans {
                for path in plan.writes {
                    is_release |= path.starts_with(&dist);
                    let is_result = !path.starts_with(&dist) && !path.starts_with(BUILD);
                    if is_result && run.workspace.root().join(&path).exists() {
                        results.put(path, format!("output of {}", step.name()));
                    }
                }
            }
            if let Some(manifest) = run.manifest().ok().filter(|_| is_release) {
                let folder = run.workspace.root().join(&dist);
                let mut made = of_release(&manifest, &dist, &folder);
                made.append(&mut results.made);
                results.made = made;
                results.verify = verification(run, &manifest, &dist, &folder);
            }
        }
        results.put(SCRATCH, "report.json, report.sarif, junit.xml".to_owned());
        results.put(LOGS, "log of each step".to_owned());
        results
    }

    fn put(&mut self, path: impl Into<PathBuf>, what: String) {
        self.made.push(ReleaseOutput { path: path.into(), what });
    }

    /// Text form.
    pub(crate) fn text(&self) -> String {
        let shown = |made: &ReleaseOutput| made.path.display().to_string();
        let width = self.made.iter().map(|it| shown(it).len()).max().unwrap_or(0);
        let mut out = String::from("\nResults:\n");
        for made in &self.made {
            out.push_str(&format!("  {:width$}  {}\n", shown(made), made.what));
        }
        if let Some(command) = &self.verify {
            out.push_str(&format!("\nVerify:\n  {command}\n"));
        }
        out
    }
}

/// Parts of a release: folders with a summary of their content.
fn of_release(manifest: &Manifest, dist: &Path, folder: &Path) -> Vec<ReleaseOutput> {
    let mut kinds: BTreeMap<PathBuf, (BTreeMap<&'static str, usize>, u64)> = BTreeMap::new();
    for artifact in &manifest.artifacts {
        let what = match artifact.kind {
            ArtifactKind::Binary => "binary",
            ArtifactKind::Package => "package",
            ArtifactKind::Checksums => layout::CHECKSUMS,
            ArtifactKind::Sbom => "SBOM",
            ArtifactKind::Debug => "debug file",
            ArtifactKind::Documentation => "book",
            ArtifactKind::Iso => "live ISO",
            ArtifactKind::Vex => "VEX document",
        };
        let inner = Path::new(&artifact.path).parent().unwrap_or(Path::new(""));
        let (counts, size) = kinds.entry(dist.join(inner)).or_default();
        *counts.entry(what).or_default() += 1;
        *size += artifact.size;
    }
    let title = format!("{} {}", manifest.product, manifest.version);
    let mut made = vec![ReleaseOutput { path: dist.to_owned(), what: title }];
    for (path, (counts, size)) in kinds {
        let counts = counts.into_iter().map(|(what, number)| match what {
            layout::CHECKSUMS => what.to_owned(),
            "binary" if number != 1 => format!("{number} binaries"),
            _ => count(number, what),
        });
        let counts: Vec<_> = counts.collect();
        made.push(ReleaseOutput {
            path,
            what: format!("{}, {}", counts.join(", "), megabytes(size)),
        });
    }
    if !manifest.images.is_empty() {
        let what = format!("{}, each an OCI layout", count(manifest.images.len(), "image"));
        made.push(ReleaseOutput { path: dist.join(layout::IMAGES), what });
    }
    for (name, what) in [
        (layout::SIGNATURES, "Sigstore bundles of every file and image"),
        (layout::PROVENANCE, "SLSA provenance of every file and image"),
        (layout::MANIFEST, "the release manifest"),
    ] {
        if folder.join(name).exists() {
            made.push(ReleaseOutput { path: dist.join(name), what: what.to_owned() });
        }
    }
    made
}

/// The command that verifies the release, by signatures if it is signed, else by checksums.
fn verification(run: &Run, manifest: &Manifest, dist: &Path, folder: &Path) -> Option<String> {
    if folder.join(layout::signature(layout::MANIFEST)).exists() {
        return Some(verify::by_hand(run, manifest, dist));
    }
    folder
        .join(layout::CHECKSUMS)
        .exists()
        .then(|| format!("(cd {} && sha256sum --check {})", dist.display(), layout::CHECKSUMS))
}
