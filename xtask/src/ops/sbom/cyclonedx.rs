// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! The part of `CycloneDX` 1.6 (ECMA-424) that our documents use, and its canonical bytes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use oci::Digest;
use serde::Serialize;

use crate::ops::epoch::rfc3339;

/// The JSON schema that documents name.
const SCHEMA: &str = "http://cyclonedx.org/schema/bom-1.6.schema.json";

/// What a document says of its own making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin<'a> {
    /// Version of the program that writes it.
    pub(crate) tool_version: &'a str,
    /// Who delivers what it describes.
    pub(crate) vendor: &'a str,
    /// `SOURCE_DATE_EPOCH` in seconds.
    pub(crate) epoch: u64,
}

/// A bill of materials: what it is about, what that is made of, and what depends on what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bom {
    /// What the document describes.
    pub(crate) subject: Component,
    /// What the subject is made of, by `bom-ref`.
    pub(crate) components: BTreeMap<String, Component>,
    /// `bom-ref` to those that it depends on directly.
    pub(crate) dependencies: BTreeMap<String, BTreeSet<String>>,
}

/// A piece of software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Component {
    /// What kind of thing it is.
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    /// What the rest of the document calls it; unique.
    #[serde(rename = "bom-ref")]
    pub(crate) bom_ref: String,
    /// Who delivers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) supplier: Option<Supplier>,
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// What it is, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Whether its code is in the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<Scope>,
    /// Digests of the file that it came in or is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) hashes: Vec<Hash>,
    /// Its licences.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) licenses: Vec<License>,
    /// Its package URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) purl: Option<String>,
    /// Where its source is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) external_references: Vec<Reference>,
}

/// The kinds of components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// A program.
    Application,
    /// A container image.
    Container,
    /// Code that others use.
    Library,
    /// A distribution.
    OperatingSystem,
}

/// Whether a component's code is in the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scope {
    /// It is.
    Required,
    /// It only ran while the subject was built.
    Excluded,
}

/// Who delivers something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Supplier {
    /// A person's or an organisation's name.
    pub(crate) name: String,
}

/// A digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Hash {
    alg: &'static str,
    content: String,
}

/// A licence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum License {
    /// An SPDX licence expression. It stands alone.
    Expression(String),
    /// A licence by a name that SPDX may not know.
    License {
        /// That name.
        name: String,
    },
}

/// A pointer out of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Reference {
    /// `vcs`, `website`, …
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    /// Where to.
    pub(crate) url: String,
}

impl Hash {
    /// A SHA-256 in lower-case hex.
    pub(crate) fn sha256(hex: impl Into<String>) -> Self {
        Self { alg: "SHA-256", content: hex.into() }
    }
}

impl Component {
    /// A component with nothing but its names. Its `bom-ref` is its package URL.
    pub(crate) fn new(kind: Kind, name: &str, version: &str, purl: String) -> Self {
        Self {
            kind,
            bom_ref: purl.clone(),
            supplier: None,
            name: name.to_owned(),
            version: version.to_owned(),
            description: None,
            scope: None,
            hashes: Vec::new(),
            licenses: Vec::new(),
            purl: Some(purl),
            external_references: Vec::new(),
        }
    }
}

impl Bom {
    /// A document about `subject` alone.
    pub(crate) fn new(subject: Component) -> Self {
        let dependencies = BTreeMap::from([(subject.bom_ref.clone(), BTreeSet::new())]);
        Self { subject, components: BTreeMap::new(), dependencies }
    }

    /// Adds `component`. What is there already under its name stays, and is required when either is.
    pub(crate) fn add(&mut self, component: Component) {
        self.dependencies.entry(component.bom_ref.clone()).or_default();
        match self.components.get_mut(&component.bom_ref) {
            Some(known) => known.scope = known.scope.min(component.scope),
            None => drop(self.components.insert(component.bom_ref.clone(), component)),
        }
    }

    /// Says that `from` depends on `to`, both by `bom-ref`.
    pub(crate) fn depends(&mut self, from: &str, to: &str) {
        self.dependencies.entry(from.to_owned()).or_default().insert(to.to_owned());
    }

    /// Puts `part` and all that it is made of into this document, as something the subject depends on.
    pub(crate) fn include(&mut self, part: Self) {
        let subject = self.subject.bom_ref.clone();
        self.depends(&subject, &part.subject.bom_ref);
        self.add(part.subject);
        part.components.into_values().for_each(|component| self.add(component));
        for (from, to) in part.dependencies {
            self.dependencies.entry(from).or_default().extend(to);
        }
    }

    /// The document as JSON: the same bytes for the same content. Its serial number is derived from it.
    pub(crate) fn to_json(&self, origin: &Origin<'_>) -> Result<String> {
        let mut document = Document::new(self, origin)?;
        let unnamed = serde_json::to_vec(&document)?;
        document.serial_number = Some(serial_number(&Digest::sha256(&unnamed)));
        let mut text = serde_json::to_string_pretty(&document)?;
        text.push('\n');
        Ok(text)
    }
}

/// A version 8 UUID (RFC 9562, 5.8: of custom derivation) from the first 128 bits of a digest.
fn serial_number(digest: &Digest) -> String {
    let mut digits: Vec<char> = digest.hex().chars().take(32).collect();
    if let Some(version) = digits.get_mut(12) {
        *version = '8';
    }
    if let Some(variant) = digits.get_mut(16) {
        // The two highest bits are 10.
        let low = variant.to_digit(16).unwrap_or_default() & 0b11;
        *variant = char::from_digit(0b1000 | low, 16).unwrap_or('8');
    }
    let mut out = String::from("urn:uuid:");
    for (index, digit) in digits.into_iter().enumerate() {
        if matches!(index, 8 | 12 | 16 | 20) {
            out.push('-');
        }
        out.push(digit);
    }
    out
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
    components: Vec<&'a Component>,
    dependencies: Vec<Dependency<'a>>,
    compositions: [Composition<'a>; 1],
}

#[derive(Serialize)]
struct Metadata<'a> {
    timestamp: String,
    lifecycles: [Lifecycle; 1],
    tools: Tools<'a>,
    component: &'a Component,
    supplier: Supplier,
}

#[derive(Serialize)]
struct Lifecycle {
    phase: &'static str,
}

#[derive(Serialize)]
struct Tools<'a> {
    components: [Tool<'a>; 1],
}

#[derive(Serialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: Kind,
    name: &'static str,
    version: &'a str,
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
        Ok(Self {
            schema: SCHEMA,
            bom_format: "CycloneDX",
            spec_version: "1.6",
            serial_number: None,
            version: 1,
            metadata: Metadata {
                timestamp: rfc3339(origin.epoch)?,
                lifecycles: [Lifecycle { phase: "build" }],
                tools: Tools {
                    components: [Tool {
                        kind: Kind::Application,
                        name: "xtask",
                        version: origin.tool_version,
                    }],
                },
                component: &bom.subject,
                supplier: Supplier { name: origin.vendor.to_owned() },
            },
            components: bom.components.values().collect(),
            dependencies: bom
                .dependencies
                .iter()
                .map(|(subject, on)| Dependency {
                    subject,
                    depends_on: on.iter().map(String::as_str).collect(),
                })
                .collect(),
            compositions: [Composition {
                aggregate: "complete",
                assemblies: [&bom.subject.bom_ref],
                dependencies: bom.dependencies.keys().map(String::as_str).collect(),
            }],
        })
    }
}
