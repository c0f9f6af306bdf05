// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writer of `CycloneDX` 1.6 (ECMA-424), limited to the parts that our documents use, with
//! canonical bytes.

use anyhow::Result;
use foundation::epoch::rfc3339;
use oci::Digest;
use serde_json::{Value, json};

use super::bom::{self, Bom, Component, Kind, Origin, Scope};
use super::without_empty;

/// JSON schema URL.
const SCHEMA: &str = "http://cyclonedx.org/schema/bom-1.6.schema.json";

/// Writes the document as JSON, reproducibly. The serial number is derived from the content.
pub(crate) fn to_json(bom: &Bom, origin: &Origin<'_>) -> Result<String> {
    let mut document = document(bom, origin)?;
    let uuid = bom::uuid(&Digest::sha256(document.to_string().as_bytes()));
    document["serialNumber"] = format!("urn:uuid:{uuid}").into();
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

fn document(bom: &Bom, origin: &Origin<'_>) -> Result<Value> {
    let tool = |name, version| json!({"type": "application", "name": name, "version": version});
    let mut tools = vec![tool(bom::TOOL, origin.tool_version)];
    tools.extend(origin.scanner.map(|it| tool(it.name, it.version)));
    let dependencies = bom.dependencies.iter();
    let dependencies =
        dependencies.map(|(subject, on)| without_empty(json!({"ref": subject, "dependsOn": on})));
    Ok(json!({
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": rfc3339(origin.epoch)?,
            // A scanner examines finished builds (section "lifecycles").
            "lifecycles": [{"phase": if origin.scanner.is_some() { "post-build" } else { "build" }}],
            "tools": {"components": tools},
            "component": item(&bom.subject),
            "supplier": {"name": origin.vendor},
        },
        "components": bom.components.values().map(item).collect::<Vec<_>>(),
        "dependencies": dependencies.collect::<Vec<_>>(),
        "compositions": [{
            "aggregate": if bom.complete { "complete" } else { "unknown" },
            "assemblies": [bom.subject.reference],
            "dependencies": bom.dependencies.keys().collect::<Vec<_>>(),
        }],
    }))
}

fn item(component: &Component) -> Value {
    let references = [("vcs", &component.vcs), ("website", &component.website)];
    let references = references.into_iter().filter(|(_, url)| url.is_some());
    let list = |name: &Option<String>, entry: &dyn Fn(&String) -> Value| {
        name.iter().map(entry).collect::<Vec<_>>()
    };
    without_empty(json!({
        "type": kind(component.kind),
        "bom-ref": component.reference,
        "supplier": component.supplier.as_ref().map(|name| json!({"name": name})),
        "name": component.name,
        "version": component.version,
        "description": component.description,
        "scope": match component.scope {
            Scope::Required => "required",
            Scope::Excluded => "excluded",
        },
        "hashes": list(&component.sha256, &|it| json!({"alg": "SHA-256", "content": it})),
        "licenses": list(&component.license, &|it| json!({"expression": it})),
        "purl": component.purl,
        "externalReferences":
            references.map(|(kind, url)| json!({"type": kind, "url": url})).collect::<Vec<_>>(),
    }))
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Application => "application",
        Kind::Archive | Kind::File => "file",
        Kind::Container => "container",
        Kind::Library => "library",
        Kind::OperatingSystem => "operating-system",
    }
}
