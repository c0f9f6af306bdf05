// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Every modification of a release is detected, and the affected file is reported.

use std::fs;
use std::path::Path;

use release::layout::{self, SbomFormat};
use release::{Architecture, Channel};
use serde_json::Value;
use signing::statement::COSIGN_SIGN;
use signing::{Bundle, PrivateKey, PublicKey, Statement};
use verify::Report;

use crate::support::{
    BINARY, DEB, DEBUG, IMAGE, ISO, KeyFile, PACKAGE, RPM, Release, SYSTEM, expect_failure,
    expect_success, sha256,
};

/// A signed release, restored after each modification.
struct Case {
    release: Release,
    key: PrivateKey,
    cases: usize,
}

impl Case {
    fn new() -> Self {
        Self::of(Release::create_signed)
    }

    fn of(make: impl Fn(&PrivateKey, &str) -> Release) -> Self {
        let key = PrivateKey::generate();
        let release = make(&key, "original");
        let report = release.verify(&key.public());
        assert!(report.is_verified(), "{report}");
        Self { release, key, cases: 0 }
    }

    /// Replaces the content of `path`, and expects a fault that names it.
    fn expect_caught(&mut self, path: &str, bytes: &[u8], what: &str) {
        let before = fs::read(self.release.path(path)).ok();
        self.release.put(path, bytes);
        assert_named(&self.release.verify(&self.key.public()), path, what);
        match before {
            Some(before) => self.release.put(path, &before),
            None => fs::remove_file(self.release.path(path)).unwrap(),
        }
        self.cases += 1;
    }

    /// Changes and removes each of `fields` of release.json, and expects a fault that names it.
    fn expect_caught_in_each(&mut self, manifest: &Value, fields: Vec<String>) {
        for field in fields {
            let mut changed = manifest.clone();
            let value = changed.pointer_mut(&field).unwrap();
            *value = make_other(value);
            let text = serde_json::to_string_pretty(&changed).unwrap();
            self.expect_caught(layout::MANIFEST, format!("{text}\n").as_bytes(), &field);
            remove(&mut changed, &field);
            let text = serde_json::to_string_pretty(&changed).unwrap();
            self.expect_caught(layout::MANIFEST, text.as_bytes(), &format!("{field} removed"));
        }
    }

    fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.release.path(path)).unwrap()
    }
}

/// Expects a rejection with a fault whose subject or place is `path`.
fn assert_named(report: &Report, path: &str, what: &str) {
    assert!(!report.is_verified(), "{path}: {what} went unnoticed");
    let named = report.faults.iter().any(|fault| fault.place == path || fault.subject == path);
    assert!(named, "{path}: {what} was noticed, but the file is not named:\n{report}");
    assert!(report.to_string().ends_with("\nREJECTED"), "{report}");
}

#[test]
fn a_flipped_byte_in_any_file_is_caught_and_named() {
    let mut case = Case::new();
    for path in case.release.files() {
        let bytes = case.read(&path);
        for (place, change) in [(0, 0x01), (bytes.len() / 2, 0xff), (bytes.len() - 1, 0x01)] {
            let mut flipped = bytes.clone();
            flipped[place] ^= change;
            case.expect_caught(&path, &flipped, &format!("byte {place} flipped by {change:#x}"));
        }
    }
    eprintln!("{} flipped bytes, all caught", case.cases);
}

#[test]
fn every_byte_of_what_no_digest_protects_counts() {
    let case = Case::new();
    let manifest = case.release.manifest();
    let image = format!("{}/{IMAGE}", layout::IMAGES);
    for path in [format!("{image}/oci-layout"), format!("{image}/index.json")] {
        let bytes = case.read(&path);
        for place in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[place] ^= 0x01;
            case.release.put(&path, &flipped);
            // Only the checks without a key, for speed: there are many bytes.
            let folder = verify::Folder::scan(case.release.root()).unwrap();
            let faults = verify::contents(&folder, &manifest);
            assert!(faults.iter().any(|fault| fault.place == path), "{path}: byte {place} flipped");
        }
        case.release.put(&path, &bytes);
    }
}

#[test]
fn a_file_cut_short_or_grown_is_caught_and_named() {
    let mut case = Case::new();
    for path in case.release.files() {
        let bytes = case.read(&path);
        for length in [0, bytes.len() - 1] {
            case.expect_caught(&path, &bytes[..length], &format!("cut to {length} bytes"));
        }
        case.expect_caught(&path, &[&bytes, b"\n".as_slice()].concat(), "grown by a line");
    }
}

#[test]
fn a_file_that_takes_the_place_of_another_is_caught_and_named() {
    let mut case = Case::new();
    let files = case.release.files();
    for (n, path) in files.iter().enumerate() {
        // The neighbours, which are of the same kind, and some further away.
        for distance in [1, 7, files.len() - 1] {
            let other = &files[(n + distance) % files.len()];
            let bytes = case.read(other);
            case.expect_caught(path, &bytes, &format!("replaced by {other}"));
        }
    }
    eprintln!("{} swaps, all caught", case.cases);
}

#[test]
fn a_removed_file_is_caught_and_named() {
    let case = Case::new();
    for path in case.release.files() {
        let bytes = case.read(&path);
        fs::remove_file(case.release.path(&path)).unwrap();
        assert_named(&case.release.verify(&case.key.public()), &path, "removed");
        case.release.put(&path, &bytes);
    }
}

#[test]
fn an_added_file_or_link_is_caught_and_named() {
    let mut case = Case::new();
    let image = format!("{}/{IMAGE}", layout::IMAGES);
    for path in [
        "README",
        ".hidden",
        "sbom/other.cdx.json",
        "signatures/other.sigstore.json",
        "provenance/deep/folder/file",
        "images/other/oci-layout",
        &format!("{image}/blobs/sha256/{}", sha256(b"extra")),
        &format!("{image}/extra"),
    ] {
        case.expect_caught(path, b"extra", "added");
    }
    let link = case.release.path(BINARY);
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    fs::write(elsewhere.path(), fs::read(&link).unwrap()).unwrap();
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
    assert_named(&case.release.verify(&case.key.public()), BINARY, "a link to equal bytes");
}

#[test]
fn a_replayed_older_signature_is_caught_and_named() {
    let mut case = Case::new();
    let older = Release::create_signed(&case.key, "older");
    let folders = [layout::SIGNATURES, layout::PROVENANCE];
    let is_signature = |path: &String| {
        folders.iter().any(|folder| path.starts_with(folder)) || path.ends_with("sigstore.json")
    };
    let paths: Vec<_> = older.files().into_iter().filter(is_signature).collect();
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        let replayed = fs::read(older.path(&path)).unwrap();
        case.expect_caught(&path, &replayed, "an older release's");
    }
    // An older file with its valid signature does not belong to this release either.
    let signature = layout::signature(BINARY);
    case.release.put(&signature, &fs::read(older.path(&signature)).unwrap());
    case.expect_caught(
        BINARY,
        &fs::read(older.path(BINARY)).unwrap(),
        "an older file and its signature",
    );
}

#[test]
fn a_signature_by_another_key_is_caught_and_named() {
    let mut case = Case::new();
    let stranger = case.release.copy();
    let other = PrivateKey::generate();
    for verb in ["sign", "attest"] {
        if verb == "attest" {
            // The other key signed and attested consistently.
            assert!(!stranger.verify(&other.public()).is_verified());
        }
        expect_success(&stranger.notary(verb, Some(&KeyFile::new(&other))));
    }
    assert!(stranger.verify(&other.public()).is_verified());
    let report = stranger.verify(&case.key.public());
    assert_named(&report, layout::MANIFEST, "all signed by another key");
    for path in stranger.files() {
        let bytes = fs::read(stranger.path(&path)).unwrap();
        if bytes != case.read(&path) {
            case.expect_caught(&path, &bytes, "made with another key");
        }
    }
    assert!(case.cases >= 15, "{}", case.cases);
}

#[test]
fn an_attestation_in_place_of_a_signature_is_caught_and_named() {
    let mut case = Case::new();
    let (signature, provenance) = (layout::signature(IMAGE), layout::provenance(IMAGE));
    let [sbom, spdx] = SbomFormat::REQUIRED.map(|format| layout::sbom_attestation(IMAGE, format));
    for (place, impostor) in [
        (&signature, &provenance),
        (&signature, &sbom),
        (&provenance, &sbom),
        (&sbom, &signature),
        (&sbom, &spdx),
        (&spdx, &sbom),
    ] {
        let impostor = case.read(impostor);
        case.expect_caught(place, &impostor, "a good statement of another kind");
    }
    for path in [BINARY, PACKAGE, DEB, RPM, DEBUG, layout::CHECKSUMS] {
        let impostor = case.read(&layout::provenance(path));
        case.expect_caught(
            &layout::signature(path),
            &impostor,
            "an attestation in place of a signature",
        );
    }
    // Correct key and file, but a signature of the kind for images.
    let digest = signing::sha256(&case.read(BINARY));
    let statement = Statement::new(BINARY, &digest, COSIGN_SIGN, serde_json::json!({}));
    let bundle = Bundle::sign_statement(&case.key, &statement).unwrap().to_json().unwrap();
    case.expect_caught(&layout::signature(BINARY), &bundle, "the signature of an image for a file");
}

#[test]
fn a_provenance_that_claims_something_else_is_caught_though_the_key_signed_it() {
    let mut case = Case::new();
    let path = layout::provenance(BINARY);
    let bundle = Bundle::parse(&case.read(&path)).unwrap();
    let good = bundle.verify_any_statement(&case.key.public()).unwrap();
    for (place, value) in [
        ("/runDetails/builder/id", "https://example.org/evil"),
        ("/buildDefinition/buildType", "https://example.org/evil"),
        ("/buildDefinition/externalParameters/source/uri", "https://example.org/evil"),
        ("/buildDefinition/externalParameters/source/commit", "0000"),
        ("/buildDefinition/externalParameters/channel", "stable"),
        ("/buildDefinition/externalParameters/pipeline", "mine"),
        ("/buildDefinition/resolvedDependencies/0/uri", "git+https://example.org/evil"),
    ] {
        let mut changed = good.clone();
        *changed.predicate.pointer_mut(place).unwrap() = value.into();
        case.expect_caught(&path, &sign(&case.key, &changed), place);
    }
    for place in ["/buildDefinition/externalParameters", "/buildDefinition/internalParameters"] {
        let mut changed = good.clone();
        changed.predicate.pointer_mut(place).unwrap()["unknown"] = 1.into();
        case.expect_caught(&path, &sign(&case.key, &changed), "an unknown parameter");
    }
}

fn sign(key: &PrivateKey, statement: &Statement) -> Vec<u8> {
    Bundle::sign_statement(key, statement).unwrap().to_json().unwrap()
}

#[test]
fn every_changed_field_of_the_manifest_is_caught_and_named() {
    let mut case = Case::new();
    let manifest: Value = serde_json::from_slice(&case.read(layout::MANIFEST)).unwrap();
    let mut fields = Vec::new();
    leaves(&manifest, "", &mut fields);
    assert!(fields.len() > 80, "{fields:?}");
    for expected in [
        "/reproduced/variations/0",
        "/reproduced/identical/0",
        "/reproduced/different/0",
        "/reproduced/not_tried/clock/0",
    ] {
        assert!(fields.iter().any(|it| it == expected), "{expected} is not in {fields:?}");
    }
    case.expect_caught_in_each(&manifest, fields);
}

/// Covers ISOs and multi-architecture images, which the tests above lack.
#[test]
fn whatever_is_done_to_the_maintenance_os_or_its_iso_is_caught_and_named() {
    let mut case = Case::of(Release::create_signed_with_system);
    let older = Release::create_signed_with_system(&case.key, "older");
    let stranger = case.release.copy();
    stranger.sign(&PrivateKey::generate());
    let of_these = |path: &String| path.contains("maintenance");
    let files: Vec<_> = case.release.files().into_iter().filter(of_these).collect();
    for expected in [
        ISO.to_owned(),
        layout::signature(ISO),
        layout::provenance(ISO),
        layout::sbom(ISO, SbomFormat::Spdx3),
        layout::signature(SYSTEM),
        layout::legacy_signature(&layout::part(SYSTEM, Architecture::Arm64)),
        format!("{}/{SYSTEM}/index.json", layout::IMAGES),
    ] {
        assert!(files.contains(&expected), "{expected} is not in {files:?}");
    }
    for (n, path) in files.iter().enumerate() {
        let bytes = case.read(path);
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2] ^= 0xff;
        case.expect_caught(path, &flipped, "a byte flipped");
        case.expect_caught(path, &bytes[..bytes.len() - 1], "cut short");
        let neighbour = case.read(&files[(n + 1) % files.len()]);
        if neighbour != bytes {
            case.expect_caught(path, &neighbour, "replaced by its neighbour");
        }
        for (from, what) in [(&older, "an older release's"), (&stranger, "made with another key")] {
            let replaced = fs::read(from.path(path)).ok().filter(|it| *it != bytes);
            if let Some(replaced) = replaced {
                case.expect_caught(path, &replaced, what);
            }
        }
        fs::remove_file(case.release.path(path)).unwrap();
        assert_named(&case.release.verify(&case.key.public()), path, "removed");
        case.release.put(path, &bytes);
    }
    for (name, attested) in [(ISO, layout::provenance(ISO)), (SYSTEM, layout::provenance(SYSTEM))] {
        let impostor = case.read(&attested);
        case.expect_caught(
            &layout::signature(name),
            &impostor,
            "an attestation in place of a signature",
        );
    }

    let manifest: Value = serde_json::from_slice(&case.read(layout::MANIFEST)).unwrap();
    let mut fields = Vec::new();
    for list in ["artifacts", "images"] {
        for (n, item) in manifest[list].as_array().unwrap().iter().enumerate() {
            if item.to_string().contains("maintenance") {
                leaves(item, &format!("/{list}/{n}"), &mut fields);
            }
        }
    }
    assert!(fields.len() > 40, "{fields:?}");
    case.expect_caught_in_each(&manifest, fields);
    eprintln!("{} cases, all caught", case.cases);
}

/// Collects the JSON pointers of all leaf values.
fn leaves(value: &Value, place: &str, into: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let key = key.replace('~', "~0").replace('/', "~1");
                leaves(value, &format!("{place}/{key}"), into);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                leaves(item, &format!("{place}/{n}"), into);
            }
        }
        _ => into.push(place.to_owned()),
    }
}

/// Another value of the same type.
fn make_other(value: &Value) -> Value {
    match value {
        Value::Bool(b) => (!b).into(),
        Value::Number(n) => (n.as_u64().unwrap() + 1).into(),
        Value::String(text) => match text.as_str() {
            "snapshot" => "stable".into(),
            "amd64" => "arm64".into(),
            "binary" => "package".into(),
            "package" | "sbom" | "checksums" | "debug" | "iso" => "binary".into(),
            text => format!("{text}x").into(),
        },
        // null, and empty lists and objects, where only the type can change.
        _ => "something".into(),
    }
}

fn remove(manifest: &mut Value, field: &str) {
    let (parent, last) = field.rsplit_once('/').unwrap();
    match manifest.pointer_mut(parent).unwrap() {
        Value::Object(map) => drop(map.remove(&last.replace("~1", "/").replace("~0", "~"))),
        Value::Array(items) => drop(items.remove(last.parse().unwrap())),
        _ => {}
    }
}

#[test]
fn a_manifest_that_breaks_its_own_rules_is_caught_though_the_key_signed_it() {
    let key = PrivateKey::generate();
    let release = Release::create_signed(&key, "");
    let good: Value =
        serde_json::from_slice(&fs::read(release.path(layout::MANIFEST)).unwrap()).unwrap();
    for (field, value, expected) in [
        ("/artifacts/0/path", Value::from("../outside"), "may lead out"),
        ("/artifacts/0/path", "/etc/passwd".into(), "may lead out"),
        ("/artifacts/0/path", good["artifacts"][1]["path"].clone(), "two files"),
        ("/images/0/layout", "elsewhere".into(), "is not in the folder"),
        ("/channel", "stable".into(), "does not fit the channel"),
        ("/channel", "candidate".into(), "does not fit the channel"),
        ("/version", "1.0.0".into(), "does not fit the channel"),
        ("/source/commit", "0000".into(), "is not among the materials"),
        (
            "/reproduced/identical/0",
            "nowhere".into(),
            "reproduced has \"nowhere\", which is not in the release",
        ),
        ("/reproduced/different/0", BINARY.into(), "twice"),
        ("/reproduced/variations/0", "x".into(), "not_tried has \"clock\", which variations lacks"),
        (
            "/reproduced/not_tried/clock/0",
            "nowhere".into(),
            "not_tried has \"nowhere\" for clock, which is not in the release",
        ),
    ] {
        let mut changed = good.clone();
        *changed.pointer_mut(field).unwrap() = value;
        let text = serde_json::to_string_pretty(&changed).unwrap();
        release.put(layout::MANIFEST, text.as_bytes());
        let bundle = Bundle::sign_file(&key, &signing::sha256(text.as_bytes())).unwrap();
        release.put(&layout::signature(layout::MANIFEST), &bundle.to_json().unwrap());
        let report = release.verify(&key.public());
        assert_named(&report, layout::MANIFEST, field);
        assert!(report.to_string().contains(expected), "{field}:\n{report}");
    }
}

#[test]
fn a_changed_work_tree_is_no_release() {
    let release = Release::create_unsigned(Channel::Stable, "");
    let text = fs::read_to_string(release.path(layout::MANIFEST)).unwrap();
    release.put(layout::MANIFEST, text.replace("\"dirty\": false", "\"dirty\": true").as_bytes());
    let key = KeyFile::new(&PrivateKey::generate());
    let error = expect_failure(&release.notary("sign", Some(&key)));
    assert!(error.contains("can only be a snapshot"), "{error}");
}

#[test]
fn all_faults_are_named_and_not_only_the_first() {
    let case = Case::new();
    case.release.put(BINARY, b"one");
    fs::remove_file(case.release.path(PACKAGE)).unwrap();
    case.release.put("third", b"three");
    fs::remove_file(case.release.path(&layout::provenance(layout::CHECKSUMS))).unwrap();
    let report = case.release.verify(&case.key.public());
    for path in [BINARY, PACKAGE, "third", layout::CHECKSUMS] {
        assert_named(&report, path, "one of four faults");
    }
}

#[test]
fn nothing_is_verified_where_there_is_nothing() {
    let key: PublicKey = PrivateKey::generate().public();
    let empty = tempfile::tempdir().unwrap();
    let report = verify::folder(empty.path(), &key, &verify::Policy::default()).unwrap();
    assert_named(&report, layout::MANIFEST, "an empty folder");
    assert!(verify::folder(Path::new("/nowhere"), &key, &verify::Policy::default()).is_err());
}
