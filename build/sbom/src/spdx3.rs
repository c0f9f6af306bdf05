// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Writer of SPDX 3.0.1 JSON-LD (profiles core, software and simple licensing), limited to the
//! parts that our documents use.

use std::collections::BTreeMap;

use anyhow::Result;
use foundation::epoch::rfc3339;
use serde_json::{Value, json};

use super::bom::{self, Bom, Component, Edges, Kind, Origin};
use super::{spdx, without_empty};

const CONTEXT: &str = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld";
/// Individual for "none" (SPDX 3.0.1, Core, `NoneElement`).
const NONE: &str = "https://spdx.org/rdf/3.0.1/terms/Core/NoneElement";
/// Individual for "unknown" (SPDX 3.0.1, Core, `NoAssertionElement`).
const UNKNOWN: &str = "https://spdx.org/rdf/3.0.1/terms/Core/NoAssertionElement";
/// Blank node of the creation info.
const CREATION: &str = "_:creation";
const PROFILES: [&str; 3] = ["core", "simpleLicensing", "software"];

/// Writes the document as JSON, reproducibly.
pub(crate) fn to_json(bom: &Bom, origin: &Origin<'_>) -> Result<String> {
    let unnamed = Writer { bom, origin, namespace: String::new() }.document()?;
    let namespace = spdx::namespace(bom, origin, 3, unnamed.to_string().as_bytes());
    let document = Writer { bom, origin, namespace }.document()?;
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

struct Writer<'a> {
    bom: &'a Bom,
    origin: &'a Origin<'a>,
    namespace: String,
}

impl Writer<'_> {
    fn document(&self) -> Result<Value> {
        let agents = self.agents();
        let mut elements: Vec<_> = agents
            .iter()
            .map(|(name, id)| element("Organization", id, json!({"name": name})))
            .collect();
        let scanner = self.origin.scanner.map(|it| ("Scanner", it.name, it.version));
        let own = ("Tool", bom::TOOL, self.origin.tool_version);
        let mut tools = Vec::new();
        for (id, name, version) in [own].into_iter().chain(scanner) {
            let id = self.iri(id);
            let name = format!("{name} {version}");
            elements.push(element("Tool", &id, json!({"name": name})));
            tools.push(id);
        }
        elements.extend(self.licenses());
        elements
            .extend(self.bom.all_components().map(|component| self.package(component, &agents)));
        for edges in self.bom.edges() {
            elements.extend(self.relationships(&edges));
        }
        elements.extend(self.declared_licenses());

        let ids: Vec<_> = elements.iter().filter_map(|element| element.get("spdxId")).collect();
        let (sbom, name) = (self.iri("Sbom"), &self.bom.subject.name);
        let title = format!("{name} {}", self.bom.subject.version);
        let bill = json!({
            "name": title,
            "rootElement": [self.iri_of(&self.bom.subject)],
            "element": ids,
            "profileConformance": PROFILES,
            "software_sbomType": [spdx::lifecycle(self.origin)],
        });
        let document = json!({
            "name": title,
            "rootElement": [sbom],
            "element": [sbom],
            "profileConformance": PROFILES,
            "dataLicense": self.license("CC0-1.0"),
        });
        let vendor = agents.get(self.origin.vendor);
        let mut graph = vec![json!({
            "type": "CreationInfo",
            "@id": CREATION,
            "specVersion": "3.0.1",
            "created": rfc3339(self.origin.epoch)?,
            "createdBy": [vendor],
            "createdUsing": tools,
        })];
        graph.push(element("SpdxDocument", &self.iri("Document"), document));
        graph.push(element("software_Sbom", &sbom, bill));
        graph.extend(elements);
        Ok(json!({"@context": CONTEXT, "@graph": graph}))
    }

    /// Suppliers by name, with their IRIs.
    fn agents(&self) -> BTreeMap<&str, String> {
        let suppliers =
            self.bom.all_components().filter_map(|component| component.supplier.as_deref());
        let names = suppliers.chain([self.origin.vendor]);
        names.map(|name| (name, self.derive_iri("Agent", name))).collect()
    }

    /// Licence expressions, deduplicated, and texts of licences without an SPDX identifier.
    fn licenses(&self) -> Vec<Value> {
        let own = self.bom.all_components().filter_map(|component| component.license.as_deref());
        let expressions: std::collections::BTreeSet<_> = own.chain(["CC0-1.0"]).collect();
        let texts = self.bom.custom_licenses.iter().map(|(id, name)| {
            let fields = json!({
                "name": name,
                "simplelicensing_licenseText": spdx::license_text(name),
            });
            element("simplelicensing_SimpleLicensingText", &self.iri(id), fields)
        });
        let expressions = expressions.into_iter().map(|expression| {
            let used = self
                .bom
                .custom_licenses
                .keys()
                .filter(|id| expression.split([' ', '(', ')']).any(|word| word == id.as_str()));
            let custom: Vec<_> = used
                .map(|id| json!({"type": "DictionaryEntry", "key": id, "value": self.iri(id)}))
                .collect();
            let fields = json!({
                "simplelicensing_licenseExpression": expression,
                "simplelicensing_customIdToUri": custom,
            });
            element("simplelicensing_LicenseExpression", &self.license(expression), fields)
        });
        texts.chain(expressions).collect()
    }

    fn package(&self, component: &Component, agents: &BTreeMap<&str, String>) -> Value {
        let hash = |sha256| json!([{"type": "Hash", "algorithm": "sha256", "hashValue": sha256}]);
        let fields = json!({
            "name": component.name,
            "software_packageVersion": component.version,
            "software_primaryPurpose": match component.kind {
                Kind::Application => "application",
                Kind::Archive => "archive",
                Kind::Container => "container",
                Kind::File => "file",
                Kind::Library => "library",
                Kind::OperatingSystem => "operatingSystem",
            },
            "verifiedUsing": component.sha256.as_ref().map(hash),
            "suppliedBy": component.supplier.as_deref().and_then(|name| agents.get(name)),
            "summary": component.description,
            "software_packageUrl": component.purl,
            "software_homePage": component.website.as_ref().or(component.vcs.as_ref()),
        });
        element("software_Package", &self.iri_of(component), fields)
    }

    /// Dependencies or contents of a component; states explicitly that there are none.
    fn relationships(&self, edges: &Edges<'_>) -> Vec<Value> {
        let from = self.iri_of(edges.from);
        let targets = |to: &[&Component]| to.iter().map(|to| self.iri_of(to)).collect::<Vec<_>>();
        let mut required = targets(&edges.required);
        if required.is_empty() {
            required.push(if self.bom.complete { NONE } else { UNKNOWN }.to_owned());
        }
        let kind = if edges.contains() { "contains" } else { "dependsOn" };
        let mut all = vec![self.relationship("Relationship", &from, kind, &required, None)];
        if !edges.build_only.is_empty() {
            let to = targets(&edges.build_only);
            let kind = "LifecycleScopedRelationship";
            all.push(self.relationship(kind, &from, "dependsOn", &to, Some(spdx::BUILD)));
        }
        all
    }

    /// Licences of components. Build-time components are not part of the subject, but their
    /// licences are stated too.
    fn declared_licenses(&self) -> Vec<Value> {
        let licensed = self.bom.all_components().filter_map(|it| Some((it, it.license.as_ref()?)));
        licensed
            .map(|(component, expression)| {
                let (from, to) = (self.iri_of(component), [self.license(expression)]);
                self.relationship("Relationship", &from, "hasDeclaredLicense", &to, None)
            })
            .collect()
    }

    fn relationship(
        &self,
        class: &str,
        from: &str,
        kind: &str,
        to: &[String],
        scope: Option<&str>,
    ) -> Value {
        let id = self.derive_iri(class, &format!("{from} {kind}"));
        let fields = json!({
            "from": from,
            "relationshipType": kind,
            "to": to,
            "completeness": if self.bom.complete { "complete" } else { "noAssertion" },
            "scope": scope,
        });
        element(class, &id, fields)
    }

    fn license(&self, expression: &str) -> String {
        self.derive_iri("License", expression)
    }

    fn iri_of(&self, component: &Component) -> String {
        self.iri(&spdx::id(component))
    }

    /// An IRI derived from a name.
    fn derive_iri(&self, class: &str, name: &str) -> String {
        // The name may contain the namespace, which is not known in the first pass.
        let name = name.replace(&self.namespace, "");
        let digest = oci::Digest::sha256(name.as_bytes());
        let unique: String = digest.hex().chars().take(16).collect();
        self.iri(&format!("{class}-{unique}"))
    }

    fn iri(&self, id: &str) -> String {
        format!("{}#{id}", self.namespace)
    }
}

fn element(class: &str, id: &str, mut fields: Value) -> Value {
    for (name, value) in [("type", class), ("spdxId", id), ("creationInfo", CREATION)] {
        fields[name] = value.into();
    }
    without_empty(fields)
}
