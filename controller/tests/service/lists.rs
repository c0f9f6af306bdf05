// SPDX-License-Identifier: AGPL-3.0-or-later
// Copyright (C) 2026 The Provisioner Authors

//! Lists: OCI distribution specification 1.1, "Listing Tags" and "Listing Referrers", and the catalog.

use oci::Digest;
use serde_json::{Value, json};

use crate::support::{Client, IMAGE_INDEX, IMAGE_MANIFEST, Reply, Service, descriptor};

/// Returns the URL of the next page.
fn next(reply: &Reply) -> Option<String> {
    let link = reply.headers.get("link")?.to_str().unwrap();
    let address = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    Some(address.to_owned())
}

/// Follows all pages. Returns the entries of each.
fn pages(client: &Client, first: &str, key: &str) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut address = Some(first.to_owned());
    while let Some(path) = address {
        let reply = client.get(&path).expect(200);
        pages.push(reply.json()[key].as_array().unwrap().clone());
        address = next(&reply);
    }
    pages
}

#[test]
fn tags_are_sorted_and_come_in_pages() {
    let client = &Service::start();
    let manifest = client.image("a", "1");
    for tag in ["c", "a", "v1.0", "b", "B"] {
        client.push_manifest("a", tag, &manifest);
    }
    let all = client.get("/v2/a/tags/list").expect(200);
    assert_eq!(all.json(), json!({ "name": "a", "tags": ["B", "a", "b", "c", "v1.0"] }));
    assert_eq!(next(&all), None);
    let found = pages(client, "/v2/a/tags/list?n=2", "tags");
    assert_eq!(json!(found), json!([["B", "a"], ["b", "c"], ["v1.0"]]));
    // `last` need not exist.
    let after = client.get("/v2/a/tags/list?last=bb").expect(200);
    assert_eq!(after.json()["tags"], json!(["c", "v1.0"]));
    assert_eq!(client.get("/v2/a/tags/list?n=0").expect(200).json()["tags"], json!([]));
    client.get("/v2/a/tags/list?n=x").expect_error(400, "PAGINATION_NUMBER_INVALID");
    client.get("/v2/none/tags/list").expect_error(404, "NAME_UNKNOWN");
}

#[test]
fn the_catalog_has_every_repository_once() {
    let client = &Service::start();
    assert_eq!(client.get("/v2/_catalog").expect(200).json(), json!({ "repositories": [] }));
    for name in ["b", "a/x/y", "a", "a-b/c"] {
        client.push_blob(name, b"content");
    }
    // An upload alone does not create a repository.
    client.start_upload("started");
    let found = pages(client, "/v2/_catalog?n=3", "repositories");
    assert_eq!(json!(found), json!([["a", "a-b/c", "a/x/y"], ["b"]]));
}

/// Builds an artifact with `subject` and pushes its blobs.
fn artifact(client: &Client, subject: &Value, kind: &str, note: &str) -> Value {
    client.push_blob("a", b"{}");
    json!({
        "schemaVersion": 2,
        "mediaType": IMAGE_MANIFEST,
        "artifactType": kind,
        "config": descriptor("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [descriptor("application/vnd.oci.empty.v1+json", b"{}")],
        "subject": subject,
        "annotations": { "note": note },
    })
}

#[test]
fn referrers_are_listed_with_what_describes_them() {
    let client = &Service::start();
    let (image, subject) = client.push_image("a", "v1", "1");
    let described = descriptor(IMAGE_MANIFEST, image.to_string().as_bytes());
    let path = format!("/v2/a/referrers/{subject}");
    let none = client.get(&path).expect(200);
    assert_eq!(none.header("content-type"), IMAGE_INDEX);
    assert_eq!(
        none.json(),
        json!({ "schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": [] })
    );

    let sbom = artifact(client, &described, "application/sbom", "1");
    let digest = Digest::sha256(sbom.to_string().as_bytes());
    let reply = client.put_manifest("a", &digest.to_string(), &sbom).expect(201);
    assert_eq!(reply.header("oci-subject"), subject.to_string());
    let expected = json!({
        "mediaType": IMAGE_MANIFEST,
        "digest": digest.to_string(),
        "size": sbom.to_string().len(),
        "artifactType": "application/sbom",
        "annotations": { "note": "1" },
    });
    assert_eq!(client.get(&path).expect(200).json()["manifests"], json!([expected]));

    // Without artifactType, the config's media type is used; an index may be a referrer, too.
    let mut untyped = artifact(client, &described, "", "2");
    untyped.as_object_mut().unwrap().remove("artifactType");
    client.push_manifest("a", "untyped", &untyped);
    let index = json!({
        "schemaVersion": 2, "mediaType": IMAGE_INDEX, "artifactType": "application/set",
        "manifests": [], "subject": described,
    });
    client.push_manifest("a", "index", &index);
    let filtered = |kind: &str| {
        let reply = client.get(&format!("{path}?artifactType={kind}")).expect(200);
        assert_eq!(reply.header("oci-filters-applied"), "artifactType");
        reply.json()["manifests"].as_array().unwrap().len()
    };
    assert_eq!(filtered("application/sbom"), 1);
    assert_eq!(filtered("application/vnd.oci.empty.v1%2Bjson"), 1);
    assert_eq!(filtered("application/set"), 1);
    assert_eq!(filtered("application/none"), 0);
    assert_eq!(client.get(&path).json()["manifests"].as_array().unwrap().len(), 3);
    client.get("/v2/a/referrers/nonsense").expect_error(400, "DIGEST_INVALID");
}

#[test]
fn referrers_come_in_pages_and_go_with_their_manifest() {
    let client = &Service::start();
    let (image, subject) = client.push_image("a", "v1", "1");
    let described = descriptor(IMAGE_MANIFEST, image.to_string().as_bytes());
    let mut expected = Vec::new();
    for n in 0..5 {
        let kind = if n == 0 { "application/other" } else { "application/x+json" };
        let manifest = artifact(client, &described, kind, &n.to_string());
        expected.push(client.push_manifest("a", &format!("r{n}"), &manifest).to_string());
    }
    let path = format!("/v2/a/referrers/{subject}");
    let found = pages(client, &format!("{path}?n=2"), "manifests");
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
    let mut digests: Vec<String> =
        found.iter().flatten().map(|m| m["digest"].as_str().unwrap().to_owned()).collect();
    assert!(digests.is_sorted());
    // The filter applies to all pages.
    let found =
        pages(client, &format!("{path}?n=2&artifactType=application/x%2Bjson"), "manifests");
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);

    client.delete(&format!("/v2/a/manifests/{}", expected[2])).expect(202);
    digests.retain(|digest| *digest != expected[2]);
    let left = pages(client, &path, "manifests");
    let left: Vec<&str> = left[0].iter().map(|m| m["digest"].as_str().unwrap()).collect();
    assert_eq!(left, digests);
}

#[test]
fn a_referrer_may_come_before_its_subject() {
    let client = &Service::start();
    let image = client.image("a", "1");
    let described = descriptor(IMAGE_MANIFEST, image.to_string().as_bytes());
    let manifest = artifact(client, &described, "application/x", "1");
    client.push_manifest("a", "signature", &manifest);
    let subject = client.push_manifest("a", "v1", &image);
    let found = client.get(&format!("/v2/a/referrers/{subject}")).expect(200).json();
    assert_eq!(found["manifests"].as_array().unwrap().len(), 1);
}
