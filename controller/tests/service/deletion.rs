// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Content management: OCI distribution specification 1.1, "Content Management".

use serde_json::json;

use crate::support::Service;

#[test]
fn a_tag_goes_and_its_manifest_stays() {
    let client = &Service::start();
    let (_, digest) = client.push_image("a", "v1", "1");
    client.delete("/v2/a/manifests/v1").expect(202);
    client.get("/v2/a/manifests/v1").expect_error(404, "MANIFEST_UNKNOWN");
    client.get(&format!("/v2/a/manifests/{digest}")).expect(200);
    client.delete("/v2/a/manifests/v1").expect_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(client.get("/v2/a/tags/list").expect(200).json()["tags"], json!([]));
}

#[test]
fn a_manifest_goes_with_its_tags() {
    let client = &Service::start();
    let (manifest, digest) = client.push_image("a", "v1", "1");
    client.push_manifest("a", "latest", &manifest);
    let (_, other) = client.push_image("a", "v2", "2");
    let by_digest = format!("/v2/a/manifests/{digest}");
    // It is cached now, and must be evicted.
    client.get(&by_digest).expect(200);
    client.delete(&by_digest).expect(202);
    for reference in [digest.to_string().as_str(), "v1", "latest"] {
        let path = format!("/v2/a/manifests/{reference}");
        client.get(&path).expect_error(404, "MANIFEST_UNKNOWN");
    }
    client.delete(&by_digest).expect_error(404, "MANIFEST_UNKNOWN");
    assert_eq!(client.get("/v2/a/tags/list").expect(200).json()["tags"], json!(["v2"]));
    client.get(&format!("/v2/a/manifests/{other}")).expect(200);
    // It can be pushed again.
    client.push_manifest("a", "v1", &manifest);
    client.get(&by_digest).expect(200);
}

#[test]
fn a_manifest_goes_from_one_repository_only() {
    let client = &Service::start();
    let (_, digest) = client.push_image("a", "v1", "1");
    client.push_image("b", "v1", "1");
    client.delete(&format!("/v2/a/manifests/{digest}")).expect(202);
    client.get(&format!("/v2/b/manifests/{digest}")).expect(200);
}

#[test]
fn a_blob_goes() {
    let client = &Service::start();
    let digest = client.push_blob("a", b"content");
    let path = format!("/v2/a/blobs/{digest}");
    client.delete(&path).expect(202);
    client.get(&path).expect_error(404, "BLOB_UNKNOWN");
    client.delete(&path).expect_error(404, "BLOB_UNKNOWN");
    client.push_blob("a", b"content");
    client.get(&path).expect(200);
}
