// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! `notary publish` with a registry that fails at each request in turn.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use release::{Channel, layout};
use serde_json::Value;
use signing::PrivateKey;
use test_support::assert_contains;

use crate::mock_registry::{Fault, Registry};
use crate::support::{BINARY, IMAGE, Release, expect_failure, expect_success, notary};

/// Tags of the published stable release.
const TAGS: [&str; 2] = ["product/release:v0.1.0", "product/tools/example:v0.1.0"];

/// A release, signed and attested with a new key.
fn create_signed(channel: Channel, salt: &str) -> Release {
    let release = Release::create_unsigned(channel, salt);
    release.sign(&PrivateKey::generate());
    release
}

fn command(release: &Release, registry: &Registry) -> Command {
    let mut command = release.publish(&registry.namespace());
    command.arg("--json");
    command
}

/// Publishes and returns the report.
fn publish(release: &Release, registry: &Registry) -> Value {
    let output = expect_success(&command(release, registry).output().unwrap());
    serde_json::from_str(&output).unwrap()
}

/// Publishes, expecting a failure, and returns the error.
fn expect_refusal(release: &Release, registry: &Registry) -> String {
    expect_failure(&command(release, registry).output().unwrap())
}

#[test]
fn everything_is_there_before_the_first_tag_and_nothing_is_sent_twice() {
    let release = create_signed(Channel::Stable, "content");
    let registry = Registry::start(true);
    let report = publish(&release, &registry);
    assert_eq!(registry.state().versions(), TAGS);
    let calls = registry.state().calls.clone();
    let first_tag = format!("PUT /v2/product/{IMAGE}/manifests/v0.1.0");
    let first_tag = calls.iter().position(|call| *call == first_tag).unwrap();
    let last = ["HEAD", "PUT"].map(|it| format!("{it} /v2/product/release/manifests/v0.1.0"));
    assert_eq!(calls[first_tag + 1..], last);
    assert_eq!(report["tags"]["set"], 2);
    assert!(report["blobs"]["uploaded"].as_u64().unwrap() > 10, "{report}");

    registry.fail(Fault::None);
    let report = publish(&release, &registry);
    assert_eq!(registry.state().writes(), 0);
    assert_eq!(report["tags"]["present"], 2);
    for kind in ["blobs", "manifests"] {
        assert_eq!(report[kind]["uploaded"], 0, "{report}");
    }
}

/// Certificates and the expiry of channels depend on the clock.
#[test]
fn a_registry_with_another_time_is_sent_nothing() {
    let release = create_signed(Channel::Stable, "content");
    let registry = Registry::start(true);
    registry.state().date = Some("Thu, 01 Jan 2015 00:00:00 GMT".to_owned());
    let message = expect_refusal(&release, &registry);
    assert!(message.contains("the clock of this machine is") && message.contains("ahead of"));
    assert_eq!(registry.state().calls, ["GET /v2/"]);
}

/// Artifact types of the image's referrers.
fn referrer_types(registry: &Registry) -> Vec<String> {
    let state = registry.state();
    let documents = state.manifests.values().map(|(_, bytes)| bytes);
    let documents = documents.map(|bytes| serde_json::from_slice::<Value>(bytes).unwrap());
    let types = documents.filter(|d| d["subject"].is_object());
    types.map(|d| d["artifactType"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn images_of_a_snapshot_are_pushed_as_soon_as_they_are_built() {
    let registry = Registry::start(true);
    let push = |release: &Release, name: &str| {
        let mut command = notary();
        command.args(["push-images", name, "--to", &registry.namespace()]);
        command.arg("--release").arg(release.root()).output().unwrap()
    };
    let snapshot = Release::create_unsigned(Channel::Snapshot, "content");
    // Images of an incomplete release.
    fs::remove_file(snapshot.path(layout::CHECKSUMS)).unwrap();
    expect_success(&push(&snapshot, IMAGE));
    assert_eq!(registry.state().versions(), ["product/tools/example:v0.1.0-snapshot.c0ffee"]);
    assert!(referrer_types(&registry).is_empty());

    assert!(
        expect_failure(&push(&snapshot, "tools/other")).contains("has no image \"tools/other\"")
    );
    let stable = Release::create_unsigned(Channel::Stable, "content");
    assert!(expect_failure(&push(&stable, IMAGE)).contains("a release is published signed"));
}

#[test]
fn signatures_are_referrers_and_a_tag() {
    let release = create_signed(Channel::Stable, "content");
    let registry = Registry::start(true);
    publish(&release, &registry);
    let mut types = referrer_types(&registry);
    types.sort();
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let (cyclonedx, spdx) = ("application/vnd.cyclonedx+json", "application/spdx+json");
    assert_eq!(types, [spdx, spdx, cyclonedx, bundle, bundle, bundle, bundle]);
    let state = registry.state();
    let image = &state.tags[&(format!("product/{IMAGE}"), "v0.1.0".to_owned())];
    let tag = format!("{}.sig", image.replace(':', "-"));
    let signature = &state.tags[&(format!("product/{IMAGE}"), tag)];
    let (_, bytes) = &state.manifests[&(format!("product/{IMAGE}"), signature.clone())];
    let document: Value = serde_json::from_slice(bytes).unwrap();
    let layer = &document["layers"][0];
    assert_eq!(layer["mediaType"], "application/vnd.dev.cosign.simplesigning.v1+json");
    assert!(layer["annotations"]["dev.cosignproject.cosign/signature"].is_string());
}

#[test]
fn a_registry_without_the_referrers_api_gets_an_index_under_a_tag() {
    let release = create_signed(Channel::Stable, "content");
    let registry = Registry::start(false);
    publish(&release, &registry);
    registry.fail(Fault::None);
    publish(&release, &registry);
    assert_eq!(registry.state().writes(), 0);
    let state = registry.state();
    let image = &state.tags[&(format!("product/{IMAGE}"), "v0.1.0".to_owned())];
    let index = &state.tags[&(format!("product/{IMAGE}"), image.replace(':', "-"))];
    let (_, bytes) = &state.manifests[&(format!("product/{IMAGE}"), index.clone())];
    let index: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 7);
}

#[test]
fn a_fault_at_any_call_moves_no_tag_and_another_run_finishes() {
    let release = create_signed(Channel::Stable, "content");
    let reference = Registry::start(true);
    publish(&release, &reference);
    let record = reference.state().calls.clone();
    let calls = record.len();
    // Blob requests are alike, so only every tenth fails. Each other request fails once.
    let is_blob = |n: &usize| record[*n].contains("/blobs/") && !n.is_multiple_of(10);
    let once = (0..calls).filter(|n| !is_blob(n)).map(Fault::Only);
    // A permanent outage behaves differently only after the first tag.
    let faults = once.chain([calls / 2, calls - 3, calls - 2, calls - 1].map(Fault::From));
    for fault in faults {
        let registry = Registry::start(true);
        registry.fail(fault);
        let output = command(&release, &registry).output().unwrap();
        // An upload of the preflight that can't be cancelled expires.
        let cancels = |n: usize| registry.state().calls[n].starts_with("DELETE ");
        if output.status.success() && matches!(fault, Fault::Only(n) if cancels(n)) {
            continue;
        }
        let message = expect_failure(&output);
        assert!(message.contains("status 403"), "{fault:?}: {message}");
        let standing = registry.state().versions();
        match fault {
            // The rollback of a tag fails too: the error must name the tag.
            Fault::From(n) if n >= calls - 2 => {
                assert_eq!(standing, [format!("product/{IMAGE}:v0.1.0")]);
                assert!(
                    message.contains(&format!("could not be restored: product/{IMAGE}:v0.1.0")),
                    "{message}"
                );
            }
            _ => assert!(standing.is_empty(), "{fault:?}: {standing:?}"),
        }
        registry.fail(Fault::None);
        // The mock registry panics when a blob is uploaded twice.
        publish(&release, &registry);
        assert_eq!(registry.state().versions(), TAGS);
        assert_eq!(registry.state().manifests, reference.state().manifests, "{fault:?}");
    }
}

#[test]
fn a_run_that_is_killed_is_finished_by_the_next() {
    let release = create_signed(Channel::Stable, "content");
    let reference = Registry::start(true);
    publish(&release, &reference);
    let calls = reference.state().calls.len();
    for at in [1, calls / 4, calls / 2, calls - 12, calls - 1] {
        let registry = Registry::start(true);
        registry.fail(Fault::Hang(at));
        let mut command = command(&release, &registry);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while registry.state().calls.len() <= at {
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
            thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        registry.fail(Fault::None);
        publish(&release, &registry);
        assert_eq!(registry.state().manifests, reference.state().manifests, "killed at call {at}");
    }
}

#[test]
fn a_version_never_changes() {
    let registry = Registry::start(true);
    let first = create_signed(Channel::Stable, "content");
    publish(&first, &registry);
    let before = registry.state().tags.clone();
    registry.fail(Fault::None);
    for release in
        [create_signed(Channel::Stable, "another"), create_signed(Channel::Stable, "content")]
    {
        assert_contains(expect_refusal(&release, &registry), ":v0.1.0 is already published");
        let replace = command(&release, &registry).arg("--replace-snapshot").output().unwrap();
        assert_contains(expect_failure(&replace), ":v0.1.0 is already published");
    }
    assert_eq!(registry.state().writes(), 0);
    assert_eq!(registry.state().tags, before);
}

#[test]
fn a_snapshot_may_be_signed_anew_but_not_changed_unless_it_is_dirty() {
    let registry = Registry::start(true);
    let release = create_signed(Channel::Snapshot, "content");
    publish(&release, &registry);
    release.sign(&PrivateKey::generate());
    publish(&release, &registry);
    assert_eq!(
        referrer_types(&registry).len(),
        7 + 4,
        "the SBOMs are the same, the bundles are not"
    );
    let legacy = |registry: &Registry| {
        let state = registry.state();
        let (tag, digest) = state.tags.iter().find(|((_, tag), _)| tag.contains(".sig")).unwrap();
        let (_, bytes) = &state.manifests[&(tag.0.clone(), digest.clone())];
        serde_json::from_slice::<Value>(bytes).unwrap()["layers"].as_array().unwrap().len()
    };
    assert_eq!(legacy(&registry), 2, "each key has its signature");

    let changed = create_signed(Channel::Snapshot, "another");
    assert!(expect_refusal(&changed, &registry).contains("is already published"));
    let replace = command(&changed, &registry).arg("--replace-snapshot").output().unwrap();
    expect_success(&replace);
    publish(&changed, &registry);

    let dirty = Registry::start(true);
    for salt in ["one", "two"] {
        let release = Release::create_unsigned(Channel::Snapshot, salt);
        let mut manifest = release.manifest();
        manifest.source.dirty = true;
        release.put(layout::MANIFEST, manifest.to_json().unwrap().as_bytes());
        release.sign(&PrivateKey::generate());
        publish(&release, &dirty);
    }
}

#[test]
fn what_is_not_whole_is_not_published() {
    let registry = Registry::start(true);
    let unsigned = Release::create_unsigned(Channel::Stable, "content");
    assert_contains(expect_refusal(&unsigned, &registry), "sign and attest the release");

    let changed = create_signed(Channel::Stable, "content");
    changed.put(BINARY, b"c0ntent");
    assert!(expect_refusal(&changed, &registry).contains(BINARY));

    let shortened = create_signed(Channel::Stable, "content");
    let blobs = shortened.root().join("images").join(IMAGE).join("blobs/sha256");
    let blob = fs::read_dir(blobs).unwrap().next().unwrap().unwrap();
    fs::write(blob.path(), "").unwrap();
    assert_contains(expect_refusal(&shortened, &registry), blob.file_name().to_str().unwrap());

    assert!(registry.state().calls.is_empty());
}
