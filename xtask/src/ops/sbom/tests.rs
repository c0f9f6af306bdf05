// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Documents as a whole: golden files, and the official schema.

use std::collections::{BTreeMap, BTreeSet};

use super::crates::{self, Sources, Subject};
use super::cyclonedx::{Bom, Component, Kind, Origin};
use super::debian::{self, RootFacts};
use crate::ops::cargo::graph::{self, Crate};

const ORIGIN: Origin<'_> =
    Origin { tool_version: "0.1.0", vendor: "The Authors", epoch: 1_760_000_000 };

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

/// A package as `cargo metadata` tells it.
fn package(name: &str, version: &str, own: bool) -> serde_json::Value {
    serde_json::json!({
        "name": name, "version": version, "id": format!("{name}@{version}"),
        "license": "MIT/Apache-2.0",
        "description": "Does\n  things",
        "source": if own { serde_json::Value::Null } else { "registry+https://registry.example/index".into() },
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
        linked: &graph::parse(LINKED).unwrap(),
        built: &graph::parse(BUILT).unwrap(),
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
    debian::add(&mut bom, &facts, &sums).unwrap();
    bom.include(binary());
    bom
}

#[test]
fn the_document_of_a_binary_is_as_it_was() {
    insta::assert_snapshot!(binary().to_json(&ORIGIN).unwrap());
}

#[test]
fn the_document_of_an_image_is_as_it_was() {
    insta::assert_snapshot!(image().to_json(&ORIGIN).unwrap());
}

/// `testdata/cyclonedx` says where the schema comes from.
#[test]
fn the_official_schema_accepts_every_document() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/cyclonedx");
    let read = |name: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(format!("{folder}/{name}.schema.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let mut registry = jsonschema::Registry::new();
    for name in ["spdx", "jsf-0.82"] {
        let schema = read(name);
        let id = schema["$id"].as_str().unwrap().to_owned();
        registry = registry.add(&id, schema).unwrap();
    }
    let registry = registry.prepare().unwrap();
    let schema = read("bom-1.6");
    let validator = jsonschema::options().with_registry(&registry).build(&schema).unwrap();
    for bom in [binary(), image(), Bom::new(binary().subject)] {
        let document = serde_json::from_str(&bom.to_json(&ORIGIN).unwrap()).unwrap();
        let faults: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
    let mut broken: serde_json::Value =
        serde_json::from_str(&binary().to_json(&ORIGIN).unwrap()).unwrap();
    broken["components"][0]["scope"] = "sometimes".into();
    assert!(!validator.is_valid(&broken));
}

#[test]
fn every_reference_is_to_something_that_is_there() {
    for bom in [binary(), image()] {
        let mut known: BTreeSet<_> = bom.components.keys().collect();
        known.insert(&bom.subject.bom_ref);
        for (from, to) in &bom.dependencies {
            assert!(known.contains(from), "{from}");
            assert!(to.iter().all(|to| known.contains(to)), "{to:?}");
        }
        assert_eq!(bom.dependencies.len(), known.len());
    }
}

#[test]
fn a_crate_that_metadata_does_not_know_is_named() {
    let linked = graph::parse("0app v0.1.0\n1ghost v1.0.0\n").unwrap();
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
