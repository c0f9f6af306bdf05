// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writer of `CycloneDX` 1.6 (ECMA-424), limited to the parts that our documents use, with
//! canonical bytes.

use anyhow::Result;
use foundation::epoch::rfc3339;
use oci::Digest;
use serde::Serialize;

use super::bom::{self, Bom, Component, Kind, Origin, Scope};

/// JSON schema URL.
const SCHEMA: &str = "http://cyclonedx.org/schema/bom-1.6.schema.json";

/// Writes the document as JSON, reproducibly. The serial number is derived from the content.
pub(crate) fn to_json(bom: &Bom, origin: &Origin<'_>) -> Result<String> {
    let mut document = Document::new(bom, origin)?;
    let unnamed = serde_json::to_vec(&document)?;
    document.serial_number = Some(format!("urn:uuid:{}", bom::uuid(&Digest::sha256(&unnamed))));
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(rename = "$schema")]
    schema: &'static str,
    bom_format: &'static str,
    spec_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial_number: Option<String>,
    version: u32,
    metadata: Metadata<'a>,
    components: Vec<Item<'a>>,
    dependencies: Vec<Dependency<'a>>,
    compositions: [Composition<'a>; 1],
}

#[derive(Serialize)]
struct Metadata<'a> {
    timestamp: String,
    lifecycles: [Lifecycle; 1],
    tools: Tools<'a>,
    component: Item<'a>,
    supplier: Supplier<'a>,
}

#[derive(Serialize)]
struct Lifecycle {
    phase: &'static str,
}

#[derive(Serialize)]
struct Tools<'a> {
    components: Vec<Tool<'a>>,
}

#[derive(Serialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    name: &'static str,
    version: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "bom-ref")]
    bom_ref: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    supplier: Option<Supplier<'a>>,
    name: &'a str,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    scope: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hashes: Vec<Hash<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<License<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purl: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_references: Vec<Reference<'a>>,
}

#[derive(Serialize)]
struct Supplier<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Hash<'a> {
    alg: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct License<'a> {
    expression: &'a str,
}

#[derive(Serialize)]
struct Reference<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    url: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency<'a> {
    #[serde(rename = "ref")]
    subject: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<&'a str>,
}

#[derive(Serialize)]
struct Composition<'a> {
    aggregate: &'static str,
    assemblies: [&'a str; 1],
    dependencies: Vec<&'a str>,
}

impl<'a> Document<'a> {
    fn new(bom: &'a Bom, origin: &Origin<'a>) -> Result<Self> {
        let dependencies = bom.dependencies.iter().map(|(subject, on)| Dependency {
            subject,
            depends_on: on.iter().map(String::as_str).collect(),
        });
        let own = Tool { kind: "application", name: bom::TOOL, version: origin.tool_version };
        let scanner = origin.scanner.map(|it| Tool {
            kind: "application",
            name: it.name,
            version: it.version,
        });
        Ok(Self {
            schema: SCHEMA,
            bom_format: "CycloneDX",
            spec_version: "1.6",
            serial_number: None,
            version: 1,
            metadata: Metadata {
                timestamp: rfc3339(origin.epoch)?,
                // A scanner examines finished builds (section "lifecycles").
                lifecycles: [Lifecycle {
                    phase: if origin.scanner.is_some() { "post-build" } else { "build" },
                }],
                tools: Tools { components: [own].into_iter().chain(scanner).collect() },
                component: Item::new(&bom.subject),
                supplier: Supplier { name: origin.vendor },
            },
            components: bom.components.values().map(Item::new).collect(),
            dependencies: dependencies.collect(),
            compositions: [Composition {
                aggregate: if bom.complete { "complete" } else { "unknown" },
                assemblies: [&bom.subject.reference],
                dependencies: bom.dependencies.keys().map(String::as_str).collect(),
            }],
        })
    }
}

impl<'a> Item<'a> {
    fn new(component: &'a Component) -> Self {
        let vcs = component.vcs.as_deref().map(|url| Reference { kind: "vcs", url });
        let website = component.website.as_deref().map(|url| Reference { kind: "website", url });
        let hash = |content| Hash { alg: "SHA-256", content };
        Self {
            kind: kind(component.kind),
            bom_ref: &component.reference,
            supplier: component.supplier.as_deref().map(|name| Supplier { name }),
            name: &component.name,
            version: &component.version,
            description: component.description.as_deref(),
            scope: match component.scope {
                Scope::Required => "required",
                Scope::Excluded => "excluded",
            },
            hashes: component.sha256.as_deref().map(hash).into_iter().collect(),
            licenses: component
                .license
                .as_deref()
                .map(|expression| License { expression })
                .into_iter()
                .collect(),
            purl: component.purl.as_deref(),
            external_references: vcs.into_iter().chain(website).collect(),
        }
    }
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
