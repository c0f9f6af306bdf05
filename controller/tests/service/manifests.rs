// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Manifests: OCI distribution specification 1.1, "Pushing Manifests" and "Pulling manifests".

use oci::Digest;
use oci::digest::Algorithm;
use serde_json::{Value, json};

use crate::support::{IMAGE_INDEX, IMAGE_MANIFEST, Service, descriptor, digest};

#[test]
fn by_tag_and_by_digest_byte_for_byte() {
    let client = &Service::start();
    let manifest = client.image("a/b", "1");
    // White space is part of the signed content.
    let text = serde_json::to_string_pretty(&manifest).unwrap();
    let digest = Digest::sha256(text.as_bytes());
    let kind = [("content-type", IMAGE_MANIFEST)];
    let reply = client.send("PUT", "/v2/a/b/manifests/v1", &kind, text.as_bytes()).expect(201);
    assert_eq!(reply.header("location"), format!("/v2/a/b/manifests/{digest}"));
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    assert!(!reply.headers.contains_key("oci-subject"));
    for reference in ["v1".to_owned(), digest.to_string()] {
        let path = format!("/v2/a/b/manifests/{reference}");
        for accept in
            [IMAGE_MANIFEST, "*/*", "application/vnd.docker.distribution.manifest.v1+json"]
        {
            let reply = client.send("GET", &path, &[("accept", accept)], b"").expect(200);
            assert_eq!(reply.text(), text);
        }
        // Twice: the second response comes from the cache.
        for reply in [client.get(&path).expect(200), client.head(&path).expect(200)] {
            assert_eq!(reply.header("docker-content-digest"), digest.to_string());
            assert_eq!(reply.header("content-type"), IMAGE_MANIFEST);
            assert_eq!(reply.header("content-length"), text.len().to_string());
        }
        let etag = format!("\"{digest}\"");
        client.send("GET", &path, &[("if-none-match", &etag)], b"").expect(304);
    }
}

#[test]
fn a_tag_moves() {
    let service = Service::start();
    let (_, first) = service.push_image("a", "v1", "1");
    let (_, second) = service.push_image("a", "v1", "2");
    let path = "/v2/a/manifests/v1";
    let now = service.get(path).expect(200);
    assert_eq!(now.header("docker-content-digest"), second.to_string());
    service.get(&format!("/v2/a/manifests/{first}")).expect(200);
}

#[test]
fn several_tags_in_one_request() {
    let client = &Service::start();
    let manifest = client.image("a", "1");
    let digest = Digest::sha256(manifest.to_string().as_bytes());
    let reply = client.put_manifest("a", &format!("{digest}?tag=v1&tag=latest"), &manifest);
    let tags: Vec<_> = reply.expect(201).headers.get_all("oci-tag").iter().cloned().collect();
    assert_eq!(tags, ["v1", "latest"]);
    for tag in ["v1", "latest"] {
        let reply = client.get(&format!("/v2/a/manifests/{tag}")).expect(200);
        assert_eq!(reply.header("docker-content-digest"), digest.to_string());
    }
    client.put_manifest("a", &format!("{digest}?tag=.bad"), &manifest).expect(400);
    let many = "&tag=x".repeat(65);
    client.put_manifest("a", &format!("{digest}?{many}"), &manifest).expect(400);
}

#[test]
fn by_sha512() {
    let client = &Service::start();
    let manifest = client.image("a", "1");
    let digest = digest(Algorithm::Sha512, manifest.to_string().as_bytes());
    client.put_manifest("a", &digest.to_string(), &manifest).expect(201);
    client.put_manifest("a", &format!("v1?digest={digest}"), &manifest).expect(201);
    let reply = client.get("/v2/a/manifests/v1").expect(200);
    assert_eq!(reply.header("docker-content-digest"), digest.to_string());
}

#[test]
fn what_a_manifest_names_must_be_there() {
    let client = &Service::start();
    let mut manifest = client.image("a", "1");
    let layers = manifest["layers"].as_array_mut().unwrap();
    layers.push(descriptor("application/octet-stream", b"missing 1"));
    layers.push(descriptor("application/octet-stream", b"missing 2"));
    let errors =
        client.put_manifest("a", "v1", &manifest).expect_error(404, "MANIFEST_BLOB_UNKNOWN").json();
    let listed: Vec<&Value> =
        errors["errors"].as_array().unwrap().iter().map(|e| &e["detail"]["digest"]).collect();
    let missing = [Digest::sha256(b"missing 1"), Digest::sha256(b"missing 2")];
    assert_eq!(listed, missing.map(|digest| json!(digest.to_string())).iter().collect::<Vec<_>>());
    client.get("/v2/a/manifests/v1").expect_error(404, "MANIFEST_UNKNOWN");
    // Contents of other repositories do not count.
    let manifest = client.image("b", "2");
    client.put_manifest("a", "v1", &manifest).expect_error(404, "MANIFEST_BLOB_UNKNOWN");
    // A foreign layer.
    let mut manifest = client.image("a", "3");
    let mut foreign = descriptor("application/vnd.oci.image.layer.nondistributable.v1.tar", b"far");
    foreign["urls"] = json!(["https://example.org/layer"]);
    manifest["layers"].as_array_mut().unwrap().push(foreign);
    client.put_manifest("a", "v3", &manifest).expect(201);
}

#[test]
fn an_index_names_manifests() {
    let client = &Service::start();
    let (manifest, _) = client.push_image("a", "one", "1");
    let text = manifest.to_string();
    let index = |child: Value| json!({ "schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": [child] });
    let good = index(descriptor(IMAGE_MANIFEST, text.as_bytes()));
    client.put_manifest("a", "all", &good).expect(201);
    let reply = client.get("/v2/a/manifests/all").expect(200);
    assert_eq!(reply.header("content-type"), IMAGE_INDEX);
    let bad = index(descriptor(IMAGE_MANIFEST, b"absent"));
    client.put_manifest("a", "bad", &bad).expect_error(404, "MANIFEST_BLOB_UNKNOWN");
    let empty = json!({ "schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": [] });
    client.put_manifest("a", "empty", &empty).expect(201);
}

#[test]
fn bad_manifests_are_refused() {
    let client = &Service::start();
    let good = client.image("a", "1");
    let with = |change: &dyn Fn(&mut Value)| {
        let mut manifest = good.clone();
        change(&mut manifest);
        manifest.to_string()
    };
    let wrong_size = with(&|m| m["layers"][0]["size"] = json!(999));
    let bad_digest = with(&|m| m["layers"][0]["digest"] = json!("sha256:../../etc/passwd"));
    let schema_1 = with(&|m| m["schemaVersion"] = json!(1));
    let other_type = with(&|m| m["mediaType"] = json!(IMAGE_INDEX));
    let no_config = with(&|m| drop(m.as_object_mut().unwrap().remove("config")));
    for (kind, text) in [
        (IMAGE_MANIFEST, ""),
        (IMAGE_MANIFEST, "not json"),
        (IMAGE_MANIFEST, "[]"),
        (IMAGE_MANIFEST, "{}"),
        (IMAGE_MANIFEST, wrong_size.as_str()),
        (IMAGE_MANIFEST, bad_digest.as_str()),
        (IMAGE_MANIFEST, schema_1.as_str()),
        (IMAGE_MANIFEST, other_type.as_str()),
        (IMAGE_MANIFEST, no_config.as_str()),
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", good.to_string().as_str()),
        ("text/plain", good.to_string().as_str()),
    ] {
        let headers = [("content-type", kind)];
        client
            .send("PUT", "/v2/a/manifests/v1", &headers, text.as_bytes())
            .expect_error(400, "MANIFEST_INVALID");
    }
    // Content types may have parameters.
    let kind = format!("{IMAGE_MANIFEST}; charset=utf-8");
    let headers = [("content-type", kind.as_str())];
    client.send("PUT", "/v2/a/manifests/v1", &headers, good.to_string().as_bytes()).expect(201);
    let other = Digest::sha256(b"other");
    client.put_manifest("a", &other.to_string(), &good).expect_error(400, "DIGEST_INVALID");
    client.put_manifest("a", "-bad", &good).expect_error(400, "MANIFEST_INVALID");
}

#[test]
fn a_manifest_has_a_largest_size() {
    let client = &Service::start();
    let mut manifest = client.image("a", "1");
    manifest["annotations"] = json!({ "padding": "x".repeat(4 << 20) });
    client.put_manifest("a", "big", &manifest).expect_error(413, "MANIFEST_INVALID");
    manifest["annotations"] = json!({ "padding": "x".repeat((4 << 20) - 1000) });
    client.put_manifest("a", "big", &manifest).expect(201);
    client.get("/v2/a/manifests/big").expect(200);
}

#[test]
fn what_is_not_there() {
    let client = &Service::start();
    client.push_image("a", "v1", "1");
    for path in [
        "/v2/a/manifests/v2".to_owned(),
        "/v2/a/manifests/.INVALID".to_owned(),
        "/v2/none/manifests/v1".to_owned(),
        format!("/v2/a/manifests/{}", Digest::sha256(b"absent")),
    ] {
        client.get(&path).expect_error(404, "MANIFEST_UNKNOWN");
        assert!(client.head(&path).expect(404).body.is_empty());
        client.delete(&path).expect_error(404, "MANIFEST_UNKNOWN");
    }
    client.get("/v2/a/manifests/sha256:x").expect_error(400, "DIGEST_INVALID");
}
