// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Reads syft's output (`syft-json`), converts it to an SBOM, and compares it with a `CycloneDX`
//! document.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::bom::{Bom, Component, Kind};
use super::license;

/// Packages found by syft.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyftPackages {
    artifacts: Vec<Package>,
    #[serde(default)]
    artifact_relationships: Vec<Relationship>,
}

/// A relationship of two packages, by id.
#[derive(Debug, Deserialize)]
struct Relationship {
    parent: String,
    child: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    /// Package type: `deb`, `rust-crate`, `binary`, …
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    purl: String,
    #[serde(default)]
    licenses: Vec<License>,
    #[serde(default)]
    metadata: Facts,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct License {
    value: String,
    #[serde(default)]
    spdx_expression: String,
}

/// Additional data from the package database.
#[derive(Debug, Default, Deserialize)]
struct Facts {
    maintainer: Option<String>,
}

/// Components of a `CycloneDX` document.
#[derive(Debug, Deserialize)]
pub struct ListedComponents {
    #[serde(default)]
    components: Vec<Item>,
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    component: Item,
}

#[derive(Debug, Deserialize)]
struct Item {
    name: String,
    version: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    purl: String,
}

impl SyftPackages {
    /// Parses syft's output.
    ///
    /// # Errors
    /// When it is malformed or empty: an empty result means that syft scanned nothing.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let found: Self = serde_json::from_slice(bytes).context("syft printed malformed output")?;
        ensure!(!found.artifacts.is_empty(), "syft found no packages");
        Ok(found)
    }

    /// Number of packages.
    pub fn count(&self) -> usize {
        self.artifacts.len()
    }

    /// Adds all packages to `bom` as dependencies of the subject, with the dependencies that syft
    /// reports, and marks it as incomplete.
    pub fn add(&self, bom: &mut Bom) {
        bom.complete = false;
        let subject = bom.subject.reference.clone();
        let mut references = BTreeMap::new();
        for package in &self.artifacts {
            let component = package.component(&mut bom.custom_licenses);
            references.insert(package.id.as_str(), component.reference.clone());
            bom.depends(&subject, &component.reference);
            bom.add(component);
        }
        // syft, "relationship.go": the child depends on the parent.
        let needed = self.artifact_relationships.iter().filter(|it| it.kind == "dependency-of");
        for Relationship { parent, child, .. } in needed {
            if let (Some(to), Some(from)) =
                (references.get(parent.as_str()), references.get(child.as_str()))
                && from != to
            {
                bom.depends(from, to);
            }
        }
    }

    /// Packages that are in `listed` neither themselves nor by their distribution package: a Python
    /// module installed by a Debian package is listed as that package.
    pub fn find_missing(&self, listed: &ListedComponents) -> Vec<String> {
        let has = |package: &Package| {
            listed.has(package) || self.owners(package).any(|owner| listed.has(owner))
        };
        let missing = self.artifacts.iter().filter(|package| !has(package));
        missing.map(|it| format!("{} {} ({})", it.name, it.version, it.kind)).collect()
    }

    /// The packages that own the files of `package`.
    fn owners(&self, package: &Package) -> impl Iterator<Item = &Package> {
        let owns =
            |it: &&Relationship| it.kind == "ownership-by-file-overlap" && it.child == package.id;
        let owners = self.artifact_relationships.iter().filter(owns);
        owners.flat_map(|it| self.artifacts.iter().filter(|owner| owner.id == it.parent))
    }
}

impl Package {
    /// Its component, identified by package URL if it has one.
    fn component(&self, custom_licenses: &mut BTreeMap<String, String>) -> Component {
        let Self { name, version, kind, .. } = self;
        let new = match self.purl.as_str() {
            "" => {
                let reference = format!("{kind}:{name}@{version}");
                Component::without_purl(Kind::Library, name, version, reference)
            }
            purl => Component::new(Kind::Library, name, version, purl.to_owned()),
        };
        let maintainer = self.metadata.maintainer.as_deref();
        let supplier = maintainer.and_then(|it| it.split('<').next()).map(str::trim);
        let supplier = supplier.filter(|name| !name.is_empty()).map(str::to_owned);
        Component { supplier, license: self.license(custom_licenses), ..new }
    }

    /// Its licence expression: from Debian names for a Debian package, else if SPDX knows all
    /// names.
    fn license(&self, custom: &mut BTreeMap<String, String>) -> Option<String> {
        if self.kind == "deb" {
            let terms: BTreeSet<_> = self.licenses.iter().map(|it| it.value.as_str()).collect();
            return license::expression(&terms, custom);
        }
        let all: BTreeSet<_> = self.licenses.iter().map(|it| it.spdx_expression.as_str()).collect();
        if all.is_empty() || all.contains("") {
            return None;
        }
        let alone = all.len() == 1;
        let part = |it: &str| if alone { it.to_owned() } else { format!("({it})") };
        Some(all.into_iter().map(part).collect::<Vec<_>>().join(" AND "))
    }
}

impl ListedComponents {
    /// Parses a `CycloneDX` document.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).context("not a CycloneDX document")
    }

    /// Number of components.
    pub fn count(&self) -> usize {
        self.components.len()
    }

    fn has(&self, package: &Package) -> bool {
        let mut all = self.components.iter().chain([&self.metadata.component]);
        let kind = match package.kind.as_str() {
            "deb" => "pkg:deb/",
            "rust-crate" => "pkg:cargo/",
            _ => "pkg:",
        };
        all.any(|it| {
            let same = it.version == package.version && it.purl.starts_with(kind);
            // An executable is listed once, with the release's version, and not as its crate.
            let own = package.kind == "rust-crate" && it.kind == "application";
            // Debian's kernel packages have the kernel's version in their names.
            let kernel = package.kind == "linux-kernel"
                && it.purl.starts_with("pkg:deb/")
                && it.name.strip_prefix("linux-image-") == Some(package.version.as_str());
            it.name == package.name && (same || own) || kernel
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTED: &str = r#"{
        "metadata": {"component": {"type": "container", "name": "tool", "version": "1-x"}},
        "components": [
            {"type": "library", "name": "a", "version": "1", "purl": "pkg:deb/debian/a@1?arch=amd64"},
            {"type": "library", "name": "linux-image-6.1-amd64", "version": "6.1-1", "purl": "pkg:deb/debian/x"},
            {"type": "library", "name": "b", "version": "2", "purl": "pkg:cargo/b@2"},
            {"type": "application", "name": "step", "version": "0.1.0-x", "purl": "pkg:generic/step@0.1.0-x"}
        ]
    }"#;

    fn list_missing(packages: &[(&str, &str, &str)]) -> Vec<String> {
        let packages: Vec<_> = packages
            .iter()
            .map(|(name, version, kind)| {
                let id = format!("{name}-{version}-{kind}");
                serde_json::json!({"id": id, "name": name, "version": version, "type": kind})
            })
            .collect();
        let owned = [("a-1-deb", "owned-9-python"), ("c-1-deb", "stray-9-python")];
        let owned = owned.map(|(parent, child)| {
            serde_json::json!({
                "parent": parent, "child": child, "type": "ownership-by-file-overlap",
            })
        });
        let found = serde_json::json!({"artifacts": packages, "artifactRelationships": owned});
        let found = found.to_string();
        let listed = ListedComponents::parse(LISTED.as_bytes()).unwrap();
        SyftPackages::parse(found.as_bytes()).unwrap().find_missing(&listed)
    }

    #[test]
    fn what_is_listed_is_not_missing() {
        let all = [
            ("a", "1", "deb"),
            ("b", "2", "rust-crate"),
            ("step", "0.1.0", "rust-crate"),
            ("step", "0.1.0-x", "binary"),
            ("owned", "9", "python"),
            ("linux-kernel", "6.1-amd64", "linux-kernel"),
        ];
        assert_eq!(list_missing(&all), [""; 0]);
    }

    #[test]
    fn another_version_or_kind_of_package_is_missing() {
        let others =
            [("a", "2", "deb"), ("b", "2", "deb"), ("c", "1", "deb"), ("stray", "9", "python")];
        let expected = ["a 2 (deb)", "b 2 (deb)", "c 1 (deb)", "stray 9 (python)"];
        assert_eq!(list_missing(&others), expected);
    }

    #[test]
    fn what_is_found_becomes_components() {
        let found = serde_json::json!({
            "artifacts": [
                {"id": "1", "name": "a", "version": "1", "type": "deb", "purl": "pkg:deb/debian/a@1",
                 "licenses": [{"value": "GPL-2+", "spdxExpression": ""}, {"value": "Expat"}],
                 "metadata": {"package": "a", "maintainer": "Some Team <t@x.example>"}},
                {"id": "2", "name": "b", "version": "2", "type": "rust-crate", "purl": "pkg:cargo/b@2",
                 "licenses": [{"value": "x", "spdxExpression": "MIT OR Apache-2.0"},
                              {"value": "y", "spdxExpression": "Zlib"}]},
                {"id": "3", "name": "c", "version": "", "type": "binary"},
            ],
            "artifactRelationships": [
                {"parent": "2", "child": "3", "type": "dependency-of"},
                {"parent": "2", "child": "2", "type": "dependency-of"},
                {"parent": "1", "child": "3", "type": "evident-by"},
                {"parent": "gone", "child": "3", "type": "dependency-of"},
            ],
        });
        let mut bom = Bom::new(Component::new(Kind::Container, "i", "1", "pkg:oci/i".to_owned()));
        SyftPackages::parse(found.to_string().as_bytes()).unwrap().add(&mut bom);
        let licenses: Vec<_> = bom.components.values().map(|it| it.license.as_deref()).collect();
        let (b, c) = ("pkg:cargo/b@2", "binary:c@");
        assert_eq!(bom.components.keys().collect::<Vec<_>>(), [c, b, "pkg:deb/debian/a@1"]);
        let expected =
            [None, Some("(MIT OR Apache-2.0) AND (Zlib)"), Some("GPL-2.0-or-later AND MIT")];
        assert_eq!(licenses, expected);
        assert_eq!(bom.components["pkg:deb/debian/a@1"].supplier.as_deref(), Some("Some Team"));
        assert_eq!(bom.dependencies[c].iter().collect::<Vec<_>>(), [b]);
        assert!(bom.dependencies[b].is_empty() && !bom.complete);
        assert_eq!(bom.dependencies["pkg:oci/i"].len(), 3);
    }

    #[test]
    fn nothing_found_is_no_agreement() {
        let error = SyftPackages::parse(br#"{"artifacts": []}"#).unwrap_err().to_string();
        assert_eq!(error, "syft found no packages");
        assert!(SyftPackages::parse(b"{}").is_err() && ListedComponents::parse(b"{}").is_err());
    }
}
