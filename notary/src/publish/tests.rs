// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Injects a fault at every request of a small publication.

#[path = "../../tests/it/mock_registry.rs"]
mod registry;

use std::collections::BTreeMap;
use std::time::Duration;

use oci::client::{CredentialSource, Policy};
use oci::spec::{Descriptor, ImageManifest};
use oci::{Digest, Tag, artifact, json, media_type};
use serde_json::json;

use self::registry::{Failure, Fault, Registry};
use super::*;
use crate::publish::planned::{
    Blob, Document, LegacySignature, PlannedTag, Referrer, RepositoryPlan, TagRule,
};

/// The tags of the plan.
const TAGS: [&str; 2] = ["p/os:v1.0.0", "p/tool:v1.0.0"];

fn image(layers: &[&Blob], config: &str) -> (Blob, Document) {
    let config = Blob::bytes(config.as_bytes().to_vec());
    let describe = |blob: &Blob, kind: &str| artifact::descriptor(kind, &blob.digest, blob.size);
    let manifest: ImageManifest = serde_json::from_value(json!({
        "schemaVersion": 2,
        "mediaType": media_type::IMAGE_MANIFEST,
        "config": describe(&config, media_type::IMAGE_CONFIG),
        "layers": layers.iter().map(|it| describe(it, media_type::IMAGE_LAYER)).collect::<Vec<_>>(),
    }))
    .unwrap();
    (config, Document::new(&manifest).unwrap())
}

fn index(parts: &[&Document]) -> Document {
    let manifests: Vec<Descriptor> = parts.iter().map(|it| it.descriptor()).collect();
    let bytes = json::canonical(&artifact::index(manifests).unwrap()).unwrap();
    let media_type = media_type::IMAGE_INDEX.to_owned();
    Document { digest: Digest::sha256(&bytes), media_type, bytes }
}

/// An image for two platforms, and one for one platform that shares a layer with it; both with a
/// referrer and a legacy signature.
fn plan() -> Plan {
    let [shared, own, bundle] = ["shared", "own", "bundle"].map(|it| it.as_bytes().to_vec());
    let blob = |bytes: &Vec<u8>| Blob::bytes(bytes.clone());
    let (amd64, first) = image(&[&blob(&shared)], "amd64");
    let (arm64, second) = image(&[&blob(&shared), &blob(&own)], "arm64");
    let (tool, third) = image(&[&blob(&shared)], "tool");
    let root = index(&[&first, &second]);
    let repository = |name: &str, blobs: Vec<Blob>, manifests: Vec<Document>| {
        let root = manifests.last().unwrap().clone();
        let layer = artifact::descriptor("application/x", &blob(&bundle).digest, 6);
        let subject = Some(root.descriptor());
        let referrer = artifact::manifest("application/x", vec![layer], subject, BTreeMap::new());
        let layer = artifact::descriptor("application/y", &blob(&bundle).digest, 6);
        let tag = Tag::of_signature(&root.digest);
        let version = PlannedTag { tag: "v1.0.0".parse().unwrap(), rule: TagRule::Fixed };
        let common = [blob(&bundle), Blob::bytes(artifact::EMPTY_JSON.to_vec())];
        RepositoryPlan {
            name: format!("p/{name}").parse().unwrap(),
            blobs: blobs.into_iter().chain(common).collect(),
            manifests,
            referrers: vec![Referrer::new(&referrer.unwrap()).unwrap()],
            legacy_signatures: vec![LegacySignature { tag, layer }],
            root,
            tags: vec![version],
        }
    };
    let os = vec![blob(&shared), blob(&own), amd64, arm64];
    Plan {
        repositories: vec![
            repository("os", os, vec![first, second, root]),
            repository("tool", vec![blob(&shared), tool], vec![third]),
        ],
    }
}

fn publish(plan: &Plan, registry: &Registry, attempts: u32) -> Result<Report> {
    let target: Namespace = registry.address.parse().unwrap();
    let retry = Policy { attempts, first: Duration::from_millis(1), ..Policy::default() };
    let credentials = CredentialSource::Anonymous;
    let options = Options { retry, credentials, ..Options::default() };
    send(plan, &target, &Client::new(&target.registry, options))
}

/// Returns true if both registries have the same content under the same tags.
fn assert_same(registry: &Registry, reference: &Registry, what: &str) {
    let (found, expected) = (registry.state(), reference.state());
    assert_eq!(found.versions(), TAGS, "{what}");
    assert_eq!(found.tags, expected.tags, "{what}");
    assert_eq!(found.manifests, expected.manifests, "{what}");
    assert_eq!(found.blobs, expected.blobs, "{what}");
}

/// A registry with the published plan, and the number of requests it took.
fn reference(plan: &Plan, referrers: bool) -> (Registry, usize) {
    let registry = Registry::start(referrers);
    publish(plan, &registry, 1).unwrap();
    let calls = registry.state().calls.len();
    assert!(calls > 40, "{calls}");
    (registry, calls)
}

#[test]
fn one_transient_fault_at_any_call_changes_nothing() {
    let plan = plan();
    for referrers in [true, false] {
        let (reference, calls) = reference(&plan, referrers);
        let registry = Registry::start(referrers);
        let failures = [Failure::Dropped, Failure::Lost, Failure::Status(500), Failure::Busy];
        // Registries without the API differ in what is written, not in how they fail.
        let kinds = if referrers { failures.len() } else { 2 };
        for failure in failures.into_iter().take(kinds) {
            for call in 0..calls {
                registry.reset();
                registry.fail(Fault::Once(call, failure));
                let what = format!("{failure:?} at call {call} of {calls}");
                publish(&plan, &registry, 3).map_err(|error| format!("{what}: {error:#}")).unwrap();
                assert_same(&registry, &reference, &what);
                let state = registry.state();
                let last = state.calls.iter().rposition(|it| !it.contains("/manifests/v1.0.0"));
                let first = state
                    .calls
                    .iter()
                    .position(|it| it.starts_with("PUT ") && it.contains("/manifests/v1.0.0"));
                assert!(first > last, "{what}: a tag was set before the last of the rest");
            }
        }
    }
}

#[test]
fn a_registry_that_fails_from_any_call_on_has_no_tag_and_the_next_run_finishes() {
    let plan = plan();
    let (reference, calls) = reference(&plan, true);
    let registry = Registry::start(true);
    for failure in [Failure::Dropped, Failure::Status(403), Failure::Status(500)] {
        for call in 0..calls {
            registry.reset();
            registry.fail(Fault::Forever(call, failure));
            let what = format!("{failure:?} from call {call} of {calls}");
            let error = format!("{:#}", publish(&plan, &registry, 2).expect_err(&what));
            for standing in registry.state().versions() {
                // The rollback of a tag fails too.
                assert!(error.contains(&standing), "{what}: {error}");
                assert!(call >= calls - 2, "{what}: the last tag is read and set after the first");
            }
            registry.fail(Fault::None);
            // The mock registry panics when a blob is uploaded twice.
            publish(&plan, &registry, 1).unwrap();
            assert_same(&registry, &reference, &what);
        }
    }
}

/// Nobody learns whether a call did its work.
#[test]
fn a_tag_is_taken_back_although_the_answer_that_it_was_set_was_lost() {
    let plan = plan();
    let (_, calls) = reference(&plan, true);
    for call in [calls - 1, calls - 3] {
        let registry = Registry::start(true);
        registry.fail(Fault::Once(call, Failure::Lost));
        let error = format!("{:#}", publish(&plan, &registry, 1).unwrap_err());
        assert!(error.contains("; no tag has moved. Publish again"), "{error}");
        assert_eq!(registry.state().versions(), [""; 0], "{error}");
    }
}

/// Runs at the same time: the preflight of both finds a free version.
#[test]
fn a_version_that_somebody_else_publishes_meanwhile_is_not_replaced() {
    let (ours, theirs) = (plan(), plan());
    let key = |name: &str, reference: &str| (format!("p/{name}"), reference.to_owned());
    for name in ["os", "tool"] {
        let registry = Registry::start(true);
        let target: Namespace = registry.address.parse().unwrap();
        let options = Options { credentials: CredentialSource::Anonymous, ..Options::default() };
        let client = Client::new(&target.registry, options);
        let tags = preflight::check(&client, &ours).unwrap();
        publish(&theirs, &registry, 1).unwrap();
        let other = {
            let mut state = registry.state();
            if name == "tool" {
                // Set by this run before it finds the other.
                state.tags.remove(&key("os", "v1.0.0"));
            }
            state.edit(&format!("p/{name}"), "v1.0.0", |it| it["annotations"] = json!({"a": "b"}));
            state.tags[&key(name, "v1.0.0")].clone()
        };
        let error = format!("{:#}", tags::set(&client, &tags).unwrap_err());
        let expected = format!("/p/{name}:v1.0.0 is already published, with the digest {other}");
        assert!(error.contains(&expected) && error.contains("no tag has moved"), "{error}");
        let state = registry.state();
        assert_eq!(state.tags[&key(name, "v1.0.0")], other);
        assert_eq!(state.tags.contains_key(&key("os", "v1.0.0")), name == "os");
    }
}

#[test]
fn a_second_run_writes_nothing_and_shared_layers_are_mounted() {
    let plan = plan();
    let registry = Registry::start(true);
    let report = serde_json::to_value(publish(&plan, &registry, 1).unwrap()).unwrap();
    assert_eq!(report["blobs"]["mounted"], 3, "{report}");
    registry.fail(Fault::None);
    publish(&plan, &registry, 1).unwrap();
    assert_eq!(registry.state().writes(), 0, "{:?}", registry.state().calls);
}

#[test]
fn nothing_is_sent_where_a_right_or_a_tag_is_missing() {
    let plan = plan();
    let registry = Registry::start(true);
    registry.deny("p/tool");
    let error = format!("{:#}", publish(&plan, &registry, 1).unwrap_err());
    assert!(
        error.contains("cannot push to") && error.contains("/p/tool; nothing was pushed"),
        "{error}"
    );
    assert!(registry.state().blobs.is_empty() && registry.state().manifests.is_empty());
}
