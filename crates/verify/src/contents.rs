// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Compares the files of a release with its manifest.

use release::{Artifact, ArtifactKind, Manifest, layout};

use crate::files::Folder;
use crate::report::{Check, Fault, Findings, Problem};
use crate::{manifest, sbom};

/// Differences between manifest and folder without signatures: files, checksums, SBOMs and images.
/// A signer checks this first.
pub fn contents(folder: &Folder, manifest: &Manifest) -> Vec<Fault> {
    let mut findings = Findings::without_key();
    files(folder, manifest, &mut findings);
    for image in &manifest.images {
        crate::layout::check(folder, image, &mut findings);
    }
    findings.into_report().faults
}

/// Checks the rules of the manifest, every artifact, `SHA256SUMS` and the SBOMs.
pub(crate) fn files(folder: &Folder, manifest: &Manifest, findings: &mut Findings) {
    for fault in manifest::faults(manifest) {
        let problem = Problem::Manifest(fault);
        findings.fault(layout::MANIFEST, Check::Content, layout::MANIFEST, problem);
    }
    let artifacts = manifest.artifacts.iter();
    folder.hash(&artifacts.map(|it| (it.path.clone(), it.size)).collect::<Vec<_>>());
    for artifact in &manifest.artifacts {
        let path = &artifact.path;
        findings.subject(path, kind(artifact.kind), checks(artifact.kind));
        if let Err(problem) = folder.expect(path, artifact.size, &artifact.sha256) {
            findings.fault(path, Check::Content, path, problem);
        }
    }
    checksums(folder, manifest, findings);
    sbom::check(folder, manifest, findings);
}

/// `SHA256SUMS` is derived from the manifest: a line for every other artifact, sorted by path, in
/// the format of coreutils (manual, "md5sum invocation"). Paths are plain, so nothing is escaped.
fn checksums(folder: &Folder, manifest: &Manifest, findings: &mut Findings) {
    let mut fault = |text: String| {
        let problem = Problem::Checksums(text);
        findings.fault(layout::CHECKSUMS, Check::Content, layout::CHECKSUMS, problem);
    };
    // A missing or unreadable file was reported with the other artifacts.
    let Ok(bytes) = folder.read(layout::CHECKSUMS) else { return };
    let text = String::from_utf8_lossy(&bytes);
    let expected = expected_checksums(&manifest.artifacts);
    if text == expected {
        return;
    }
    let (found, wanted): (Vec<_>, Vec<_>) = (text.lines().collect(), expected.lines().collect());
    for line in wanted.iter().filter(|line| !found.contains(line)) {
        fault(format!("it lacks the line {line:?}"));
    }
    for line in found.iter().filter(|line| !wanted.contains(line)) {
        fault(format!("it has the line {line:?}, which does not match release.json"));
    }
    if found.len() == wanted.len() && found.iter().all(|line| wanted.contains(line)) {
        fault("its lines are not sorted by path, or do not end with newlines".to_owned());
    }
}

fn expected_checksums(artifacts: &[Artifact]) -> String {
    let files = artifacts.iter().filter(|artifact| artifact.kind != ArtifactKind::Checksums);
    let mut files: Vec<_> = files.collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.iter().map(|artifact| format!("{}  {}\n", artifact.sha256, artifact.path)).collect()
}

fn kind(kind: ArtifactKind) -> &'static str {
    match kind {
        ArtifactKind::Binary => "binary",
        ArtifactKind::Package => "package",
        ArtifactKind::Checksums => "checksums",
        ArtifactKind::Sbom => "sbom",
        ArtifactKind::Debug => "debug",
        ArtifactKind::Documentation => "documentation",
        ArtifactKind::Iso => "iso",
        ArtifactKind::Vex => "vex",
    }
}

fn checks(kind: ArtifactKind) -> &'static [Check] {
    match kind {
        ArtifactKind::Binary | ArtifactKind::Package | ArtifactKind::Iso => {
            &[Check::Content, Check::Signature, Check::Provenance, Check::Sbom]
        }
        ArtifactKind::Checksums
        | ArtifactKind::Sbom
        | ArtifactKind::Debug
        | ArtifactKind::Documentation
        | ArtifactKind::Vex => &[Check::Content, Check::Signature, Check::Provenance],
    }
}
