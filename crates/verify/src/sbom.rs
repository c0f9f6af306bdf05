// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Whether every binary, package and image has a bill of materials, and whether that is about it.
//!
//! `CycloneDX` 1.6, `metadata.component`: what the document describes, with its hashes. The SHA-256 there
//! must be that of a binary or image of the release, or of a file inside a package.

use std::collections::{BTreeMap, BTreeSet};

use release::{Artifact, ArtifactKind, Manifest, layout};
use serde::Deserialize;

use crate::files::Folder;
use crate::package;
use crate::report::{Check, Findings, Problem};

/// The little that is read; the document has many more fields.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    bom_format: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    component: Component,
}

#[derive(Deserialize)]
struct Component {
    name: String,
    #[serde(default)]
    hashes: Vec<Hash>,
}

#[derive(Deserialize)]
struct Hash {
    alg: String,
    content: String,
}

/// What can be described, and under which digests: its own, and those of the files in it.
struct Described<'a> {
    name: &'a str,
    digests: BTreeSet<String>,
}

/// Checks that each binary, package and image is described, by a document with its digest.
pub(crate) fn check(folder: &Folder, manifest: &Manifest, findings: &mut Findings) {
    let subjects = subjects(folder, manifest, findings);
    let mut covered = BTreeSet::new();
    for sbom in manifest.artifacts.iter().filter(|a| a.kind == ArtifactKind::Sbom) {
        let about = sbom.describes.as_deref().unwrap_or_default();
        let names = read(folder, sbom).and_then(|(name, sha256)| {
            let found = subjects.iter().filter(|subject| subject.digests.contains(&sha256));
            let names: Vec<_> = found.map(|subject| subject.name).collect();
            if names.is_empty() {
                return Err(Problem::Sbom(format!(
                    "it describes {name:?} with the SHA-256 {sha256}, which is not in the release"
                )));
            }
            if !names.contains(&about) && about != name {
                let names = names.join(", ");
                let text = format!("it describes {names}, release.json says {about:?}");
                return Err(Problem::Sbom(text));
            }
            Ok(names)
        });
        match names {
            Ok(names) => covered.extend(names),
            // To be named with what it should describe, where that is known.
            Err(problem) => {
                let known = subjects.iter().any(|subject| subject.name == about);
                let (name, check) =
                    if known { (about, Check::Sbom) } else { (&*sbom.path, Check::Content) };
                findings.fault(name, check, &sbom.path, problem);
            }
        }
    }
    for Described { name, .. } in subjects.iter().filter(|s| !covered.contains(s.name)) {
        let problem = Problem::Sbom("no bill of materials describes it".to_owned());
        findings.fault(name, Check::Sbom, layout::MANIFEST, problem);
    }
}

fn subjects<'a>(
    folder: &Folder,
    manifest: &'a Manifest,
    findings: &mut Findings,
) -> Vec<Described<'a>> {
    let images = manifest.images.iter().map(|image| Described {
        name: &image.repository,
        digests: image.digest.strip_prefix("sha256:").map(str::to_owned).into_iter().collect(),
    });
    let mut subjects: Vec<_> = images.collect();
    for artifact in &manifest.artifacts {
        let name = artifact.path.as_str();
        let mut digests = BTreeSet::from([artifact.sha256.clone()]);
        match artifact.kind {
            ArtifactKind::Binary => {}
            ArtifactKind::Package => match members(folder, name) {
                Ok(members) => digests.extend(members.into_keys()),
                Err(problem) => findings.fault(name, Check::Sbom, name, problem),
            },
            ArtifactKind::Checksums | ArtifactKind::Sbom | ArtifactKind::Debug => continue,
        }
        subjects.push(Described { name, digests });
    }
    subjects
}

fn members(folder: &Folder, path: &str) -> Result<BTreeMap<String, String>, Problem> {
    let archive = folder.open(path)?;
    package::members(archive)
        .map_err(|e| Problem::Sbom(format!("it cannot be opened to compare what is in it: {e}")))
}

/// Name and SHA-256 of what the document describes.
fn read(folder: &Folder, sbom: &Artifact) -> Result<(String, String), Problem> {
    let document: Document = serde_json::from_slice(&folder.read(&sbom.path)?)
        .map_err(|e| Problem::Sbom(format!("it is no CycloneDX document: {e}")))?;
    if document.bom_format != "CycloneDX" {
        let format = document.bom_format;
        return Err(Problem::Sbom(format!("it has the format {format:?}, expected CycloneDX")));
    }
    let Component { name, hashes } = document.metadata.component;
    let mut hashes = hashes.into_iter().filter(|hash| hash.alg == "SHA-256");
    match (hashes.next(), hashes.next()) {
        (Some(hash), None) => Ok((name, hash.content)),
        _ => Err(Problem::Sbom("its metadata.component has not one SHA-256".to_owned())),
    }
}
