// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Checks that every binary, package and image has its SBOMs.
//!
//! Each format names the described component and its SHA-256 in a different place; the digest must
//! be that of the file or image in the manifest.

use std::collections::{BTreeMap, BTreeSet};

use release::layout::{self, SbomFormat};
use release::{Artifact, ArtifactKind, Manifest};
use serde::Deserialize;

use crate::files::Folder;
use crate::report::{Check, Findings, Problem};

/// Checks that each binary, package and image is described in every required format, by documents
/// with its digest.
pub(crate) fn check(folder: &Folder, manifest: &Manifest, findings: &mut Findings) {
    let subjects = subjects(manifest);
    let mut described = BTreeSet::new();
    for sbom in manifest.artifacts.iter().filter(|a| a.kind == ArtifactKind::Sbom) {
        let about = sbom.describes.as_deref().unwrap_or_default();
        let Some(expected) = subjects.get(about) else {
            let text = format!("it describes {about:?}, which is no file or image of the release");
            findings.fault(&sbom.path, Check::Content, &sbom.path, Problem::Sbom(text));
            continue;
        };
        match document(folder, sbom, about, expected) {
            Ok(format) => drop(described.insert((about, format))),
            Err(problem) => findings.fault(about, Check::Sbom, &sbom.path, problem),
        }
    }
    for name in subjects.keys() {
        for format in
            SbomFormat::REQUIRED.into_iter().filter(|it| !described.contains(&(*name, *it)))
        {
            let text = format!("no {} SBOM describes it", format.title());
            findings.fault(name, Check::Sbom, layout::MANIFEST, Problem::Sbom(text));
        }
    }
}

/// The components that must be described, by name, with their SHA-256 in hex.
fn subjects(manifest: &Manifest) -> BTreeMap<&str, &str> {
    let images = manifest.images.iter().map(|image| {
        let digest = image.digest.strip_prefix("sha256:").unwrap_or_default();
        (image.repository.as_str(), digest)
    });
    let files = manifest.artifacts.iter().filter_map(|file| match file.kind {
        ArtifactKind::Binary | ArtifactKind::Package | ArtifactKind::Iso => {
            Some((file.path.as_str(), file.sha256.as_str()))
        }
        ArtifactKind::Checksums
        | ArtifactKind::Sbom
        | ArtifactKind::Debug
        | ArtifactKind::Documentation
        | ArtifactKind::Vex => None,
    });
    images.chain(files).collect()
}

/// The format of a document that is in its place and describes `expected`.
fn document(
    folder: &Folder,
    sbom: &Artifact,
    about: &str,
    expected: &str,
) -> Result<SbomFormat, Problem> {
    let fault = |text: String| Err(Problem::Sbom(text));
    let Some(format) = layout::sbom_format(&sbom.path) else {
        return fault("its name has no known SBOM format".to_owned());
    };
    if sbom.path != layout::sbom(about, format) {
        return fault(format!("that of {about:?} is {}", layout::sbom(about, format)));
    }
    let bytes = folder.read(&sbom.path)?;
    let found = match format {
        SbomFormat::CycloneDx => cyclonedx(&bytes),
        SbomFormat::Spdx => spdx(&bytes),
        SbomFormat::Spdx3 => spdx3(&bytes),
    };
    match found {
        Err(reason) => fault(format!("it is not a {} document: {reason}", format.title())),
        Ok(found) if found == expected => Ok(format),
        Ok(found) => fault(format!("it describes the SHA-256 {found}, {about} has {expected}")),
    }
}

/// `CycloneDX` 1.6: `metadata.component.hashes`.
fn cyclonedx(bytes: &[u8]) -> Result<String, String> {
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
        #[serde(default)]
        hashes: Vec<Hash>,
    }
    #[derive(Deserialize)]
    struct Hash {
        alg: String,
        content: String,
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if document.bom_format != "CycloneDX" {
        return Err(format!("its bomFormat is {:?}", document.bom_format));
    }
    let hashes = document.metadata.component.hashes.into_iter();
    take_only(hashes.filter(|hash| hash.alg == "SHA-256").map(|hash| hash.content))
}

/// SPDX 2.3: the package that the document DESCRIBES (sections 7.10 and 11).
fn spdx(bytes: &[u8]) -> Result<String, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Document {
        spdx_version: String,
        packages: Vec<Package>,
        relationships: Vec<Edge>,
    }
    #[derive(Deserialize)]
    struct Package {
        #[serde(rename = "SPDXID")]
        id: String,
        #[serde(default)]
        checksums: Vec<Checksum>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Checksum {
        algorithm: String,
        checksum_value: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Edge {
        spdx_element_id: String,
        relationship_type: String,
        related_spdx_element: String,
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if document.spdx_version != "SPDX-2.3" {
        return Err(format!("its spdxVersion is {:?}", document.spdx_version));
    }
    let describes = document.relationships.into_iter().filter(|it| {
        it.spdx_element_id == "SPDXRef-DOCUMENT" && it.relationship_type == "DESCRIBES"
    });
    let id = take_only(describes.map(|it| it.related_spdx_element))?;
    let subjects = document.packages.into_iter().filter(|package| package.id == id);
    let checksums = subjects.flat_map(|package| package.checksums);
    take_only(checksums.filter(|it| it.algorithm == "SHA256").map(|it| it.checksum_value))
}

/// SPDX 3.0.1: the root element of the one `software_Sbom`.
fn spdx3(bytes: &[u8]) -> Result<String, String> {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "@context")]
        context: String,
        #[serde(rename = "@graph")]
        graph: Vec<Node>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Node {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        spdx_id: String,
        #[serde(default)]
        root_element: Vec<String>,
        #[serde(default)]
        verified_using: Vec<Hash>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Hash {
        algorithm: String,
        hash_value: String,
    }
    let document: Document = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if document.context != "https://spdx.org/rdf/3.0.1/spdx-context.jsonld" {
        return Err(format!("its @context is {:?}", document.context));
    }
    let sboms = document.graph.iter().filter(|element| element.kind == "software_Sbom");
    let id = take_only(sboms.flat_map(|sbom| &sbom.root_element))?.clone();
    let subjects = document.graph.into_iter().filter(|element| element.spdx_id == id);
    let hashes = subjects.flat_map(|element| element.verified_using);
    take_only(hashes.filter(|it| it.algorithm == "sha256").map(|it| it.hash_value))
}

/// The one item, or the number of items: none is chosen of several.
fn take_only<T>(mut items: impl Iterator<Item = T>) -> Result<T, String> {
    match (items.next(), items.next()) {
        (Some(item), None) => Ok(item),
        (None, _) => Err("it names no SHA-256 of what it describes".to_owned()),
        (Some(_), Some(_)) => Err("it describes more than one thing".to_owned()),
    }
}
