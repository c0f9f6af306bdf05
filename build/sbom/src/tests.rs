// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Golden files and schema validation of whole documents.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use debian::root::RootFacts;
use release::layout::SbomFormat;
use rust::graph::{self, Crate};
use serde_json::Value;

use super::bom::{Bom, Component, Kind, Origin, Scanner, Scope};
use super::crates::{self, Sources, Subject};
use super::to_json;
use crate::dpkg;

const ORIGIN: Origin<'_> = Origin {
    tool_version: "0.1.0",
    vendor: "The Authors",
    source: "https://provisioner.example/source",
    epoch: 1_760_000_000,
    scanner: None,
};

const SUBJECT: Subject<'_> = Subject {
    name: "app",
    version: "1.2.3-rc.1",
    sha256: "0000000000000000000000000000000000000000000000000000000000000000",
    product: "provisioner",
    vendor: "The Authors",
    license: "AGPL-3.0-or-later",
    source: "https://provisioner.example/source",
    commit: "0f3c9a2b71de0f3c9a2b71de0f3c9a2b71de0f3c",
};

const LINKED: &str = "0app v0.1.0 (/x)\n1own v0.1.0 (/x/own)\n2lib v2.0.0+b\n1lib v2.0.0+b (*)\n";
const BUILT: &str = "0app v0.1.0 (/x)\n1own v0.1.0 (/x/own)\n2lib v2.0.0+b\n\
                     3derive v1.0.0 (proc-macro)\n1lib v2.0.0+b (*)\n";

/// A package in the form of `cargo metadata`.
fn package(name: &str, version: &str, own: bool) -> Value {
    serde_json::json!({
        "name": name, "version": version, "id": format!("{name}@{version}"),
        "license": "MIT/Apache-2.0",
        "description": "Does\n  things",
        "source": if own { Value::Null } else { "registry+https://registry.example/index".into() },
        "dependencies": [], "targets": [], "features": {},
        "manifest_path": "/x/Cargo.toml", "metadata": null, "publish": null,
        "authors": if name == "lib" { vec!["A. Person <a@b.example>"] } else { vec![] },
        "categories": [], "keywords": [], "readme": null,
        "repository": "https://forge.example/people/lib", "homepage": null, "documentation": null,
        "edition": "2021", "links": null, "default_run": null,
    })
}

fn binary() -> Bom {
    let packages = [
        ("app", "0.1.0", true),
        ("own", "0.1.0", true),
        ("lib", "2.0.0+b", false),
        ("derive", "1.0.0", false),
    ];
    let metadata = serde_json::json!({
        "packages": packages.map(|(name, version, own)| package(name, version, own)),
        "workspace_members": [], "workspace_default_members": [], "resolve": null,
        "workspace_root": "/x", "target_directory": "/x/target", "version": 1, "metadata": null,
    });
    let metadata = serde_json::from_value(metadata).unwrap();
    let lib = Crate { name: "lib".to_owned(), version: "2.0.0+b".to_owned() };
    let sources = Sources {
        linked: &graph::parse(LINKED, "app").unwrap(),
        built: &graph::parse(BUILT, "app").unwrap(),
        metadata: &metadata,
        checksums: &BTreeMap::from([(lib, "11".repeat(32))]),
    };
    crates::bom(&SUBJECT, &sources).unwrap()
}

fn image() -> Bom {
    let purl = "pkg:oci/tool@sha256:00".to_owned();
    let mut bom = Bom::new(Component::new(Kind::Container, "tools/tool", "1.2.3", purl));
    let facts = RootFacts {
        status:
            "Package: tool\nStatus: install ok installed\nMaintainer: Some Team <t@x.example>\n\
                 Architecture: amd64\nVersion: 1:2-3\nDepends: libc6 (>= 2) | libc, gone\n\
                 Homepage: https://tool.example/\nDescription: a tool\n that works\n\n\
                 Package: libc6\nSource: glibc (2.41-12)\nStatus: install ok installed\nArchitecture: amd64\n\
                 Version: 2.41-12+deb13u5\nProvides: libc (= 2)\n\n\
                 Package: removed\nStatus: deinstall ok config-files\nVersion: 1\n"
                .to_owned(),
        os_release: "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nID=debian\nVERSION_ID=\"13\"\n"
            .to_owned(),
        copyrights: BTreeMap::from([
            (
                "tool".to_owned(),
                "Format: x\n\nFiles: *\nLicense: GPL-2+\n text\n\nLicense: BSD-3\n".to_owned(),
            ),
            ("libc6".to_owned(), "This is free software.\nLicense: whatever\n".to_owned()),
        ]),
    };
    let sums = BTreeMap::from([("tool".to_owned(), "22".repeat(32))]);
    dpkg::add(&mut bom, &facts, &sums).unwrap();
    bom.include(binary());
    bom
}

fn package_with_files() -> Bom {
    let purl = "pkg:generic/provisioner/app.tar.gz@1.2.3-rc.1".to_owned();
    let mut bom = Bom::new(Component::new(Kind::Archive, "app.tar.gz", "1.2.3-rc.1", purl));
    bom.include(binary());
    bom.depends(&bom.subject.reference.clone(), "file:LICENSE");
    let reference = "file:LICENSE".to_owned();
    bom.add(Component::without_purl(Kind::File, "LICENSE", "1.2.3-rc.1", reference));
    bom
}

/// A scanner's result, which is marked as incomplete.
fn make_scanned() -> Bom {
    Bom { complete: false, ..image() }
}

fn every_kind() -> [Bom; 5] {
    [binary(), image(), package_with_files(), Bom::new(binary().subject), make_scanned()]
}

fn write_and_parse(bom: &Bom, format: SbomFormat) -> Value {
    let scanner = Scanner { name: "syft", version: "1.18.1" };
    let origin = Origin { scanner: (!bom.complete).then_some(scanner), ..ORIGIN };
    serde_json::from_str(&to_json(bom, &origin, format).unwrap()).unwrap()
}

#[test]
fn the_documents_of_a_binary_are_as_they_were() {
    for format in SbomFormat::ALL {
        let document = to_json(&binary(), &ORIGIN, format).unwrap();
        insta::assert_snapshot!(format!("binary.{}", format.name()), document);
    }
}

#[test]
fn the_documents_of_an_image_are_as_they_were() {
    for format in SbomFormat::ALL {
        let document = to_json(&image(), &ORIGIN, format).unwrap();
        insta::assert_snapshot!(format!("image.{}", format.name()), document);
    }
}

/// Reads a schema; see `testdata/cyclonedx` and `testdata/spdx` for sources.
fn schema(path: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata");
    let text = std::fs::read_to_string(format!("{folder}/{path}.schema.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The schema accepts all documents, and rejects the binary's with `place` changed.
fn check_schema(validator: &jsonschema::Validator, format: SbomFormat, place: &str) {
    for bom in every_kind() {
        let document = write_and_parse(&bom, format);
        let faults: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
    let mut broken = write_and_parse(&binary(), format);
    *broken.pointer_mut(place).unwrap() = "sometimes".into();
    assert!(!validator.is_valid(&broken), "{place}");
}

#[test]
fn the_official_schema_of_cyclonedx_accepts_every_document() {
    let mut registry = jsonschema::Registry::new();
    for name in ["spdx", "jsf-0.82"] {
        let schema = schema(&format!("cyclonedx/{name}"));
        let id = schema["$id"].as_str().unwrap().to_owned();
        registry = registry.add(&id, schema).unwrap();
    }
    let registry = registry.prepare().unwrap();
    let schema = schema("cyclonedx/bom-1.6");
    let validator = jsonschema::options().with_registry(&registry).build(&schema).unwrap();
    check_schema(&validator, SbomFormat::CycloneDx, "/components/0/scope");
}

#[test]
fn the_official_schema_of_spdx_2_accepts_every_document() {
    let validator = jsonschema::validator_for(&schema("spdx/spdx-2.3")).unwrap();
    check_schema(&validator, SbomFormat::Spdx, "/packages/0/primaryPackagePurpose");
}

#[test]
fn the_schema_of_spdx_3_accepts_every_document() {
    let validator = jsonschema::validator_for(&schema("spdx/spdx-3.0.1")).unwrap();
    let document = write_and_parse(&binary(), SbomFormat::Spdx3);
    let graph = document["@graph"].as_array().unwrap();
    let at = graph.iter().position(|it| it["type"] == "Relationship").unwrap();
    let place = format!("/@graph/{at}/completeness");
    check_schema(&validator, SbomFormat::Spdx3, &place);
}

/// Names and versions of all components in a document of either format.
fn list_components(document: &Value, format: SbomFormat) -> BTreeSet<(String, String)> {
    let (items, name, version) = match format {
        SbomFormat::CycloneDx => (&document["components"], "name", "version"),
        SbomFormat::Spdx => (&document["packages"], "name", "versionInfo"),
        SbomFormat::Spdx3 => (&document["@graph"], "name", "software_packageVersion"),
    };
    let mut items: Vec<_> = items.as_array().unwrap().iter().collect();
    if format == SbomFormat::CycloneDx {
        items.push(&document["metadata"]["component"]);
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    items.into_iter().filter_map(|item| Some((text(&item[name])?, text(&item[version])?))).collect()
}

#[test]
fn all_formats_list_the_same() {
    for bom in every_kind() {
        let expected: BTreeSet<_> =
            bom.all_components().map(|it| (it.name.clone(), it.version.clone())).collect();
        for format in SbomFormat::ALL {
            assert_eq!(
                list_components(&write_and_parse(&bom, format), format),
                expected,
                "{format:?}"
            );
        }
    }
}

#[test]
fn another_content_is_another_document() {
    let mut other = binary();
    other.subject.description = Some("another".to_owned());
    for (format, place) in [
        (SbomFormat::CycloneDx, "/serialNumber"),
        (SbomFormat::Spdx, "/documentNamespace"),
        (SbomFormat::Spdx3, "/@graph/1/spdxId"),
    ] {
        let name = |bom: &Bom| write_and_parse(bom, format).pointer(place).unwrap().clone();
        assert_ne!(name(&binary()), name(&other), "{format:?}");
        assert_eq!(name(&binary()), name(&binary()), "{format:?}");
    }
}

#[test]
fn what_a_scanner_found_is_not_called_complete() {
    for (format, place, expected) in [
        (SbomFormat::CycloneDx, "/compositions/0/aggregate", "unknown"),
        (SbomFormat::CycloneDx, "/metadata/lifecycles/0/phase", "post-build"),
        (SbomFormat::CycloneDx, "/metadata/tools/components/1/version", "1.18.1"),
        (SbomFormat::Spdx, "/creationInfo/creators/2", "Tool: syft-1.18.1"),
        (SbomFormat::Spdx, "/creationInfo/comment", "Lifecycle: analyzed."),
        (SbomFormat::Spdx3, "/@graph/2/software_sbomType/0", "analyzed"),
    ] {
        assert_eq!(
            write_and_parse(&make_scanned(), format).pointer(place).unwrap(),
            expected,
            "{format:?}"
        );
        assert_ne!(
            write_and_parse(&image(), format).pointer(place),
            Some(&expected.into()),
            "{format:?}"
        );
        let text = write_and_parse(&make_scanned(), format).to_string().to_lowercase();
        let complete = text.matches(r#""complete""#).count() + text.matches("complete:").count();
        assert_eq!(complete, 0, "{format:?}");
    }
}

#[test]
fn build_time_components_are_marked() {
    let bom = binary();
    let excluded: Vec<_> = bom.all_components().filter(|it| it.scope == Scope::Excluded).collect();
    assert_eq!(excluded.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["derive"]);
    let spdx = write_and_parse(&bom, SbomFormat::Spdx).to_string();
    assert_eq!(spdx.matches("\"BUILD_DEPENDENCY_OF\"").count(), 1, "{spdx}");
    let spdx3 = write_and_parse(&bom, SbomFormat::Spdx3).to_string();
    assert_eq!(spdx3.matches("\"LifecycleScopedRelationship\"").count(), 1, "{spdx3}");
}

/// Every relationship refers to an element of the document.
#[test]
fn every_reference_in_spdx_is_to_something_that_is_there() {
    for bom in every_kind() {
        let spdx = write_and_parse(&bom, SbomFormat::Spdx);
        let mut known: HashSet<_> =
            spdx["packages"].as_array().unwrap().iter().map(|it| &it["SPDXID"]).collect();
        let (document, none) = (Value::from("SPDXRef-DOCUMENT"), Value::from("NONE"));
        let unknown = Value::from("NOASSERTION");
        known.extend([&document, if bom.complete { &none } else { &unknown }]);
        assert_eq!(known.len(), bom.components.len() + 3);
        for edge in spdx["relationships"].as_array().unwrap() {
            assert!(known.contains(&edge["spdxElementId"]), "{edge}");
            assert!(known.contains(&edge["relatedSpdxElement"]), "{edge}");
        }
        let spdx3 = write_and_parse(&bom, SbomFormat::Spdx3);
        let graph = spdx3["@graph"].as_array().unwrap();
        let known: HashSet<_> = graph.iter().filter_map(|it| it.get("spdxId")).collect();
        assert_eq!(known.len(), graph.len() - 1, "each id comes once, and one node has none");
        for name in ["from", "to", "rootElement", "element", "suppliedBy", "dataLicense"] {
            let values = graph.iter().filter_map(|element| element.get(name));
            for value in
                values.flat_map(|it| it.as_array().map_or(vec![it], |it| it.iter().collect()))
            {
                let nothing = if bom.complete { "/NoneElement" } else { "/NoAssertionElement" };
                let none = value.as_str().unwrap().ends_with(nothing);
                assert!(none || known.contains(value), "{name}: {value}");
            }
        }
    }
}

#[test]
fn every_reference_is_to_something_that_is_there() {
    for bom in [binary(), image()] {
        let mut known: BTreeSet<_> = bom.components.keys().collect();
        known.insert(&bom.subject.reference);
        for (from, to) in &bom.dependencies {
            assert!(known.contains(from), "{from}");
            assert!(to.iter().all(|to| known.contains(to)), "{to:?}");
        }
        assert_eq!(bom.dependencies.len(), known.len());
    }
}

#[test]
fn a_crate_that_metadata_does_not_know_is_named() {
    let linked = graph::parse("0app v0.1.0\n1ghost v1.0.0\n", "app").unwrap();
    let metadata = serde_json::from_value(serde_json::json!({
        "packages": [], "workspace_members": [], "resolve": null,
        "workspace_root": "/x", "target_directory": "/x/target", "version": 1, "metadata": null,
    }))
    .unwrap();
    let sources = Sources {
        linked: &linked,
        built: &linked,
        metadata: &metadata,
        checksums: &BTreeMap::new(),
    };
    let error = crates::bom(&SUBJECT, &sources).unwrap_err().to_string();
    assert!(error.contains("ghost 1.0.0"), "{error}");
}
