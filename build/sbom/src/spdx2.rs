// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writer of SPDX 2.3 JSON, limited to the parts that our documents use.
//!
//! The format has no field for completeness. A component without dependencies states `DEPENDS_ON
//! NONE` (section 11), so that a missing statement does not mean unknown; the document comment
//! explains it.

use anyhow::Result;
use foundation::epoch::rfc3339;
use serde_json::{Value, json};

use super::bom::{self, Bom, Component, Kind, Origin};
use super::{spdx, without_empty};

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
    let mut document = document(bom, origin)?;
    let namespace = spdx::namespace(bom, origin, 2, document.to_string().as_bytes());
    document["documentNamespace"] = namespace.into();
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn document(bom: &Bom, origin: &Origin<'_>) -> Result<Value> {
    let Component { name, version, .. } = &bom.subject;
    let tool = |name: &str, version: &str| format!("Tool: {name}-{version}");
    let scanner = origin.scanner.map(|it| tool(it.name, it.version));
    let creators =
        [format!("Organization: {}", origin.vendor), tool(bom::TOOL, origin.tool_version)];
    let licenses = bom.custom_licenses.iter().map(|(id, name)| {
        json!({"licenseId": id, "name": name, "extractedText": spdx::license_text(name)})
    });
    Ok(without_empty(json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": format!("{name} {version}"),
        "creationInfo": {
            "created": rfc3339(origin.epoch)?,
            "creators": creators.into_iter().chain(scanner).collect::<Vec<_>>(),
            "comment": format!("Lifecycle: {}.", spdx::lifecycle(origin)),
        },
        "comment": if bom.complete { COMMENT } else { SCANNED },
        "packages": bom.all_components().map(package).collect::<Vec<_>>(),
        "relationships": relationships(bom),
        "hasExtractedLicensingInfos": licenses.collect::<Vec<_>>(),
    })))
}

fn package(component: &Component) -> Value {
    let supplier = component.supplier.as_ref().map(|name| format!("Organization: {name}"));
    let checksums = component.sha256.iter();
    let checksums = checksums.map(|it| json!({"algorithm": "SHA256", "checksumValue": it}));
    let references = component.purl.iter().map(|purl| {
        json!({
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl,
        })
    });
    without_empty(json!({
        "SPDXID": reference(component),
        "name": component.name,
        "versionInfo": component.version,
        "primaryPackagePurpose": match component.kind {
            Kind::Application => "APPLICATION",
            Kind::Archive => "ARCHIVE",
            Kind::Container => "CONTAINER",
            Kind::File => "FILE",
            Kind::Library => "LIBRARY",
            Kind::OperatingSystem => "OPERATING_SYSTEM",
        },
        "supplier": supplier.as_deref().unwrap_or(UNKNOWN),
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "checksums": checksums.collect::<Vec<_>>(),
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": component.license.as_deref().unwrap_or(UNKNOWN),
        "copyrightText": UNKNOWN,
        "summary": component.description,
        "homepage": component.website.as_ref().or(component.vcs.as_ref()),
        "externalRefs": references.collect::<Vec<_>>(),
    }))
}

fn reference(component: &Component) -> String {
    format!("SPDXRef-{}", spdx::id(component))
}

fn relationships(bom: &Bom) -> Vec<Value> {
    let relationship = |from: String, kind, to: String| {
        json!({
            "spdxElementId": from,
            "relationshipType": kind,
            "relatedSpdxElement": to,
        })
    };
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
