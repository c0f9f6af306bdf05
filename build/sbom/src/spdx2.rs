// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writer of SPDX 2.3 JSON, limited to the parts that our documents use.
//!
//! The format has no field for completeness. A component without dependencies states `DEPENDS_ON
//! NONE` (section 11), so that a missing statement does not mean unknown; the document comment
//! explains it.

use anyhow::Result;
use foundation::epoch::rfc3339;
use serde::Serialize;

use super::bom::{self, Bom, Component, Kind, Origin};
use super::spdx;

/// Document comment.
const COMMENT: &str = "Complete: every component is listed, with everything that it depends on. \
     BUILD_DEPENDENCY_OF marks what ran while the subject was built and is not in it.";
/// Document comment of a scanner's result.
const SCANNED: &str = "What a scanner found; there may be more.";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const UNKNOWN: &str = "NOASSERTION";
const NONE: &str = "NONE";

/// Writes the document as JSON, reproducibly.
pub(crate) fn to_json(bom: &Bom, origin: &Origin<'_>) -> Result<String> {
    let mut document = Document::new(bom, origin)?;
    let unnamed = serde_json::to_vec(&document)?;
    document.namespace = spdx::namespace(bom, origin, 2, &unnamed);
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: String,
    #[serde(rename = "documentNamespace")]
    namespace: String,
    creation_info: CreationInfo,
    comment: &'static str,
    packages: Vec<Package<'a>>,
    relationships: Vec<Relationship>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<ExtractedLicense<'a>>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: Vec<String>,
    comment: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package<'a> {
    #[serde(rename = "SPDXID")]
    id: String,
    name: &'a str,
    version_info: &'a str,
    primary_package_purpose: &'static str,
    supplier: String,
    download_location: &'static str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum<'a>>,
    license_concluded: &'static str,
    license_declared: &'a str,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum<'a> {
    algorithm: &'static str,
    checksum_value: &'a str,
}

#[derive(Serialize)]
struct ExternalRef<'a> {
    #[serde(rename = "referenceCategory")]
    category: &'static str,
    #[serde(rename = "referenceType")]
    kind: &'static str,
    #[serde(rename = "referenceLocator")]
    locator: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    #[serde(rename = "spdxElementId")]
    from: String,
    #[serde(rename = "relationshipType")]
    kind: &'static str,
    #[serde(rename = "relatedSpdxElement")]
    to: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtractedLicense<'a> {
    license_id: &'a str,
    name: &'a str,
    extracted_text: String,
}

impl<'a> Document<'a> {
    fn new(bom: &'a Bom, origin: &Origin<'_>) -> Result<Self> {
        let Component { name, version, .. } = &bom.subject;
        let tool = |name: &str, version: &str| format!("Tool: {name}-{version}");
        let scanner = origin.scanner.map(|it| tool(it.name, it.version));
        let creators =
            [format!("Organization: {}", origin.vendor), tool(bom::TOOL, origin.tool_version)];
        let licenses = bom.custom_licenses.iter().map(|(license_id, name)| ExtractedLicense {
            license_id,
            name,
            extracted_text: spdx::license_text(name),
        });
        Ok(Self {
            spdx_version: "SPDX-2.3",
            data_license: "CC0-1.0",
            id: DOCUMENT,
            name: format!("{name} {version}"),
            namespace: String::new(),
            creation_info: CreationInfo {
                created: rfc3339(origin.epoch)?,
                creators: creators.into_iter().chain(scanner).collect(),
                comment: format!("Lifecycle: {}.", spdx::lifecycle(origin)),
            },
            comment: if bom.complete { COMMENT } else { SCANNED },
            packages: bom.all_components().map(Package::new).collect(),
            relationships: relationships(bom),
            has_extracted_licensing_infos: licenses.collect(),
        })
    }
}

impl<'a> Package<'a> {
    fn new(component: &'a Component) -> Self {
        let checksum = |checksum_value| Checksum { algorithm: "SHA256", checksum_value };
        let purl = |locator| ExternalRef { category: "PACKAGE-MANAGER", kind: "purl", locator };
        let supplier = component.supplier.as_ref().map(|name| format!("Organization: {name}"));
        Self {
            id: reference(component),
            name: &component.name,
            version_info: &component.version,
            primary_package_purpose: match component.kind {
                Kind::Application => "APPLICATION",
                Kind::Archive => "ARCHIVE",
                Kind::Container => "CONTAINER",
                Kind::File => "FILE",
                Kind::Library => "LIBRARY",
                Kind::OperatingSystem => "OPERATING_SYSTEM",
            },
            supplier: supplier.unwrap_or_else(|| UNKNOWN.to_owned()),
            download_location: UNKNOWN,
            files_analyzed: false,
            checksums: component.sha256.as_deref().map(checksum).into_iter().collect(),
            license_concluded: UNKNOWN,
            license_declared: component.license.as_deref().unwrap_or(UNKNOWN),
            copyright_text: UNKNOWN,
            summary: component.description.as_deref(),
            homepage: component.website.as_deref().or(component.vcs.as_deref()),
            external_refs: component.purl.as_deref().map(purl).into_iter().collect(),
        }
    }
}

fn reference(component: &Component) -> String {
    format!("SPDXRef-{}", spdx::id(component))
}

fn relationships(bom: &Bom) -> Vec<Relationship> {
    let relationship = |from: String, kind, to: String| Relationship { from, kind, to };
    let mut all = vec![relationship(DOCUMENT.to_owned(), "DESCRIBES", reference(&bom.subject))];
    for edges in bom.edges() {
        let from = reference(edges.from);
        if edges.required.is_empty() && edges.build_only.is_empty() {
            let nothing = if bom.complete { NONE } else { UNKNOWN };
            all.push(relationship(from, "DEPENDS_ON", nothing.to_owned()));
            continue;
        }
        let kind = if edges.contains() { "CONTAINS" } else { "DEPENDS_ON" };
        for to in &edges.required {
            all.push(relationship(from.clone(), kind, reference(to)));
        }
        for to in &edges.build_only {
            all.push(relationship(reference(to), "BUILD_DEPENDENCY_OF", from.clone()));
        }
    }
    all
}
